/** Paying beyond the allowance: what is known of it, what it will come to, what may go on. Pure. */

import type { Entitlements } from "./subscription.ts";
import { type Catalogue, costOf, findPrice, type Price } from "./plans.ts";
import { priceIn } from "./currency.ts";

export interface OverageMetric {
  metric: string;
  name: string;
  quantity: number;
  /** In minor units; may be a part of one. null: no longer sold, and there is something to pay. */
  unitMinor: number | null;
  amountMinor: number;
}

export interface Credits {
  balanceMinor: number;
  currency: string;
  nextExpiry: number | null;
}

export interface Overage {
  available: boolean;
  /** Why it is not available. */
  reason: string | null;
  enabled: boolean;
  /** Stripe has the metered items: what is used can be billed. */
  attached: boolean;
  capMinor: number | null;
  /** The highest cap that may be chosen. */
  maximumCapMinor: number;
  currency: string;
  periodStart: number | null;
  periodEnd: number | null;
  /** Rounded up to whole minor units. */
  spentMinor: number;
  projectedMinor: number;
  metrics: OverageMetric[];
  credits: Credits | null;
}

/** What a plan charges beyond its allowance. */
export interface OveragePrice {
  metric: string;
  currency: string;
  unitMinor: number;
  /** In each currency it is sold in. */
  amounts: Record<string, number>;
}

export function metricOf(overage: Overage, metric: string): OverageMetric | null {
  return overage.metrics.find((row) => row.metric === metric) ?? null;
}

/** Floats add up to a little less or more; the smallest price is far above this. */
const TINY = 1e-6;

/** `open`: the next unit would be admitted and charged; it is the database that decides. */
export type Beyond = "open" | "capped" | "pending" | "off" | "unavailable";

export function beyondOf(overage: Overage | null, metric: string): Beyond {
  const unit = overage && metricOf(overage, metric)?.unitMinor;
  if (!overage?.available || !unit) return "unavailable";
  if (!overage.enabled) return "off";
  if (!overage.attached) return "pending";
  const spent = overage.metrics.reduce((sum, row) => sum + row.amountMinor, 0);
  return spent + unit <= (overage.capMinor ?? 0) + TINY ? "open" : "capped";
}

/** How many units of a metric the cap pays for when nothing else is bought. */
export function unitsWithin(capMinor: number, unitMinor: number): number {
  return Math.floor(capMinor / unitMinor + TINY);
}

/** What a cap begins with: the plan's price for a month, in whole units of the currency. */
export function suggestedCap(
  price: Price | null,
  quantity: number,
  majorMinor: number,
  maximumMinor: number,
): number {
  if (!price) return Math.min(maximumMinor, 20 * majorMinor);
  const monthly = costOf(price, Math.max(1, quantity)) / (price.interval === "year" ? 12 : 1);
  const whole = Math.ceil(monthly / majorMinor) * majorMinor;
  return Math.min(maximumMinor, Math.max(majorMinor, whole));
}

export interface Bill {
  /** The next period of the plan; null when it is not on the bill of this date. */
  planMinor: number | null;
  overageMinor: number;
  /** What prepaid credit takes off; it pays for usage and not for the plan. */
  creditMinor: number;
  totalMinor: number;
}

/** The bill at the end of the usage period: the plan's next period, and what was used beyond the last one. */
export function projectBill(overage: Overage, planMinor: number | null): Bill {
  const { projectedMinor, credits, currency } = overage;
  const credit = credits?.currency === currency ? credits.balanceMinor : 0;
  const creditMinor = Math.min(credit, projectedMinor);
  return {
    planMinor,
    overageMinor: projectedMinor,
    creditMinor,
    totalMinor: (planMinor ?? 0) + projectedMinor - creditMinor,
  };
}

const DAY_MS = 86_400_000;

/** What of the plan is on the bill of that date: nothing of one that ends, or that is paid for longer. */
export function planOnBill(
  catalogue: Catalogue,
  { subscription, pendingChange }: Entitlements,
  { currency, periodEnd }: Overage,
): number | null {
  if (!subscription || subscription.endsAt !== null || periodEnd === null) return null;
  const renewal = subscription.currentPeriodEnd;
  if (renewal !== null && renewal > periodEnd + DAY_MS) return null;
  const price = findPrice(catalogue, pendingChange?.lookupKey ?? subscription.priceLookupKey);
  if (!price) return null;
  const sold = priceIn(price, currency);
  return sold.currency === currency ? costOf(sold, Math.max(1, subscription.quantity ?? 1)) : null;
}

const REASONS: Record<string, string> = {
  no_subscription: "Pay as you go comes with a paid plan.",
  plan_without_overage: "Your plan has no prices for use beyond its allowance.",
  subscription_not_active: "Pay as you go waits until your subscription is active and paid.",
  unpaid_invoice:
    "An invoice of an earlier subscription is still open. Pay it first, among your invoices.",
};

/** Why it is not available, in a sentence. */
export function whyNot(reason: string | null): string {
  return REASONS[reason ?? ""] ?? "Pay as you go is not available for your plan at the moment.";
}
