import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { useWidth } from "../../hooks/use-width.ts";
import { type BarLayout, labelledDays, layoutBars, type Scale } from "../../lib/chart.ts";
import { formatCount } from "../../lib/money.ts";
import { type Day, shortDay } from "../../lib/usage-history.ts";

const PLOT = 220;
const TOP = 14;
const LABELS = 26;

export interface Drawing {
  layout: BarLayout;
  /** The height of a value in the picture. */
  y: (value: number) => number;
}

export interface DayDetailsPlace {
  /** The middle of the day's bar. */
  x: number;
  room: number;
}

interface DayChartProps {
  days: Day[];
  scale: Scale;
  /** What is drawn by day. */
  label: string;
  legend: ReactNode;
  /** A value at the left edge. */
  tick?: (value: number) => string;
  /** A day in words, for who does not see it. */
  dayText: (index: number) => string;
  /** What is known of the day under the pointer or the keyboard. */
  details: (index: number, place: DayDetailsPlace) => ReactNode;
  /** The bars themselves. */
  children: (drawing: Drawing) => ReactNode;
}

/** Something by day; the pointer or the arrow keys go from day to day. */
export function DayChart(props: DayChartProps) {
  const { days, scale, label, legend, tick: tickText = compact, dayText, details, children } =
    props;
  const [room, measure] = useWidth();
  const [active, setActive] = useState<number | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const hintId = useId();
  const { min = 0, max, ticks } = scale;
  const layout = layoutBars(room, days.length);
  const y = (value: number) => TOP + PLOT - ((value - min) / (max - min)) * PLOT;
  const last = days.length - 1;
  const at = active === null ? null : Math.min(active, last);

  useEffect(() => {
    // The present is at the right end.
    scroller.current?.scrollTo({ left: scroller.current.scrollWidth });
  }, [days.length, room]);

  const follow = (index: number) => {
    setActive(index);
    const element = scroller.current;
    if (!element) return;
    const x = layout.left(index);
    if (x < element.scrollLeft || x > element.scrollLeft + room - layout.step) {
      element.scrollTo({ left: x - room / 2 });
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const next = nextIndex(event.key, at ?? last, last);
    if (next === null) return;
    event.preventDefault();
    follow(next);
  };
  const onPointer = (event: PointerEvent<HTMLDivElement>) =>
    setActive(layout.indexAt(event.clientX - event.currentTarget.getBoundingClientRect().left));

  return (
    <figure className="grid grid-cols-[minmax(0,1fr)] gap-3 overflow-x-clip">
      <figcaption className="flex flex-wrap items-center gap-x-5 gap-y-1.5 text-sm text-muted tabular-nums">
        {legend}
      </figcaption>
      <div className="grid grid-cols-[auto_minmax(0,1fr)]">
        <div
          aria-hidden
          className="relative w-11 text-xs text-muted tabular-nums"
          style={{ height: TOP + PLOT + LABELS }}
        >
          {ticks.map((tick) => (
            <span key={tick} className="absolute right-2 -translate-y-1/2" style={{ top: y(tick) }}>
              {tickText(tick)}
            </span>
          ))}
        </div>
        <div ref={measure} className="relative min-w-0">
          <div ref={scroller} className="overflow-x-auto overflow-y-hidden">
            <div className="relative" style={{ width: layout.width, height: TOP + PLOT + LABELS }}>
              {room > 0 && (
                <svg
                  aria-hidden
                  width={layout.width}
                  height={TOP + PLOT + LABELS}
                  className="block"
                >
                  {ticks.map((tick) => (
                    <line
                      key={tick}
                      x1={0}
                      x2={layout.width}
                      y1={y(tick)}
                      y2={y(tick)}
                      className={tick === 0 ? "stroke-line-strong" : "stroke-line"}
                    />
                  ))}
                  {at !== null && (
                    <rect
                      x={at * layout.step}
                      width={layout.step}
                      y={TOP}
                      height={PLOT}
                      className="fill-ink/8"
                    />
                  )}
                  {children({ layout, y })}
                  <DayLabels days={days} layout={layout} />
                </svg>
              )}
              <div
                role="slider"
                tabIndex={0}
                aria-label={label}
                aria-describedby={hintId}
                aria-orientation="horizontal"
                aria-valuemin={1}
                aria-valuemax={days.length}
                aria-valuenow={(at ?? last) + 1}
                aria-valuetext={dayText(at ?? last)}
                onKeyDown={onKeyDown}
                onFocus={(event) =>
                  event.currentTarget.matches(":focus-visible") && follow(at ?? last)}
                onBlur={() => setActive(null)}
                onPointerMove={onPointer}
                onPointerDown={onPointer}
                onPointerLeave={(event) => event.pointerType === "mouse" && setActive(null)}
                className="absolute inset-x-0 cursor-crosshair rounded focus-visible:-outline-offset-2"
                style={{ top: TOP, height: PLOT }}
              />
            </div>
          </div>
          {at !== null && details(at, {
            x: layout.left(at) + layout.barWidth / 2 - (scroller.current?.scrollLeft ?? 0),
            room,
          })}
        </div>
      </div>
      <p id={hintId} className="sr-only">
        The left and right arrow keys go from day to day. The same numbers are in the table.
      </p>
    </figure>
  );
}

function nextIndex(key: string, index: number, last: number): number | null {
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return Math.max(0, index - 1);
    case "ArrowRight":
    case "ArrowUp":
      return Math.min(last, index + 1);
    case "PageDown":
      return Math.max(0, index - 7);
    case "PageUp":
      return Math.min(last, index + 7);
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact" });
const compact = (value: number) => value < 10_000 ? formatCount(value) : COMPACT.format(value);

function DayLabels({ days, layout }: { days: Day[]; layout: BarLayout }) {
  return labelledDays(days.length, layout.step).map((index) => {
    const x = (index + 0.5) * layout.step;
    const isFirst = x < 24;
    const isLast = x > layout.width - 24;
    return (
      <text
        key={index}
        x={isFirst ? 0 : isLast ? layout.width : x}
        y={TOP + PLOT + 18}
        textAnchor={isFirst ? "start" : isLast ? "end" : "middle"}
        className="fill-muted text-xs tabular-nums"
      >
        {shortDay(days[index] ?? "")}
      </text>
    );
  });
}
