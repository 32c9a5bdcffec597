import { deepEqual, equal } from "node:assert/strict";
import { type Cursor, cursorAfter, isBefore } from "./paging.ts";

const row = (createdAt: string, id: string): Cursor => ({ createdAt, id });

Deno.test("a full page leads on from its last row, a short one is the end", () => {
  const page = [row("2026-11-22 12:00:00.80+00", "b"), row("2026-11-22 12:00:00.80+00", "a")];
  deepEqual(cursorAfter(page, 2), page[1]);
  equal(cursorAfter(page, 3), undefined);
  equal(cursorAfter([], 3), undefined);
});

Deno.test("rows of one moment are told apart by their id, so that paging never stalls", () => {
  equal(
    isBefore("created_at", row("2026-11-22 12:00:00.80+00", "a")),
    'created_at.lt."2026-11-22 12:00:00.80+00",and(created_at.eq."2026-11-22 12:00:00.80+00",id.lt."a")',
  );
});
