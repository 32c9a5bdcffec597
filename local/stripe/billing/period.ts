/** Calendar arithmetic of billing periods, in UTC, as Stripe does it. */
export type Interval = "day" | "week" | "month" | "year";

/**
 * `anchor` plus `count` intervals. Months and years keep the anchor's day and clamp to the month's end, always counted
 * from the anchor: 31 January → 28 February → 31 March. https://docs.stripe.com/billing/subscriptions/billing-cycle
 */
export function addIntervals(anchor: number, interval: Interval, count: number): number {
  if (interval === "day") return anchor + count * 86_400;
  if (interval === "week") return anchor + count * 7 * 86_400;
  const from = new Date(anchor * 1000);
  const months = from.getUTCMonth() + (interval === "month" ? count : count * 12);
  const year = from.getUTCFullYear() + Math.floor(months / 12);
  const month = ((months % 12) + 12) % 12;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const day = Math.min(from.getUTCDate(), lastDay);
  const time = anchor - Math.floor(anchor / 86_400) * 86_400;
  return Date.UTC(year, month, day) / 1000 + time;
}

/** The first boundary of the anchor's series that lies after `after`. */
export function nextBoundary(
  anchor: number,
  interval: Interval,
  count: number,
  after: number,
): number {
  const length = { day: 86_400, week: 604_800, month: 31 * 86_400, year: 366 * 86_400 }[interval] *
    count;
  let n = Math.max(0, Math.floor((after - anchor) / length) - 1);
  while (addIntervals(anchor, interval, n * count) <= after) n += 1;
  return addIntervals(anchor, interval, n * count);
}

export function intervalOf(value: string | undefined): Interval {
  return value === "day" || value === "week" || value === "year" ? value : "month";
}
