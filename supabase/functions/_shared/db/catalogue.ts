import { z } from "zod";
import type { Json } from "../database.types.ts";
import type { CatalogueRow, CatalogueVerdict } from "../domain/catalogue.ts";
import { type Client, rows, type Tables } from "./client.ts";

/** A price of the catalogue; without tiers the list is empty. */
export type PriceRow = Omit<Tables["prices"]["Row"], "tiers"> & { tiers: Tier[] };

/** As the constraint of `prices.tiers` lets it be; `up_to` is null in the last one. */
const tierTable = z.array(z.object({
  up_to: z.number().nullable(),
  unit_amount_minor: z.number(),
  flat_amount_minor: z.number(),
}));
export type Tier = z.infer<typeof tierTable>[number];

function toPrice<T extends { tiers: Json | null }>(row: T): Omit<T, "tiers"> & { tiers: Tier[] } {
  return { ...row, tiers: tierTable.parse(row.tiers ?? []) };
}

/** A price as it is sold; `option` is its amount in a currency beside its own, when that one was asked for. */
export type SoldPrice = PriceRow & {
  option?: { currency: string; unit_amount_minor: number } | undefined;
};

/** An active price of the catalogue in a currency (default: its own), as the caller may read it. */
export async function findActivePrice(
  client: Client,
  lookupKey: string,
  currency?: string,
): Promise<SoldPrice | null> {
  const row = await rows(
    client.from("prices").select("*, price_currency_options(currency, unit_amount_minor)")
      .eq("lookup_key", lookupKey).eq("is_active", true).maybeSingle(),
  );
  if (row === null) return null;
  const { price_currency_options: options, ...price } = toPrice(row);
  if (currency === undefined || currency === price.currency) return price;
  const option = options.find((candidate) => candidate.currency === currency);
  return option === undefined ? null : { ...price, option };
}

const checkoutTermsSchema = z.object({
  trial_days: z.number(),
  automatic_tax: z.boolean(),
  allow_promotion_codes: z.boolean(),
});
export type CheckoutTerms = z.infer<typeof checkoutTermsSchema>;

/** Under which terms a user may buy a price; a trial is theirs once. */
export async function checkoutTerms(
  admin: Client,
  userId: string,
  lookupKey: string,
): Promise<CheckoutTerms> {
  return checkoutTermsSchema.parse(
    await rows(admin.rpc("checkout_terms", { p_user_id: userId, p_lookup_key: lookupKey })),
  );
}

/** Every lookup key that ever sold a plan, retired ones included: their subscribers keep what they bought. */
export async function catalogueKeys(client: Client): Promise<ReadonlySet<string>> {
  const prices = await rows(client.from("prices").select("lookup_key"));
  return new Set(prices.map((price) => price.lookup_key));
}

/** A price with the rank of its plan; also one that is no longer sold. */
export type PriceTermsRow = PriceRow & { rank: number };

export async function findPriceTerms(
  client: Client,
  lookupKey: string,
): Promise<PriceTermsRow | null> {
  const row = await rows(
    client.from("prices").select("*, plans(rank)").eq("lookup_key", lookupKey).maybeSingle(),
  );
  if (row === null) return null;
  const { plans, ...price } = toPrice(row);
  return { ...price, rank: plans.rank };
}

/** The metered price of a plan for the metric of another metered price; null when the plan has none. */
export async function meteredPriceOf(
  client: Client,
  planId: string,
  lookupKey: string,
): Promise<string | null> {
  const row = await rows(
    client.from("overage_prices").select("metric_id").eq("lookup_key", lookupKey).maybeSingle(),
  );
  if (row === null) return null;
  const wanted = await rows(
    client.from("overage_prices").select("lookup_key").eq("plan_id", planId)
      .eq("metric_id", row.metric_id).eq("is_active", true).maybeSingle(),
  );
  return wanted?.lookup_key ?? null;
}

/** A credit pack as it is sold in one currency. */
export type CreditPack = Tables["credit_packs"]["Row"];

/** A pack on sale, once per currency it has; the first is the pack's own. Empty when there is none. */
export async function findCreditPack(client: Client, lookupKey: string): Promise<CreditPack[]> {
  const row = await rows(
    client.from("credit_packs")
      .select("*, credit_pack_currency_options(currency, price_minor, credit_minor)")
      .eq("lookup_key", lookupKey).eq("is_active", true).maybeSingle(),
  );
  if (row === null) return [];
  const { credit_pack_currency_options: options, ...pack } = row;
  return [pack, ...options.map((option) => ({ ...pack, ...option }))];
}

/** Everything that is sold by a lookup key of Stripe's. */
export async function catalogueRows(admin: Client): Promise<CatalogueRow[]> {
  const found = await rows(admin.rpc("catalogue_rows"));
  return found.map((row) => ({
    lookupKey: row.lookup_key,
    currency: row.currency,
    amountMinor: row.amount_minor === null ? null : Number(row.amount_minor),
    billingInterval: row.billing_interval,
    tiersMode: row.tiers_mode,
    tiers: tierTable.parse(row.tiers ?? []),
    options: z.record(z.string(), z.number()).parse(row.options),
  }));
}

export async function noteCatalogueCheck(
  admin: Client,
  verdicts: { lookup_key: string; verdict: CatalogueVerdict }[],
): Promise<void> {
  await rows(admin.rpc("note_catalogue_check", { p_verdicts: verdicts }));
}
