import type { ReactNode } from "react";
import { formatCount, formatUnit } from "../../lib/money.ts";
import { type DayUsage, shortDay, totalsOf } from "../../lib/usage-history.ts";
import { Skeleton } from "../ui/skeleton.tsx";

interface HistoryTotalsProps {
  /** null while loading. */
  days: DayUsage[] | null;
  month: DayUsage[] | null;
  currency: string;
}

/** The sums of the range, and of the calendar month whatever the range is. */
export function HistoryTotals({ days, month, currency }: HistoryTotalsProps) {
  const range = days && totalsOf(days);
  const sofar = month && totalsOf(month);
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-2xl border border-line bg-line sm:grid-cols-4">
      <Total
        label={days ? (days.length === 1 ? "This day" : `These ${days.length} days`) : "This range"}
        value={range && formatCount(range.used)}
        detail={range && days ? `${average(range.used, days.length)} a day` : null}
      />
      <Total
        label="Busiest day"
        value={range && (range.busiest ? formatCount(range.busiest.used) : "None")}
        detail={range?.busiest ? shortDay(range.busiest.day) : null}
      />
      <Total
        label="Beyond allowance"
        value={range && formatCount(range.overage)}
        detail={range && formatUnit(range.amountMinor, currency)}
      />
      <Total
        label="Month so far"
        value={sofar && formatCount(sofar.used)}
        detail={sofar && (sofar.overage > 0
          ? `${formatCount(sofar.overage)} beyond, ${formatUnit(sofar.amountMinor, currency)}`
          : "none beyond")}
      />
    </dl>
  );
}

const AVERAGE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const average = (used: number, days: number) => AVERAGE.format(days > 0 ? used / days : 0);

function Total(
  { label, value, detail }: { label: string; value: ReactNode; detail: ReactNode },
) {
  return (
    <div className="grid content-start gap-0.5 bg-card px-4 py-3.5">
      <dt className="text-sm text-muted">{label}</dt>
      <dd className="tabular-nums">
        {value === null
          ? <Skeleton className="my-1 h-7 w-16" />
          : <strong className="block text-2xl font-semibold tracking-[-0.03em]">{value}</strong>}
        <span className="block min-h-5 text-sm text-muted">{detail}</span>
      </dd>
    </div>
  );
}
