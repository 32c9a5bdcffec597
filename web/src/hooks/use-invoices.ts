import { useInfiniteQuery } from "@tanstack/react-query";
import { INVOICES_PER_PAGE, listInvoices } from "../api/index.ts";
import { type Cursor, cursorAfter } from "../lib/paging.ts";
import { keys } from "../lib/query.ts";

/** Our invoices, newest first, with older pages on demand. */
export function useInvoices() {
  const query = useInfiniteQuery({
    queryKey: keys.invoices,
    queryFn: ({ pageParam }) => listInvoices(pageParam),
    // An open one is paid in another tab.
    refetchOnWindowFocus: "always",
    initialPageParam: undefined as Cursor | undefined,
    getNextPageParam: (page) => cursorAfter(page, INVOICES_PER_PAGE),
  });
  return { ...query, invoices: query.data?.pages.flat() ?? null };
}
