/** Rules about plans that more than one page needs. Pure: rows in, words and choices out. */

import { formatCount } from "./money.ts";

export type Interval = "month" | "year";
export type MetricId = "message" | "agent";

export interface Price {
  lookupKey: string;
  planId: string;
  currency: string;
  amountMinor: number;
  interval: Interval;
}

export interface Plan {
  id: string;
  name: string;
  description: string;
  rank: number;
  isDefault: boolean;
  /** null = unlimited; a metric that is absent is not part of the plan. */
  limits: Record<string, number | null>;
  features: string[];
  prices: Price[];
}

export interface Feature {
  id: string;
  name: string;
  rank: number;
}

export interface Catalogue {
  plans: Plan[];
  features: Feature[];
}

export function priceFor(plan: Plan, interval: Interval): Price | null {
  return plan.prices.find((price) => price.interval === interval) ?? null;
}

export function findPrice(catalogue: Catalogue, lookupKey: string | null): Price | null {
  if (!lookupKey) return null;
  for (const plan of catalogue.plans) {
    const price = plan.prices.find((candidate) => candidate.lookupKey === lookupKey);
    if (price) return price;
  }
  return null;
}

/** The cheapest way up: the lowest plan above this one that really gives more of the metric. */
export function nextPlan(catalogue: Catalogue, currentId: string, metric: MetricId): Plan | null {
  const current = catalogue.plans.find((plan) => plan.id === currentId);
  if (!current) return null;
  const higher = catalogue.plans
    .filter((plan) => plan.rank > current.rank && gives(plan, metric) > gives(current, metric))
    .sort((a, b) => a.rank - b.rank);
  return higher[0] ?? null;
}

function gives(plan: Plan, metric: MetricId): number {
  const limit = plan.limits[metric];
  if (limit === undefined) return 0;
  return limit ?? Number.POSITIVE_INFINITY;
}

/** `500 messages a day`, `Unlimited agents`, `1 agent`. */
export function limitText(metric: MetricId, limit: number | null): string {
  const amount = limit === null ? "Unlimited" : formatCount(limit);
  const noun = metric === "agent"
    ? (limit === 1 ? "agent" : "agents")
    : (limit === 1 ? "message" : "messages");
  const period = metric === "message" && limit !== null ? " a day" : "";
  return `${amount} ${noun}${period}`;
}

/** The features of a plan, by the catalogue's order. */
export function featuresOf(catalogue: Catalogue, plan: Plan): Feature[] {
  return catalogue.features.filter((feature) => plan.features.includes(feature.id));
}

/**
 * What paying for a year is worth, in words, as far as it is true of every plan with both prices:
 * `2 months free`, or `save 12%` (the smallest share, rounded down); null when a plan saves nothing.
 */
export function annualOffer(catalogue: Catalogue): string | null {
  const offers = catalogue.plans.flatMap((plan) => {
    const month = priceFor(plan, "month");
    const year = priceFor(plan, "year");
    if (!month || !year || month.currency !== year.currency || month.amountMinor === 0) return [];
    return [{ months: 12 - year.amountMinor / month.amountMinor }];
  });
  const months = Math.min(...offers.map((offer) => offer.months));
  if (offers.length === 0 || months <= 0) return null;
  const isSame = offers.every((offer) => offer.months === months) && Number.isInteger(months);
  if (!isSame) return `save ${Math.floor((months / 12) * 100)}%`;
  return months === 1 ? "1 month free" : `${months} months free`;
}
