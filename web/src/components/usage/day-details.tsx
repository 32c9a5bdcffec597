import { formatCount, formatUnit } from "../../lib/money.ts";
import { nounOf } from "../../lib/plans.ts";
import { type Day, type DayUsage, longDay } from "../../lib/usage-history.ts";
import type { DayDetailsPlace } from "../chart/day-chart.tsx";
import { DetailsFrame } from "../chart/details-frame.tsx";

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

interface DayDetailsProps extends DayDetailsPlace {
  day: DayUsage;
  metric: string;
  currency: string;
  today: Day;
}

/** What is known of a day; the slider says the same to a screen reader. */
export function DayDetails({ day, metric, currency, today, ...place }: DayDetailsProps) {
  const { used, allowance, overage, amountMinor } = day;
  return (
    <DetailsFrame day={day.day} today={today} {...place}>
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
    </DetailsFrame>
  );
}
