import { formatCount, formatUnit } from "../../lib/money.ts";
import { titleOfMetric } from "../../lib/plans.ts";
import { type Day, type DayUsage, longDay, shortDay } from "../../lib/usage-history.ts";

interface HistoryTableProps {
  days: DayUsage[];
  metric: string;
  currency: string;
  today: Day;
}

const head = "sticky top-0 bg-card px-2 py-2.5 font-medium sm:px-3";
const cell = "px-2 py-2 text-right sm:px-3";

/** The same days as the chart, newest first. */
export function HistoryTable({ days, metric, currency, today }: HistoryTableProps) {
  return (
    <div
      role="region"
      aria-label="Days"
      tabIndex={0}
      className="max-h-112 overflow-auto rounded-xl border border-line bg-card"
    >
      <table className="w-full text-sm max-sm:text-xs tabular-nums">
        <caption className="sr-only">{titleOfMetric(metric)} by day, newest first</caption>
        <thead>
          <tr className="text-muted">
            <th scope="col" className={`${head} text-left`}>Day</th>
            <th scope="col" className={`${head} text-right`}>Used</th>
            <th scope="col" className={`${head} text-right`}>Allowance</th>
            <th scope="col" className={`${head} text-right`}>Beyond</th>
            <th scope="col" className={`${head} text-right`}>Amount</th>
          </tr>
        </thead>
        <tbody>
          {days.toReversed().map((day) => (
            <tr key={day.day} className="border-t border-line">
              <th scope="row" className="px-2 py-2 text-left sm:px-3 font-medium whitespace-nowrap">
                <span className="max-sm:sr-only">{longDay(day.day)}</span>
                <span aria-hidden className="sm:hidden">{shortDay(day.day)}</span>
                {day.day === today && (
                  <span className="ml-1 font-normal text-muted max-sm:ml-0 max-sm:block">
                    so far
                  </span>
                )}
              </th>
              <td className={cell}>{formatCount(day.used)}</td>
              <td className={`${cell} text-muted`}>
                {day.allowance === null ? "no limit" : formatCount(day.allowance)}
              </td>
              <td className={cell}>{formatCount(day.overage)}</td>
              <td className={cell}>{formatUnit(day.amountMinor, currency)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
