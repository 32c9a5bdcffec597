import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getUsageHistory } from "../api/index.ts";
import { keys } from "../lib/query.ts";
import type { Range } from "../lib/usage-history.ts";
import { useSession } from "./use-session.tsx";

/** Usage per UTC day. While another range is loaded, the one before stays, marked as `isStale`. */
export function useHistory(metric: string, range: Range | null) {
  const session = useSession();
  const query = useQuery({
    queryKey: keys.history(metric, range?.from ?? "", range?.to ?? ""),
    queryFn: () => getUsageHistory(metric, range ?? { from: "", to: "" }),
    enabled: session.status === "signed-in" && range !== null,
    placeholderData: keepPreviousData,
  });
  return {
    rows: query.data ?? null,
    isStale: query.isPlaceholderData,
    isFetching: query.isFetching,
    error: query.error,
    refetch: () => void query.refetch(),
  };
}
