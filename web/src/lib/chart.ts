/** The geometry of the charts by day. Pure: numbers in, numbers out. */

/** Bars of a day are never narrower than this with their gap; the plot then scrolls. */
const MIN_STEP = 4;
const MAX_BAR = 44;
/** Below this share of the plot the tallest bar could no longer be read. */
const READABLE_SHARE = 1 / 4;

export interface Scale {
  /** The value at the bottom; 0 unless told. */
  min?: number;
  /** The value at the top. */
  max: number;
  /** From 0 to `max`, whole numbers. */
  ticks: number[];
}

/** A scale with round, whole steps (1, 2 or 5 times a power of ten), `steps` of them at most. */
export function niceScale(highest: number, steps = 4): Scale {
  const rough = Math.max(highest, 1) / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough) ?? 10;
  const step = Math.max(1, Math.round(factor * power));
  const count = Math.ceil(Math.max(highest, 1) / step);
  return { max: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => i * step) };
}

/** The same for values that may be below zero, with zero among the ticks. */
export function signedScale(lowest: number, highest: number, steps = 4): Scale {
  if (lowest >= 0) return niceScale(highest, steps);
  const above = niceScale(Math.max(highest, -lowest), steps);
  const step = above.ticks[1] ?? 1;
  const min = -Math.ceil(-lowest / step) * step;
  const max = Math.max(0, Math.ceil(highest / step)) * step;
  const count = Math.round((max - min) / step);
  return { min, max, ticks: Array.from({ length: count + 1 }, (_, i) => min + i * step) };
}

/**
 * The highest value to draw: that of the bars, and of the allowances which are not so far above them that they would press
 * them flat. What is higher is left out of the picture and told in words.
 */
export function heightOf(used: number[], allowances: (number | null)[]): number {
  const highestUse = Math.max(0, ...used);
  const limits = allowances.flatMap((value) => value ?? []);
  const drawn = highestUse === 0
    ? limits
    : limits.filter((value) => highestUse >= value * READABLE_SHARE);
  return Math.max(highestUse, 0, ...drawn);
}

export interface BarLayout {
  /** The width of the whole plot, which may be more than there is room for. */
  width: number;
  step: number;
  barWidth: number;
  /** The left edge of a bar. */
  left: (index: number) => number;
  /** The day at a place, from 0 to count − 1. */
  indexAt: (x: number) => number;
}

export function layoutBars(room: number, count: number): BarLayout {
  const step = Math.max(MIN_STEP, room / Math.max(1, count));
  const barWidth = Math.min(MAX_BAR, Math.max(step * 0.72, step - 12));
  return {
    width: step * count,
    step,
    barWidth,
    left: (index) => index * step + (step - barWidth) / 2,
    indexAt: (x) => Math.min(count - 1, Math.max(0, Math.floor(x / step))),
  };
}

/** Which days carry a label: evenly spaced, the last one among them. */
export function labelledDays(count: number, step: number, labelWidth = 72): number[] {
  const every = Math.max(1, Math.ceil(labelWidth / step));
  const days: number[] = [];
  for (let index = count - 1; index >= 0; index -= every) days.unshift(index);
  return days;
}
