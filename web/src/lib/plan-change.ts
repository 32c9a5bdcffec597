/** A change of plan as Stripe would bill it, before it is made. Pure. */

export interface PreviewLine {
  description: string;
  /** Negative for what is given back. */
  amountMinor: number;
  proration: boolean;
}

export interface Preview {
  kind: "now" | "at_period_end";
  effectiveAt: number | null;
  /** In seconds, as Stripe counts; the change is made with the same one, so that the amounts are these. */
  prorationDate: number;
  currency: string;
  dueNowMinor: number;
  lines: PreviewLine[];
  nextAmountMinor: number | null;
  nextPaymentAt: number | null;
  fromLookupKey: string | null;
  toLookupKey: string;
}

/** The server takes a preview back after 15 minutes; a minute earlier there is still time to press. */
export const PREVIEW_LIFE_MS = 14 * 60_000;

/**
 * What lies between the lines and the amount to pay, so that the receipt adds up: what the invoice takes
 * off or puts on as a whole, or what is left over and kept for the next one. null when nothing does.
 */
export function restOf(
  { lines, dueNowMinor }: Preview,
): { label: string; amountMinor: number } | null {
  const sum = lines.reduce((total, line) => total + line.amountMinor, 0);
  if (lines.length === 0 || sum === dueNowMinor) return null;
  const label = sum < 0 && dueNowMinor === 0 ? "Kept as credit" : "Discounts, credit and tax";
  return { label, amountMinor: dueNowMinor - sum };
}
