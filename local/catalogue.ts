import type Stripe from "stripe";
import { ensureMetered, ensurePacks } from "./catalogue_usage.ts";

/**
 * Puts the catalogue's rows into Stripe: a product per plan that has prices, a price per row found by its lookup key, and one Billing
 * Portal configuration. Idempotent, and the only direction: the rows of the database are the truth, Stripe's objects follow.
 */
export type CatalogueRows = {
  plans: { id: string; name: string; description: string | null }[];
  prices: {
    lookup_key: string;
    plan_id: string;
    currency: string;
    /** Null for a price with tiers. */
    unit_amount_minor: number | null;
    billing_interval: "month" | "year";
    is_active: boolean;
    tiers_mode?: "graduated" | "volume" | null;
    tiers?: Tier[] | null;
    /** What it costs in currencies beside its own. */
    options?: Record<string, number> | null;
  }[];
  /** What can be billed beyond an allowance: Stripe's meter of each metric, and its prices. Amounts are decimal text. */
  metrics?: { id: string; name: string; meter_event_name: string }[];
  overage?: {
    lookup_key: string;
    plan_id: string;
    metric_id: string;
    currency: string;
    unit_amount_minor: string;
    is_active: boolean;
    options: Record<string, string> | null;
  }[];
  packs?: {
    lookup_key: string;
    name: string;
    currency: string;
    price_minor: number;
    is_active: boolean;
    options?: Record<string, number> | null;
  }[];
};

interface Tier {
  up_to: number | null;
  unit_amount_minor: number;
  flat_amount_minor: number;
}

type PriceRow = CatalogueRows["prices"][number];

/**
 * supabase/functions finds the portal's configurations by these values of `metadata.tollgate`. In the second nothing can be
 * switched: the portal would offer the plans also to the subscription of a licence, whose payments are its creator's.
 */
const PORTALS = ["portal", "portal_licences"] as const;
/** Stripe's limit for one `lookup_keys` filter. */
const LOOKUP_KEYS_PER_CALL = 10;

/** Returns the Stripe price id of every active lookup key. */
export async function ensureCatalogue(
  stripe: Stripe,
  rows: CatalogueRows,
): Promise<Map<string, string>> {
  const active = rows.prices.filter((row) => row.is_active);
  const plans = rows.plans.filter((plan) => active.some((row) => row.plan_id === plan.id));
  const products = await ensureProducts(stripe, plans);
  const known = await findPrices(stripe, active.map((row) => row.lookup_key));
  const prices = new Map<string, string>();
  const portal = new Map<string, string[]>();
  for (const row of active) {
    const product = products.get(row.plan_id);
    if (product === undefined) {
      throw new Error(`price ${row.lookup_key} names no plan: ${row.plan_id}`);
    }
    const price = await ensurePrice(stripe, row, product, known.get(row.lookup_key));
    prices.set(row.lookup_key, price);
    portal.set(product, [...portal.get(product) ?? [], price]);
  }
  if (portal.size > 0) await ensurePortals(stripe, portal);
  for (const [key, id] of await ensureMetered(stripe, rows)) prices.set(key, id);
  for (const [key, id] of await ensurePacks(stripe, rows.packs ?? [])) prices.set(key, id);
  return prices;
}

async function ensureProducts(
  stripe: Stripe,
  plans: CatalogueRows["plans"],
): Promise<Map<string, string>> {
  const found = new Map<string, Stripe.Product>();
  for await (const product of stripe.products.list({ active: true, limit: 100 })) {
    const plan = product.metadata["plan"];
    if (plan !== undefined && !found.has(plan)) found.set(plan, product);
  }
  const ids = new Map<string, string>();
  for (const plan of plans) {
    const wanted = {
      name: plan.name,
      ...(plan.description ? { description: plan.description } : {}),
    };
    const existing = found.get(plan.id);
    if (!existing) {
      const created = await stripe.products.create({ ...wanted, metadata: { plan: plan.id } });
      ids.set(plan.id, created.id);
      continue;
    }
    const same = existing.name === plan.name &&
      (existing.description ?? null) === (plan.description || null);
    if (!same) await stripe.products.update(existing.id, wanted);
    ids.set(plan.id, existing.id);
  }
  return ids;
}

async function findPrices(stripe: Stripe, keys: string[]): Promise<Map<string, Stripe.Price>> {
  const found = new Map<string, Stripe.Price>();
  for (let start = 0; start < keys.length; start += LOOKUP_KEYS_PER_CALL) {
    const lookup_keys = keys.slice(start, start + LOOKUP_KEYS_PER_CALL);
    const { data } = await stripe.prices.list({
      lookup_keys,
      active: true,
      limit: 100,
      expand: ["data.currency_options", "data.tiers"],
    });
    for (const price of data) if (price.lookup_key) found.set(price.lookup_key, price);
  }
  return found;
}

