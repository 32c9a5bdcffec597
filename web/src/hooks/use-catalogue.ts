import { useQuery } from "@tanstack/react-query";
import { getCatalogue } from "../api/index.ts";
import { keys } from "../lib/query.ts";

/** Plans, limits, features and prices: rows of the database, the same for everybody. */
export function useCatalogue() {
  return useQuery({ queryKey: keys.catalogue, queryFn: getCatalogue, staleTime: 5 * 60_000 });
}
