import { useId } from "react";
import type { BarLayout } from "../../lib/chart.ts";
import type { DayUsage } from "../../lib/usage-history.ts";
import { Bar } from "../chart/bar.tsx";

interface BarsProps {
  days: DayUsage[];
  layout: BarLayout;
  y: (value: number) => number;
  /** Of what is drawn. */
  highest: number;
}

/** The bars: what the allowance covered, striped above it what was beyond, and the allowance as a dashed line. */
export function Bars({ days, layout, y, highest }: BarsProps) {
  const stripes = useId();
  return (
    <>
      <defs>
        <pattern
          id={stripes}
          width={8}
          height={8}
          patternUnits="userSpaceOnUse"
          patternTransform="rotate(35)"
        >
          <rect width={8} height={8} fill="var(--toll)" />
          <rect width={3.5} height={8} fill="var(--toll-stripe)" />
        </pattern>
      </defs>
      {days.map((day, index) => {
        const within = day.used - day.overage;
        return (
          <g key={day.day}>
            {within > 0 && (
              <Bar
                x={layout.left(index)}
                width={layout.barWidth}
                top={y(within)}
                bottom={y(0)}
                isTop={day.overage === 0}
                fill="var(--brand)"
              />
            )}
            {day.overage > 0 && (
              <Bar
                x={layout.left(index)}
                width={layout.barWidth}
                top={y(day.used)}
                bottom={y(within)}
                isTop
                fill={`url(#${stripes})`}
              />
            )}
          </g>
        );
      })}
      <path
        d={allowancePath(days, highest, layout.step, y)}
        fill="none"
        strokeWidth={1.5}
        strokeDasharray="5 4"
        className="stroke-ink"
      />
    </>
  );
}

/** A step for each day on which the allowance was another one; a gap where there was no limit, or one above the picture. */
function allowancePath(
  days: DayUsage[],
  highest: number,
  step: number,
  y: (value: number) => number,
): string {
  let path = "";
  let before: number | null = null;
  days.forEach((day, index) => {
    const allowance = day.allowance !== null && day.allowance <= highest ? day.allowance : null;
    if (allowance !== null) {
      const level = y(allowance);
      path += before === null ? `M${index * step} ${level}` : `L${index * step} ${level}`;
      path += `H${(index + 1) * step}`;
    }
    before = allowance;
  });
  return path;
}