async function ensurePrice(
  stripe: Stripe,
  row: PriceRow,
  product: string,
  existing: Stripe.Price | undefined,
): Promise<string> {
  // Before the key moves on: the metadata goes on saying what the old price's subscribers bought.
  if (existing) await keepLookupKey(stripe, existing, row.lookup_key);
  if (existing && isSamePrice(existing, row, product)) {
    await addCurrencies(stripe, existing, row);
    return existing.id;
  }
  // An amount cannot be changed in Stripe: a new price takes the key over, running subscriptions keep the old one.
  const created = await stripe.prices.create({
    product,
    lookup_key: row.lookup_key,
    transfer_lookup_key: true,
    currency: row.currency,
    ...amountOf(row),
    ...(row.options && { currency_options: currencyOptions(row.options) }),
    recurring: { interval: row.billing_interval },
    metadata: { plan: row.plan_id, lookup_key: row.lookup_key },
  });
  return created.id;
}

async function keepLookupKey(stripe: Stripe, price: Stripe.Price, key: string): Promise<void> {
  if (price.metadata["lookup_key"] === key) return;
  await stripe.prices.update(price.id, { metadata: { lookup_key: key } });
}

/** A currency may be added to a price; an amount that is there never changes. */
async function addCurrencies(stripe: Stripe, price: Stripe.Price, row: PriceRow): Promise<void> {
  const missing = Object.entries(row.options ?? {})
    .filter(([currency]) => price.currency_options?.[currency] === undefined);
  if (missing.length === 0) return;
  const currency_options = currencyOptions(Object.fromEntries(missing));
  await stripe.prices.update(price.id, { currency_options });
}

function currencyOptions(options: Record<string, number>) {
  return Object.fromEntries(
    Object.entries(options).map(([currency, unit_amount]) => [currency, { unit_amount }]),
  );
}

function amountOf(
  { unit_amount_minor, tiers, tiers_mode }: PriceRow,
): Pick<Stripe.PriceCreateParams, "unit_amount" | "billing_scheme" | "tiers" | "tiers_mode"> {
  if (!tiers || !tiers_mode) return { unit_amount: unit_amount_minor ?? 0 };
  return {
    billing_scheme: "tiered",
    tiers_mode,
    tiers: tiers.map((tier) => ({
      up_to: tier.up_to ?? "inf",
      unit_amount: tier.unit_amount_minor,
      ...(tier.flat_amount_minor > 0 && { flat_amount: tier.flat_amount_minor }),
    })),
  };
}

function isSamePrice(price: Stripe.Price, row: PriceRow, product: string): boolean {
  const of = typeof price.product === "string" ? price.product : price.product.id;
  return of === product && price.currency === row.currency &&
    price.unit_amount === row.unit_amount_minor &&
    price.recurring?.interval === row.billing_interval && price.recurring.interval_count === 1 &&
    price.tiers_mode === (row.tiers_mode ?? null) && haveSameTiers(price.tiers, row.tiers) &&
    Object.entries(row.options ?? {}).every(([currency, amount]) =>
      [undefined, amount].includes(price.currency_options?.[currency]?.unit_amount ?? undefined)
    );
}

function haveSameTiers(theirs: Stripe.Price.Tier[] | undefined, ours: Tier[] | null | undefined) {
  const rows = ours ?? [];
  return (theirs ?? []).length === rows.length &&
    rows.every((tier, index) =>
      theirs?.[index]?.up_to === tier.up_to &&
      (theirs[index].unit_amount ?? 0) === tier.unit_amount_minor &&
      (theirs[index].flat_amount ?? 0) === tier.flat_amount_minor
    );
}

async function ensurePortals(
  stripe: Stripe,
  pricesByProduct: Map<string, string[]>,
): Promise<void> {
  const { data } = await stripe.billingPortal.configurations.list({ active: true, limit: 100 });
  for (const mark of PORTALS) {
    const existing = data.find((one) => one.metadata?.["tollgate"] === mark);
    await ensurePortal(stripe, mark, portalFeatures(mark, pricesByProduct), existing);
  }
}

async function ensurePortal(
  stripe: Stripe,
  mark: typeof PORTALS[number],
  features: Stripe.BillingPortal.ConfigurationCreateParams.Features,
  existing: Stripe.BillingPortal.Configuration | undefined,
): Promise<void> {
  // Compared by what was asked for: Stripe's answer adds fields of its own.
  const version = await digest(JSON.stringify(features));
  const metadata = { tollgate: mark, version };
  if (!existing) await stripe.billingPortal.configurations.create({ features, metadata });
  else if (existing.metadata?.["version"] !== version) {
    await stripe.billingPortal.configurations.update(existing.id, { features, metadata });
  }
}

function portalFeatures(
  mark: typeof PORTALS[number],
  pricesByProduct: Map<string, string[]>,
): Stripe.BillingPortal.ConfigurationCreateParams.Features {
  return {
    customer_update: { enabled: true, allowed_updates: ["email", "name", "address", "tax_id"] },
    invoice_history: { enabled: true },
    payment_method_update: { enabled: true },
    subscription_cancel: { enabled: true, mode: "at_period_end" },
    subscription_update: mark === "portal_licences" ? { enabled: false } : {
      enabled: true,
      default_allowed_updates: ["price", "promotion_code"],
      // At once: pending prorations of a plan that is then cancelled may never be paid.
      proration_behavior: "always_invoice",
      products: [...pricesByProduct].map(([product, prices]) => ({ product, prices })),
    },
  };
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes).slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
