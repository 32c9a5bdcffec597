import type { CatalogueRows } from "./rows.ts";
import { SetupError } from "./steps.ts";
import type { Terms } from "./terms.ts";

/** What Stripe should have, by the rows. Pure: what refers to something whose id is not known yet has a reference. */

/** By this metadata a product is found again. */
export interface Mark {
  kind: "credit_pack" | "metric" | "plan";
  id: string;
}

export interface WantedProduct {
  ref: string;
  mark: Mark;
  name: string;
  /** Left as it is when undefined. */
  description?: string;
}

export interface WantedPrice {
  ref: string;
  key: string;
  terms: Terms;
  metadata: Record<string, string>;
  /** Whether the portal may switch to it. */
  isPlan: boolean;
}

export interface WantedMeter {
  ref: string;
  eventName: string;
  name: string;
}

export interface WantedFeature {
  ref: string;
  key: string;
  name: string;
  /** References of the products that include it. */
  products: string[];
}

export interface Wanted {
  products: WantedProduct[];
  meters: WantedMeter[];
  prices: WantedPrice[];
  features: WantedFeature[];
}

/** No text of Postgres has this character, so no row can look like a reference. */
const MARK = "\u0000";
const REFERENCE = new RegExp(`${MARK}[^${MARK}]+${MARK}`, "g");

export function refTo(kind: "feature" | "meter" | "price" | "product", id: string): string {
  return `${MARK}${kind}:${id}${MARK}`;
}

/** The text with every reference replaced by what `lookup` has for it. */
export function resolved(text: string, lookup: (ref: string) => string): string {
  return text.replaceAll(REFERENCE, lookup);
}

/** The same in every text of what is to be sent. */
export function resolvedIn(params: object, lookup: (ref: string) => string) {
  const each = (value: unknown): unknown => {
    if (typeof value === "string") return resolved(value, lookup);
    if (Array.isArray(value)) return value.map(each);
    return typeof value === "object" && value !== null ? resolvedIn(value, lookup) : value;
  };
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, each(value)]));
}

export function wantedOf(rows: CatalogueRows): Wanted {
  const meters = rows.metrics.map(({ id, name, meter_event_name: eventName }) => ({
    ref: refTo("meter", id),
    eventName,
    name,
  }));
  const plans = planPrices(rows);
  const metered = meteredPrices(rows);
  const packs = packPrices(rows);
  const prices = [...plans, ...metered, ...packs];
  const twice = prices.find(({ key }, index) => prices.findIndex((one) => one.key === key) < index);
  if (twice) {
    throw new SetupError(
      `${twice.key} is the lookup key of two prices; Stripe has one holder a key.`,
    );
  }
  const used = new Set(prices.map(({ terms }) => terms.product));
  const products = productsOf(rows).filter(({ ref }) => used.has(ref));
  return {
    products,
    meters,
    prices,
    features: featuresOf(rows, new Set(plans.map(({ terms }) => terms.product))),
  };
}

function product(mark: Mark, name: string, description?: string): WantedProduct {
  const ref = refTo("product", `${mark.kind}:${mark.id}`);
  return { ref, mark, name, ...(description !== undefined && { description }) };
}

function productsOf({ plans, metrics, packs }: CatalogueRows): WantedProduct[] {
  return [
    ...plans.map(({ id, name, description }) =>
      product({ kind: "plan", id }, name, description ?? "")
    ),
    ...metrics.map(({ id, name }) =>
      product({ kind: "metric", id }, `${name} beyond the allowance`)
    ),
    ...packs.map(({ lookup_key, name }) => product({ kind: "credit_pack", id: lookup_key }, name)),
  ];
}

const PLAIN = { tiersMode: null, tiers: [], meter: null, isOdd: false };

function planPrices({ plans, prices }: CatalogueRows): WantedPrice[] {
  return prices.filter(({ is_active }) => is_active).map((row) => {
    if (!plans.some(({ id }) => id === row.plan_id)) {
      throw new SetupError(`price ${row.lookup_key} names no plan: ${row.plan_id}`);
    }
    return {
      ref: refTo("price", row.lookup_key),
      key: row.lookup_key,
      metadata: { plan: row.plan_id, lookup_key: row.lookup_key },
      isPlan: true,
      terms: {
        ...PLAIN,
        product: refTo("product", `plan:${row.plan_id}`),
        currency: row.currency,
        amount: row.unit_amount_minor === null ? null : String(row.unit_amount_minor),
        options: asText(row.options),
        tiersMode: row.tiers_mode ?? null,
        tiers: (row.tiers ?? []).map((tier) => ({
          upTo: tier.up_to,
          unit: String(tier.unit_amount_minor),
          flat: String(tier.flat_amount_minor),
        })),
        interval: row.billing_interval,
      },
    };
  });
}

function meteredPrices({ metrics, overage }: CatalogueRows): WantedPrice[] {
  return overage.filter(({ is_active }) => is_active).map((row) => {
    if (!metrics.some(({ id }) => id === row.metric_id)) {
      throw new SetupError(`metered price ${row.lookup_key} names no meter: ${row.metric_id}`);
    }
    return {
      ref: refTo("price", row.lookup_key),
      key: row.lookup_key,
      metadata: { plan: row.plan_id, lookup_key: row.lookup_key },
      isPlan: false,
      terms: {
        ...PLAIN,
        product: refTo("product", `metric:${row.metric_id}`),
        currency: row.currency,
        amount: row.unit_amount_minor,
        options: row.options ?? {},
        interval: "month",
        meter: refTo("meter", row.metric_id),
      },
    };
  });
}

function packPrices({ packs }: CatalogueRows): WantedPrice[] {
  return packs.filter(({ is_active }) => is_active).map((row) => ({
    ref: refTo("price", row.lookup_key),
    key: row.lookup_key,
    metadata: { lookup_key: row.lookup_key },
    isPlan: false,
    terms: {
      ...PLAIN,
      product: refTo("product", `credit_pack:${row.lookup_key}`),
      currency: row.currency,
      amount: String(row.price_minor),
      options: asText(row.options),
      interval: null,
    },
  }));
}

/** Of plans that are sold; another plan has no product to attach a feature to. */
function featuresOf(
  { features, plan_features }: CatalogueRows,
  sold: ReadonlySet<string>,
): WantedFeature[] {
  return features.map(({ id, name }) => ({
    ref: refTo("feature", id),
    key: id,
    name,
    products: plan_features.filter(({ feature_id }) => feature_id === id)
      .map(({ plan_id }) => refTo("product", `plan:${plan_id}`))
      .filter((ref) => sold.has(ref)),
  })).filter(({ products }) => products.length > 0);
}

function asText(options: Record<string, number> | null | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options ?? {}).map(([currency, amount]) => [currency, String(amount)]),
  );
}
