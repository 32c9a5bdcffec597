import { formatCount, formatUnit } from "../../lib/money.ts";
import { nounOf } from "../../lib/plans.ts";
import { type Day, type DayUsage, timeOf } from "../../lib/usage-history.ts";

const SHORT = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
const LONG = new Intl.DateTimeFormat("en-US", {
  weekday: "short",
  month: "short",
  day: "numeric",
  year: "numeric",
  timeZone: "UTC",
});
const WIDTH = 208;

/** `Nov 22`. */
export function shortDay(day: Day): string {
  return day ? SHORT.format(timeOf(day)) : "";
}

/** `Sun, Nov 22, 2026`. */
export function longDay(day: Day): string {
  return LONG.format(timeOf(day));
}

/** A day in words, for who does not see it. */
export function dayText(
  day: DayUsage | undefined,
  metric: string,
  currency: string,
  today: Day,
): string {
  if (!day) return "No day";
  const { used, allowance, overage, amountMinor } = day;
  const parts = [
    `${longDay(day.day)}${day.day === today ? ", so far" : ""}: ${formatCount(used)} ${
      nounOf(metric, used)
    }`,
    allowance === null ? "no limit" : `${formatCount(allowance)} in the plan`,
  ];
  if (overage > 0) {
    parts.push(`${formatCount(overage)} beyond it for ${formatUnit(amountMinor, currency)}`);
  }
  return parts.join(", ");
}

interface DayDetailsProps {
  day: DayUsage;
  metric: string;
  currency: string;
  today: Day;
  /** The middle of its bar. */
  x: number;
  room: number;
}

/** What is known of the day under the pointer or the keyboard; the slider says the same to a screen reader. */
export function DayDetails({ day, metric, currency, today, x, room }: DayDetailsProps) {
  const { used, allowance, overage, amountMinor } = day;
  // Beside the bar, so that it is not covered.
  const isRight = x + 14 + WIDTH <= room || x < WIDTH;
  const left = Math.max(0, Math.min(room - WIDTH, isRight ? x + 14 : x - 14 - WIDTH));
  return (
    <div
      aria-hidden
      className="pointer-events-none absolute top-1 z-10 grid gap-1 rounded-xl border border-line bg-card px-3 py-2.5 text-sm shadow-lift tabular-nums"
      style={{ left, width: Math.min(WIDTH, room) }}
    >
      <p className="flex justify-between gap-2 text-xs text-muted">
        {longDay(day.day)}
        {day.day === today && <span>so far</span>}
      </p>
      <p className="font-semibold">
        {formatCount(used)} {nounOf(metric, used)}
        <span className="font-normal text-muted">
          {allowance === null ? ", no limit" : ` of ${formatCount(allowance)}`}
        </span>
      </p>
      {overage > 0 && (
        <p className="flex items-center gap-2">
          <span className="barrier-fine size-3 shrink-0 rounded-sm" />
          {formatCount(overage)} beyond, {formatUnit(amountMinor, currency)}
        </p>
      )}
    </div>
  );
}
