/** Lists that are read page by page, newest first. Pure. */

/** The last row that was read. */
export interface Cursor {
  /** As the server wrote it, with its microseconds. */
  createdAt: string;
  id: string;
}

/** Where the next page begins; undefined when this one was the last. */
export function cursorAfter(page: Cursor[], pageSize: number): Cursor | undefined {
  const last = page.at(-1);
  return last && page.length >= pageSize ? { createdAt: last.createdAt, id: last.id } : undefined;
}

/**
 * PostgREST's filter for the rows after the cursor in the order (time descending, id descending). The
 * time alone would not do: with more rows of one moment than fit a page, it would stop there for ever.
 */
export function isBefore(column: string, { createdAt, id }: Cursor): string {
  return `${column}.lt."${createdAt}",and(${column}.eq."${createdAt}",id.lt."${id}")`;
}
