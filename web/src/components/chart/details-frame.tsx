import type { ReactNode } from "react";
import { type Day, longDay } from "../../lib/usage-history.ts";
import type { DayDetailsPlace } from "./day-chart.tsx";

const WIDTH = 208;

interface DetailsFrameProps extends DayDetailsPlace {
  day: Day;
  today: Day;
  children: ReactNode;
}

/** Beside the bar of a day, so that it is not covered. */
export function DetailsFrame({ day, today, x, room, children }: DetailsFrameProps) {
  const isRight = x + 14 + WIDTH <= room || x < WIDTH;
  const left = Math.max(0, Math.min(room - WIDTH, isRight ? x + 14 : x - 14 - WIDTH));
  return (
    <div
      aria-hidden
      className="pointer-events-none absolute top-1 z-10 grid gap-1 rounded-xl border border-line bg-card px-3 py-2.5 text-sm shadow-lift tabular-nums"
      style={{ left, width: Math.min(WIDTH, room) }}
    >
      <p className="flex justify-between gap-2 text-xs text-muted">
        {longDay(day)}
        {day === today && <span>so far</span>}
      </p>
      {children}
    </div>
  );
}
