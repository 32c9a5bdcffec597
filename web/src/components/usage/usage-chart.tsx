import { heightOf, niceScale } from "../../lib/chart.ts";
import { formatCount } from "../../lib/money.ts";
import { nounOf } from "../../lib/plans.ts";
import type { Day, DayUsage } from "../../lib/usage-history.ts";
import { DayChart } from "../chart/day-chart.tsx";
import { DayDetails, dayText } from "./day-details.tsx";
import { Bars } from "./usage-bars.tsx";

interface UsageChartProps {
  days: DayUsage[];
  metric: string;
  currency: string;
  today: Day;
}

/** Daily bars with the allowance. */
export function UsageChart({ days, metric, currency, today }: UsageChartProps) {
  const highest = heightOf(
    days.map((day) => day.used),
    days.map((day) => day.allowance),
  );
  return (
    <DayChart
      days={days.map((day) => day.day)}
      scale={niceScale(highest)}
      label={`${nounOf(metric, 2)} by day`}
      legend={<Legend days={days} metric={metric} highest={highest} />}
      dayText={(index) => dayText(days[index], metric, currency, today)}
      details={(index, place) => {
        const day = days[index];
        return day && (
          <DayDetails day={day} metric={metric} currency={currency} today={today} {...place} />
        );
      }}
    >
      {({ layout, y }) => <Bars days={days} layout={layout} y={y} highest={highest} />}
    </DayChart>
  );
}

interface LegendProps {
  days: DayUsage[];
  metric: string;
  /** Of what is drawn. */
  highest: number;
}

/** By shape as well as by colour: plain, striped, dashed. */
function Legend({ days, metric, highest }: LegendProps) {
  const allowance = days.at(-1)?.allowance ?? null;
  return (
    <>
      <span className="flex items-center gap-2">
        <span aria-hidden className="size-3 rounded-sm bg-brand" />
        Within the allowance
      </span>
      <span className="flex items-center gap-2">
        <span aria-hidden className="barrier-fine size-3 rounded-sm" />
        Beyond it
      </span>
      {allowance !== null && (
        <span className="flex items-center gap-2">
          <span aria-hidden className="w-5 border-t-2 border-dashed border-ink" />
          {`Allowance: ${formatCount(allowance)} ${nounOf(metric, allowance)} a day`}
          {allowance > highest && " (above this chart)"}
        </span>
      )}
    </>
  );
}
