import { signedScale } from "../../lib/chart.ts";
import { formatCount, formatExact, formatMoney } from "../../lib/money.ts";
import type { EarningDay } from "../../lib/seller.ts";
import { type Day, longDay } from "../../lib/usage-history.ts";
import { Bar } from "../chart/bar.tsx";
import { DayChart, type Drawing } from "../chart/day-chart.tsx";
import { DetailsFrame } from "../chart/details-frame.tsx";

interface EarningsChartProps {
  days: EarningDay[];
  currency: string;
  today: Day;
}

const salesText = (count: number) => `${formatCount(count)} ${count === 1 ? "sale" : "sales"}`;

/** Earnings by day; a day on which more was given back than earned goes below the line. */
export function EarningsChart({ days, currency, today }: EarningsChartProps) {
  const earned = days.map((day) => day.earnedMinor);
  return (
    <DayChart
      days={days.map((day) => day.day)}
      scale={signedScale(Math.min(0, ...earned), Math.max(0, ...earned))}
      label="Earnings by day"
      legend={<Legend hasLoss={earned.some((value) => value < 0)} />}
      tick={(value) => formatMoney(value, currency).replace("-", "−")}
      dayText={(index) => dayText(days[index], currency, today)}
      details={(index, place) => {
        const day = days[index];
        return day && (
          <DetailsFrame day={day.day} today={today} {...place}>
            <p className="font-semibold">{formatExact(day.earnedMinor, currency)}</p>
            <p className="text-muted">{salesText(day.sales)}</p>
          </DetailsFrame>
        );
      }}
    >
      {(drawing) => <Bars days={days} {...drawing} />}
    </DayChart>
  );
}

/** A day in words, for who does not see it. */
function dayText(day: EarningDay | undefined, currency: string, today: Day): string {
  if (!day) return "No day";
  const soFar = day.day === today ? ", so far" : "";
  const earned = formatExact(day.earnedMinor, currency);
  return `${longDay(day.day)}${soFar}: ${earned}, ${salesText(day.sales)}`;
}

function Bars({ days, layout, y }: Drawing & { days: EarningDay[] }) {
  return days.map(({ day, earnedMinor }, index) => {
    if (earnedMinor === 0) return null;
    const isGain = earnedMinor > 0;
    return (
      <Bar
        key={day}
        x={layout.left(index)}
        width={layout.barWidth}
        top={y(Math.max(0, earnedMinor))}
        bottom={y(Math.min(0, earnedMinor))}
        isTop={isGain}
        fill={isGain ? "var(--brand)" : "var(--stop)"}
      />
    );
  });
}

/** By place as well as by colour: above the line, and below it. */
function Legend({ hasLoss }: { hasLoss: boolean }) {
  return (
    <>
      <span className="flex items-center gap-2">
        <span aria-hidden className="size-3 rounded-sm bg-brand" />
        Earned, after fees
      </span>
      {hasLoss && (
        <span className="flex items-center gap-2">
          <span aria-hidden className="size-3 rounded-sm bg-stop" />
          More given back than earned
        </span>
      )}
    </>
  );
}
