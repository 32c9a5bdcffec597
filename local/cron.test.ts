import assert from "node:assert/strict";
import { nextRun } from "./cron.ts";

const AT = new Date("2026-11-30T23:58:30Z");

function next(schedule: string): string | undefined {
  return nextRun(schedule, AT)?.toISOString();
}

Deno.test("cron's five fields are read in UTC", () => {
  assert.equal(next("* * * * *"), "2026-11-30T23:59:00.000Z");
  assert.equal(next("17 3 * * *"), "2026-12-01T03:17:00.000Z");
  assert.equal(next("*/5 * * * *"), "2026-12-01T00:00:00.000Z");
  assert.equal(next("0 0 * * 1"), "2026-12-07T00:00:00.000Z");
});

Deno.test("pg_cron's own forms are understood: seconds, names, and $ for the last day of a month", () => {
  assert.equal(next("30 seconds"), "2026-11-30T23:59:00.000Z");
  assert.equal(next("@daily"), "2026-12-01T00:00:00.000Z");
  assert.equal(next("0 12 $ * *"), "2026-12-31T12:00:00.000Z");
  assert.equal(next("@reboot"), undefined);
});
