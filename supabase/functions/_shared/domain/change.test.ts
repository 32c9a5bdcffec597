import assert from "node:assert/strict";
import { changeKind, checkPreview } from "./change.ts";
import { AppError } from "./errors.ts";

function terms(rank: number, billing_interval: string, quantity = 1) {
  return { lookup_key: `p${rank}_${billing_interval}`, rank, billing_interval, quantity };
}

Deno.test("better begins now, less when the period is over", () => {
  const cases: [ReturnType<typeof terms>, ReturnType<typeof terms>, string][] = [
    [terms(10, "month"), terms(20, "month"), "now"],
    [terms(10, "year"), terms(20, "month"), "now"],
    [terms(10, "month"), terms(10, "year"), "now"],
    [terms(10, "month", 1), terms(10, "month", 3), "now"],
    [terms(20, "month"), terms(10, "month"), "at_period_end"],
    [terms(20, "month"), terms(10, "year"), "at_period_end"],
    [terms(10, "year"), terms(10, "month"), "at_period_end"],
    [terms(10, "month", 3), terms(10, "month", 1), "at_period_end"],
  ];
  for (const [from, to, kind] of cases) assert.equal(changeKind(from, to), kind);
});

Deno.test("a preview lives for a quarter of an hour", () => {
  checkPreview(1_000, 1_000);
  checkPreview(1_000, 1_900);
  for (const [date, now] of [[1_000, 1_901], [1_061, 1_000]] as const) {
    assert.throws(
      () => checkPreview(date, now),
      (error) => error instanceof AppError && error.code === "preview_expired",
    );
  }
});
