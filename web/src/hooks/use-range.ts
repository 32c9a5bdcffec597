import { useSearchParams } from "react-router";
import {
  dayOf,
  type Preset,
  PRESETS,
  problemOf,
  type Range,
  rangeOf,
} from "../lib/usage-history.ts";
import { useNow } from "./use-now.ts";

/** Metric and days of the usage page, kept in its address: a reload or a link shows the same. */
export function useRange() {
  const [params, setParams] = useSearchParams();
  const today = dayOf(useNow(60_000));
  const preset = PRESETS.find((value) => value === params.get("days")) ?? "30";
  const range = preset === "custom"
    ? { from: params.get("from") ?? "", to: params.get("to") ?? "" }
    : rangeOf(preset, today);
  const set = (values: Record<string, string | null>) =>
    setParams((before) => {
      for (const [name, value] of Object.entries(values)) {
        if (value === null) before.delete(name);
        else before.set(name, value);
      }
      return before;
    }, { replace: true, preventScrollReset: true });
  return {
    today,
    preset,
    range,
    problem: problemOf(range, today),
    metric: params.get("metric") ?? "message",
    setMetric: (metric: string) => set({ metric }),
    // The days that are shown are what somebody begins to choose from.
    setPreset: (next: Preset) =>
      next === "custom"
        ? set({ days: next, from: range.from, to: range.to })
        : set({ days: next, from: null, to: null }),
    setRange: ({ from, to }: Range) => set({ from, to }),
  };
}
