import Stripe from "stripe";
import { z } from "zod";
import type { CatalogueRows } from "./catalogue.ts";

/** Puts meters, metered prices and credit packs into Stripe; the other half of catalogue.ts. */

type OverageRow = NonNullable<CatalogueRows["overage"]>[number];
type PackRow = NonNullable<CatalogueRows["packs"]>[number];

/** A meter per metric that can be billed, and a monthly metered price per row. Returns price ids by lookup key. */
export async function ensureMetered(
  stripe: Stripe,
  { metrics = [], overage = [] }: CatalogueRows,
): Promise<Map<string, string>> {
  const prices = new Map<string, string>();
  const meters = await ensureMeters(stripe, metrics);
  for (const row of overage.filter(({ is_active }) => is_active)) {
    const metric = metrics.find(({ id }) => id === row.metric_id);
    const meter = meters.get(row.metric_id);
    if (metric === undefined || meter === undefined) {
      throw new Error(`metered price ${row.lookup_key} names no meter: ${row.metric_id}`);
    }
    const name = `${metric.name} beyond the allowance`;
    const product = await ensureProduct(stripe, "metric", row.metric_id, name);
    prices.set(row.lookup_key, await ensureMeteredPrice(stripe, row, product, meter));
  }
  return prices;
}

/** A product and a one-time price per pack. Returns price ids by lookup key. */
export async function ensurePacks(stripe: Stripe, packs: PackRow[]): Promise<Map<string, string>> {
  const prices = new Map<string, string>();
  for (const row of packs.filter(({ is_active }) => is_active)) {
    const product = await ensureProduct(stripe, "credit_pack", row.lookup_key, row.name);
    const known = await findPrice(stripe, row.lookup_key);
    const options = Object.entries(row.options ?? {});
    const same = known?.type === "one_time" && known.currency === row.currency &&
      known.unit_amount === row.price_minor &&
      options.every(([currency, amount]) =>
        known.currency_options?.[currency]?.unit_amount === amount
      );
    const price = same ? known : await stripe.prices.create({
      product,
      lookup_key: row.lookup_key,
      transfer_lookup_key: true,
      currency: row.currency,
      unit_amount: row.price_minor,
      currency_options: Object.fromEntries(
        options.map(([currency, amount]) => [currency, { unit_amount: amount }]),
      ),
      metadata: { lookup_key: row.lookup_key },
    });
    prices.set(row.lookup_key, price.id);
  }
  return prices;
}

async function ensureMeters(
  stripe: Stripe,
  metrics: NonNullable<CatalogueRows["metrics"]>,
): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for await (const meter of stripe.billing.meters.list({ status: "active", limit: 100 })) {
    known.set(meter.event_name, meter.id);
  }
  const meters = new Map<string, string>();
  for (const { id, name, meter_event_name } of metrics) {
    const meter = known.get(meter_event_name) ?? (await stripe.billing.meters.create({
      display_name: name,
      event_name: meter_event_name,
      default_aggregation: { formula: "sum" },
    })).id;
    meters.set(id, meter);
  }
  return meters;
}

async function ensureProduct(
  stripe: Stripe,
  kind: string,
  of: string,
  name: string,
): Promise<string> {
  for await (const product of stripe.products.list({ active: true, limit: 100 })) {
    if (product.metadata[kind] !== of) continue;
    if (product.name !== name) await stripe.products.update(product.id, { name });
    return product.id;
  }
  return (await stripe.products.create({ name, metadata: { [kind]: of } })).id;
}

async function findPrice(stripe: Stripe, key: string): Promise<Stripe.Price | undefined> {
  const { data } = await stripe.prices.list({
    lookup_keys: [key],
    active: true,
    limit: 1,
    expand: ["data.currency_options"],
  });
  return data[0];
}

async function ensureMeteredPrice(
  stripe: Stripe,
  row: OverageRow,
  product: string,
  meter: string,
): Promise<string> {
  const known = await findPrice(stripe, row.lookup_key);
  if (known !== undefined && isSame(known, row, meter)) return known.id;
  // The raw way: SDK 23.1 writes a Decimal inside a map as the fields of its class, which Stripe refuses.
  const created = await stripe.rawRequest("POST", "/v1/prices", {
    product,
    lookup_key: row.lookup_key,
    transfer_lookup_key: true,
    currency: row.currency,
    unit_amount_decimal: row.unit_amount_minor,
    currency_options: Object.fromEntries(
      Object.entries(row.options ?? {}).map((
        [currency, amount],
      ) => [currency, { unit_amount_decimal: amount }]),
    ),
    recurring: { interval: "month", usage_type: "metered", meter },
    metadata: { plan: row.plan_id, lookup_key: row.lookup_key },
  });
  return z.object({ id: z.string() }).parse(created).id;
}

function isSame(price: Stripe.Price, row: OverageRow, meter: string): boolean {
  // As text first: inside a map SDK 23.1 leaves a decimal the string it came as, whatever its type says.
  const says = (amount: Stripe.Decimal | null | undefined, text: string) =>
    amount !== null && amount !== undefined &&
    Stripe.Decimal.from(amount.toString()).eq(Stripe.Decimal.from(text));
  return price.currency === row.currency && price.recurring?.meter === meter &&
    says(price.unit_amount_decimal, row.unit_amount_minor) &&
    Object.entries(row.options ?? {}).every(([currency, amount]) =>
      says(price.currency_options?.[currency]?.unit_amount_decimal, amount)
    );
}
