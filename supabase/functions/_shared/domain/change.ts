import { AppError } from "./errors.ts";

/** What decides how a price is changed: the rank of its plan, and how often it is paid. */
export interface PriceTerms {
  lookup_key: string;
  rank: number;
  billing_interval: string;
}

export type ChangeKind = "now" | "at_period_end";

/** A preview is a promise about money; after a quarter of an hour it is made anew. */
const PREVIEW_LIFETIME_SECONDS = 15 * 60;
/** Clocks differ a little. */
const PREVIEW_SKEW_SECONDS = 60;

/**
 * Better at once, less at the end of what is paid: a higher plan, or a year instead of a month, begins now; a lower plan, or
 * a month instead of a year, when the period is over. More seats are better, fewer are less.
 */
export function changeKind(
  from: PriceTerms & { quantity: number },
  to: PriceTerms & { quantity: number },
): ChangeKind {
  if (to.rank !== from.rank) return to.rank > from.rank ? "now" : "at_period_end";
  if (to.billing_interval !== from.billing_interval) {
    return to.billing_interval === "year" ? "now" : "at_period_end";
  }
  return to.quantity > from.quantity ? "now" : "at_period_end";
}

/** Refuses a preview that is too old, or of a time to come. Both times in Unix seconds. */
export function checkPreview(prorationDate: number, now: number): void {
  const age = now - prorationDate;
  if (age <= PREVIEW_LIFETIME_SECONDS && age >= -PREVIEW_SKEW_SECONDS) return;
  throw previewExpired();
}

export function previewExpired(): AppError {
  return new AppError("preview_expired", "This preview is no longer true. Look at the new one.");
}
