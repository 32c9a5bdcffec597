import { deepEqual, equal } from "node:assert/strict";
import {
  countDays,
  type DayUsage,
  fillDays,
  historyCsv,
  historyFileName,
  problemOf,
  rangeOf,
  totalsOf,
} from "./usage-history.ts";

const TODAY = "2026-11-22";
const row = (day: string, used: number, overage = 0, allowance: number | null = 50): DayUsage => ({
  day,
  used,
  allowance,
  overage,
  amountMinor: overage * 1.5,
});

Deno.test("a range has the days it says, today among them", () => {
  deepEqual(rangeOf("7", TODAY), { from: "2026-11-16", to: TODAY });
  equal(countDays(rangeOf("90", TODAY)), 90);
  deepEqual(rangeOf("month", TODAY), { from: "2026-11-01", to: TODAY });
});

Deno.test("days that cannot be asked for are named before the server is", () => {
  equal(problemOf({ from: "2025-10-19", to: TODAY }, TODAY), null);
  equal(problemOf({ from: "2025-10-18", to: TODAY }, TODAY), "Choose 400 days at most.");
  equal(
    problemOf({ from: TODAY, to: "2026-11-23" }, TODAY),
    "The last day cannot be in the future.",
  );
  equal(
    problemOf({ from: TODAY, to: "2026-11-21" }, TODAY),
    "The first day must not be after the last one.",
  );
  for (const day of ["", "2026-02-30", "yesterday", "12026-01-01"]) {
    equal(problemOf({ from: day, to: TODAY }, TODAY), "Choose both days.");
  }
});

Deno.test("days without use are zero, with the allowance of the day before them", () => {
  const days = fillDays([row("2026-11-20", 3), row("2026-11-22", 60, 10, 500)], {
    from: "2026-11-19",
    to: TODAY,
  }, 500);
  deepEqual(days.map((day) => [day.used, day.allowance]), [[0, 50], [3, 50], [0, 50], [60, 500]]);
  deepEqual(fillDays([], { from: TODAY, to: TODAY }, 50), [row(TODAY, 0)]);
});

Deno.test("sums keep parts of a cent and no tail of a float", () => {
  const days = [row("2026-11-20", 51, 1), { ...row(TODAY, 52, 2), amountMinor: 0.1 }];
  deepEqual(totalsOf([...days, { ...row(TODAY, 0), amountMinor: 0.2 }]), {
    used: 103,
    overage: 3,
    amountMinor: 1.8,
    busiest: days[1],
  });
  equal(totalsOf([]).busiest, null);
});

Deno.test("the export has a row a day, amounts in the main unit", () => {
  const csv = historyCsv([row("2026-11-21", 53, 3), row(TODAY, 2, 0, null)], "message", "usd");
  equal(
    csv,
    "Day (UTC),Metric,Used,Allowance,Beyond allowance,Amount,Currency\r\n" +
      "2026-11-21,message,53,50,3,0.045,USD\r\n" +
      "2026-11-22,message,2,unlimited,0,0.00,USD\r\n",
  );
  equal(
    historyFileName("message", { from: "2026-11-21", to: TODAY }),
    "tollgate-usage-message-2026-11-21-to-2026-11-22.csv",
  );
});
