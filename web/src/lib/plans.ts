/** Rules about plans that more than one page needs. Pure: rows in, words and choices out. */

import { formatCount, formatMoney, formatUnit } from "./money.ts";
import type { OveragePrice } from "./overage.ts";

export type Interval = "month" | "year";
export type MetricId = "message" | "agent" | "tool";
/** In the order in which they are told. */
export const METRICS: readonly MetricId[] = ["message", "tool", "agent"];

const NOUNS: Record<MetricId, [one: string, many: string]> = {
  message: ["message", "messages"],
  agent: ["agent", "agents"],
  tool: ["tool call", "tool calls"],
};

function isMetric(metric: string): metric is MetricId {
  return metric in NOUNS;
}

/** `message`, `messages`; a metric we do not know goes by its own name. */
export function nounOf(metric: string, count: number): string {
  if (!isMetric(metric)) return metric.replaceAll("_", " ");
  return NOUNS[metric][count === 1 ? 0 : 1];
}

export interface Price {
  lookupKey: string;
  planId: string;
  currency: string;
  /** For one; 0 where only tiers say what it costs. */
  amountMinor: number;
  interval: Interval;
  /** Days before the first payment, for who never had a trial; 0 = none. */
  trialDays: number;
  /** What it costs depends on how many. */
  tiers: TierTable | null;
  /** The currency it is charged in when nobody asks for another. */
  ownCurrency: string;
  /** The amount in each currency it is sold in. */
  amounts: Record<string, number>;
}

export interface TierTable {
  /** `graduated`: each unit by its own tier; `volume`: all units by the tier of the last one. */
  mode: "graduated" | "volume";
  tiers: Tier[];
}

export interface Tier {
  /** The last unit of this tier; null = all further ones. */
  upTo: number | null;
  unitAmountMinor: number;
  flatAmountMinor: number;
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
  /** What a unit beyond the allowance costs, for those who switch that on. */
  overage: OveragePrice[];
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

/** `Business`, or only `annual billing` when the plan stays; null when the catalogue does not have it. */
export function nameOfChange(
  catalogue: Catalogue,
  from: string | null,
  lookupKey: string,
): string | null {
  const price = findPrice(catalogue, lookupKey);
  if (!price) return null;
  if (findPrice(catalogue, from)?.planId === price.planId) {
    return price.interval === "year" ? "annual billing" : "monthly billing";
  }
  return catalogue.plans.find((plan) => plan.id === price.planId)?.name ?? null;
}

/** What a number of units costs for one interval, by Stripe's rules for tiers. */
export function costOf({ tiers, amountMinor }: Price, quantity: number): number {
  if (!tiers) return amountMinor * quantity;
  let cost = 0;
  let from = 0;
  for (const { upTo, unitAmountMinor, flatAmountMinor } of tiers.tiers) {
    const end = upTo ?? Number.POSITIVE_INFINITY;
    if (tiers.mode === "volume" && quantity <= end) {
      return flatAmountMinor + quantity * unitAmountMinor;
    }
    if (tiers.mode === "graduated" && quantity > from) {
      cost += flatAmountMinor + (Math.min(quantity, end) - from) * unitAmountMinor;
    }
    from = end;
  }
  return cost;
}

/** `$15`, or `from $8` when it depends on how many. */
export function headlinePrice(price: Price): string {
  const amount = formatMoney(costOf(price, 1), price.currency);
  return price.tiers ? `from ${amount}` : amount;
}

/** `First 5`, `6 to 20`, `From 21`: which units a tier is about. */
export function tierRange(tiers: Tier[], index: number): string {
  const from = (tiers[index - 1]?.upTo ?? 0) + 1;
  const upTo = tiers[index]?.upTo ?? null;
  if (upTo === null) return index === 0 ? "Each" : `From ${formatCount(from)}`;
  if (index === 0) return upTo === 1 ? "The first" : `First ${formatCount(upTo)}`;
  return `${formatCount(from)} to ${formatCount(upTo)}`;
}

/** `$8 each`, `$20 together`, or `$20 + $8 each`. */
export function tierPrice({ unitAmountMinor, flatAmountMinor }: Tier, currency: string): string {
  const each = `${formatMoney(unitAmountMinor, currency)} each`;
  const flat = `${formatMoney(flatAmountMinor, currency)} together`;
  if (flatAmountMinor === 0) return each;
  return unitAmountMinor === 0 ? flat : `${formatMoney(flatAmountMinor, currency)} + ${each}`;
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

/** `Messages`, `Tool calls`: the name of a metric at the head of something. */
export function titleOfMetric(metric: string): string {
  const noun = nounOf(metric, 2);
  return noun.charAt(0).toUpperCase() + noun.slice(1);
}

/** The limits of a plan in words, as far as it has them. */
export function limitTexts(limits: Record<string, number | null>): string[] {
  return METRICS.flatMap((metric) => {
    const limit = limits[metric];
    return limit === undefined ? [] : [limitText(metric, limit)];
  });
}

/** `500 messages a day`, `Unlimited agents`, `1 agent`. */
export function limitText(metric: MetricId, limit: number | null): string {
  const amount = limit === null ? "Unlimited" : formatCount(limit);
  const noun = nounOf(metric, limit ?? 2);
  const period = metric !== "agent" && limit !== null ? " a day" : "";
  return `${amount} ${noun}${period}`;
}

/** `$0.02 a message, $0.01 a tool call`: what is beyond the allowance; null when it is not sold in this currency. */
export function overageText(plan: Plan, currency: string): string | null {
  const parts = METRICS.flatMap((metric) => {
    const price = plan.overage.find((row) => row.metric === metric);
    const amount = price?.amounts[currency];
    return amount === undefined ? [] : [`${formatUnit(amount, currency)} a ${nounOf(metric, 1)}`];
  });
  return parts.length === 0 ? null : parts.join(", ");
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
    if (!month || !year || month.currency !== year.currency) return [];
    if (month.tiers || year.tiers || month.amountMinor === 0) return [];
    return [{ months: 12 - year.amountMinor / month.amountMinor }];
  });
  const months = Math.min(...offers.map((offer) => offer.months));
  if (offers.length === 0 || months <= 0) return null;
  const isSame = offers.every((offer) => offer.months === months) && Number.isInteger(months);
  if (!isSame) return `save ${Math.floor((months / 12) * 100)}%`;
  return months === 1 ? "1 month free" : `${months} months free`;
}
