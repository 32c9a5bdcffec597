/** Daily usage: ranges of UTC days, gaps filled, sums, and the table to export. Pure. */

import { type Cell, toCsv } from "./csv.ts";
import { minorToDecimal } from "./money.ts";

/** A UTC day as `2026-11-22`. */
export type Day = string;

export interface DayUsage {
  day: Day;
  used: number;
  /** null = unlimited. */
  allowance: number | null;
  overage: number;
  amountMinor: number;
}

export const MAX_DAYS = 400;
const DAY_MS = 86_400_000;

export type Preset = "7" | "30" | "90" | "month" | "custom";
export const PRESETS: readonly Preset[] = ["7", "30", "90", "month", "custom"];

export interface Range {
  from: Day;
  to: Day;
}

export function dayOf(time: number): Day {
  return new Date(time).toISOString().slice(0, 10);
}

export function timeOf(day: Day): number {
  return Date.parse(`${day}T00:00:00Z`);
}

const SHORT = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
const LONG = new Intl.DateTimeFormat("en-US", {
  weekday: "short",
  month: "short",
  day: "numeric",
  year: "numeric",
  timeZone: "UTC",
});

/** `Nov 22`. */
export function shortDay(day: Day): string {
  return day ? SHORT.format(timeOf(day)) : "";
}

/** `Sun, Nov 22, 2026`. */
export function longDay(day: Day): string {
  return LONG.format(timeOf(day));
}

export function addDays(day: Day, days: number): Day {
  return dayOf(timeOf(day) + days * DAY_MS);
}

export function countDays({ from, to }: Range): number {
  return Math.round((timeOf(to) - timeOf(from)) / DAY_MS) + 1;
}

export function monthSoFar(today: Day): Range {
  return { from: `${today.slice(0, 8)}01`, to: today };
}

/** The days of a choice, today included. */
export function rangeOf(preset: Exclude<Preset, "custom">, today: Day): Range {
  return preset === "month"
    ? monthSoFar(today)
    : { from: addDays(today, 1 - Number(preset)), to: today };
}

/** What is wrong with a range somebody typed; null when it can be asked for. */
export function problemOf({ from, to }: Range, today: Day): string | null {
  if (!isDay(from) || !isDay(to)) return "Choose both days.";
  if (to > today) return "The last day cannot be in the future.";
  if (from > to) return "The first day must not be after the last one.";
  if (countDays({ from, to }) > MAX_DAYS) return `Choose ${MAX_DAYS} days at most.`;
  return null;
}

export function isDay(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const time = timeOf(value);
  return !Number.isNaN(time) && dayOf(time) === value;
}

/**
 * Every day of the range. A day without use has no row: it had the allowance of the day before it, or of the next one
 * known, or the present one.
 */
export function fillDays(rows: DayUsage[], range: Range, present: number | null): DayUsage[] {
  const known = new Map(rows.map((row) => [row.day, row]));
  const first = rows[0];
  let allowance = first ? first.allowance : present;
  return Array.from({ length: countDays(range) }, (_, index) => {
    const day = addDays(range.from, index);
    const row = known.get(day);
    if (row) allowance = row.allowance;
    return row ?? { day, used: 0, allowance, overage: 0, amountMinor: 0 };
  });
}

export interface Totals {
  used: number;
  overage: number;
  amountMinor: number;
  /** The day with the most use; null when there was none. */
  busiest: DayUsage | null;
}

export function totalsOf(days: DayUsage[]): Totals {
  const totals: Totals = { used: 0, overage: 0, amountMinor: 0, busiest: null };
  for (const day of days) {
    totals.used += day.used;
    totals.overage += day.overage;
    totals.amountMinor += day.amountMinor;
    if (day.used > (totals.busiest?.used ?? 0)) totals.busiest = day;
  }
  // Prices have six decimals at most; a sum of floats has more.
  totals.amountMinor = Math.round(totals.amountMinor * 1e6) / 1e6;
  return totals;
}

export function historyCsv(days: DayUsage[], metric: string, currency: string): string {
  const header = [
    "Day (UTC)",
    "Metric",
    "Used",
    "Allowance",
    "Beyond allowance",
    "Amount",
    "Currency",
  ];
  const rows = days.map((row): Cell[] => [
    row.day,
    metric,
    row.used,
    row.allowance ?? "unlimited",
    row.overage,
    minorToDecimal(row.amountMinor, currency),
    currency.toUpperCase(),
  ]);
  return toCsv(header, rows);
}

export function historyFileName(metric: string, { from, to }: Range): string {
  return `tollgate-usage-${metric}-${from}-to-${to}.csv`;
}
