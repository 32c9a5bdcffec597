import { deepEqual, equal } from "node:assert/strict";
import {
  formatClock,
  formatCountdown,
  formatDate,
  formatDuration,
  formatResetTime,
  nextUtcMidnight,
  parseTime,
} from "./dates.ts";

Deno.test("a timestamp as Postgres prints it and its ISO form are the same moment", () => {
  const iso = Date.UTC(2026, 10, 22, 12, 40, 29, 800);
  const forms = [
    "2026-11-22 12:40:29.80+00",
    "2026-11-22T12:40:29.800Z",
    "2026-11-22T12:40:29.800000+00:00",
    "2026-11-22 18:10:29.8+0530",
    "2026-11-22 07:40:29.8-05",
  ];
  deepEqual(forms.map(parseTime), forms.map(() => iso));
});

Deno.test("a time without a zone is read as UTC, never as the browser's zone", () => {
  equal(parseTime("2026-11-22 00:00:00"), Date.UTC(2026, 10, 22));
});

Deno.test("what is not a time is null and not NaN", () => {
  deepEqual([null, undefined, "", "infinity", "2026-13-45 99:00:00Z"].map(parseTime), [
    null,
    null,
    null,
    null,
    null,
  ]);
});

Deno.test("the next UTC midnight is strictly later, also at midnight itself", () => {
  const midnight = Date.UTC(2026, 10, 23);
  equal(nextUtcMidnight(midnight - 1), midnight);
  equal(nextUtcMidnight(midnight), midnight + 86_400_000);
});

Deno.test("durations use two units at most and never go below zero", () => {
  equal(formatDuration(8 * 3_600_000 + 9 * 60_000), "8 h 09 min");
  equal(formatDuration(4 * 60_000 + 7_000), "4 min 07 s");
  equal(formatDuration(31_200), "32 s");
  equal(formatDuration(-5), "0 s");
  equal(formatDuration(5 * 86_400_000), "5 days");
});

Deno.test("the countdown counts whole seconds down to zero", () => {
  equal(formatCountdown(8 * 3_600_000 + 9 * 60_000 + 5_000), "08:09:05");
  equal(formatCountdown(1), "00:00:01");
  equal(formatCountdown(-1_000), "00:00:00");
});

Deno.test("dates and clocks follow the given zone", () => {
  const time = Date.UTC(2026, 11, 22, 23, 30);
  equal(formatDate(time, "UTC"), "December 22, 2026");
  equal(formatDate(time, "Asia/Tokyo"), "December 23, 2026");
  equal(formatClock(Date.UTC(2026, 10, 23), "UTC"), "00:00");
});

Deno.test("a reset names UTC and, where it differs, the reader's clock", () => {
  const now = Date.UTC(2026, 10, 22, 16);
  const reset = Date.UTC(2026, 10, 23);
  equal(formatResetTime(reset, now, "UTC"), "00:00 UTC");
  equal(formatResetTime(reset, now, "Europe/Berlin"), "00:00 UTC (01:00 your time)");
});
