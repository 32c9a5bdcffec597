import {
  keepPreviousData,
  type QueryClient,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import {
  buyListing,
  getCurrencies,
  getListing,
  getPictures,
  searchListings,
} from "../api/index.ts";
import { toApiError } from "../lib/errors.ts";
import { changeSearch, readSearch, type Search, writeSearch } from "../lib/marketplace.ts";
import { keys } from "../lib/query.ts";
import { rememberBought } from "./use-library.ts";
import { useSession } from "./use-session.tsx";

/** Whose marks the listings carry; part of their names in the cache. */
function useUserId(): string | null {
  const session = useSession();
  return session.status === "signed-in" ? session.user.id : null;
}

/** The search that the address holds. A change of it is no new step of the way back; a page is. */
export function useSearch() {
  const [params, setParams] = useSearchParams();
  const search = readSearch(params);
  const change = (what: Partial<Search>) => {
    // Of the address itself: a change right after another one must not undo it, drawn or not.
    const before = readSearch(new URLSearchParams(location.search));
    setParams(writeSearch(changeSearch(before, what)), { replace: true, preventScrollReset: true });
  };
  const pageAddress = (page: number) => `?${writeSearch({ ...search, page })}`;
  return { search, change, pageAddress };
}

/** While another search is under way, what was found before stays, marked as `isStale`. */
export function useListings(search: Search) {
  const userId = useUserId();
  const query = useQuery({
    queryKey: keys.found(writeSearch(search).toString(), userId),
    queryFn: () => searchListings(search),
    placeholderData: keepPreviousData,
  });
  return {
    found: query.data ?? null,
    isStale: query.isPlaceholderData,
    isFetching: query.isFetching,
    error: query.isPlaceholderData || !query.data ? query.error : null,
    refetch: () => void query.refetch(),
  };
}

/** One listing; `data` is null when there is none for this person. */
export function useListing(id: string, enabled = true) {
  const userId = useUserId();
  return useQuery({
    queryKey: keys.listing(id, userId),
    queryFn: () => getListing(id, userId !== null),
    enabled,
  });
}

/** Pictures by listing, each fetched once; null for who has none, or none yet. */
export function usePictures(ids: string[]): (id: string) => string | null {
  const queries = useQueryClient();
  const { data } = useQuery({
    queryKey: keys.pictures(ids),
    queryFn: () => fetchPictures(queries, ids),
    enabled: ids.length > 0,
    staleTime: 5 * 60_000,
    placeholderData: keepPreviousData,
  });
  return (id) => data?.get(id) ?? null;
}

async function fetchPictures(queries: QueryClient, ids: string[]): Promise<Map<string, string>> {
  const cached = (id: string) => queries.getQueryData<string | null>(keys.picture(id));
  const missing = ids.filter((id) => cached(id) === undefined);
  const fetched = missing.length > 0 ? await getPictures(missing) : new Map<string, string>();
  for (const id of missing) queries.setQueryData(keys.picture(id), fetched.get(id) ?? null);
  return new Map(ids.flatMap((id) => {
    const picture = fetched.get(id) ?? cached(id);
    return picture ? [[id, picture]] : [];
  }));
}

export function useCurrencies() {
  return useQuery({ queryKey: keys.currencies, queryFn: getCurrencies, staleTime: 5 * 60_000 });
}

/** Leaves for Checkout; what is bought is remembered, to be told on the way back. */
export function useBuy() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: buyListing,
    onSuccess: (url, listingId) => {
      rememberBought(listingId);
      location.assign(url);
    },
    onError: (error) => {
      // What the page shows is not so any more: the listing, or what one has of it.
      if (toApiError(error).status < 500) {
        void queries.invalidateQueries({ queryKey: keys.library });
        void queries.invalidateQueries({ queryKey: keys.listings });
      }
    },
  });
}
