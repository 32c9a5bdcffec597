import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { shortHash } from "../domain/hash.ts";
import {
  isMetered,
  type MeteredItemSnapshot,
  type MeteringSnapshot,
  toCreditBalances,
  toCreditGrant,
  toMeteredItem,
} from "../domain/metering.ts";
import { log } from "../log.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { syncCustomer } from "./sync.ts";
import { settleUsage } from "./usage.ts";

const MAX_GRANTS = 1_000;

/** Amounts of a price never change, so what was read once stays true: price and currency to minor units, as text. */
const unitAmounts = new Map<string, string | null>();

/** What a customer may use beyond their plan and what they have prepaid, as Stripe says it now. */
export async function fetchMetering(
  customer: string,
  subscriptions: Stripe.Subscription[],
): Promise<MeteringSnapshot> {
  const grants = await callingStripe(() =>
    stripe().billing.creditGrants.list({ customer, limit: 100 })
      .autoPagingToArray({ limit: MAX_GRANTS })
  );
  const items = subscriptions.flatMap((subscription) =>
    (subscription.items?.data ?? []).filter(isMetered)
      .map((item) => snapshotOf(subscription, item))
  );
  return {
    metered_items: await Promise.all(items),
    credit_grants: grants.flatMap(toCreditGrant),
    credit_balances: grants.length === 0 ? [] : await fetchBalances(customer),
  };
}

async function fetchBalances(customer: string) {
  const summary = await callingStripe(() =>
    stripe().billing.creditBalanceSummaries.retrieve({
      customer,
      filter: { type: "applicability_scope", applicability_scope: { price_type: "metered" } },
    })
  );
  return toCreditBalances(summary);
}

async function snapshotOf(
  subscription: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
): Promise<MeteredItemSnapshot> {
  return toMeteredItem(
    subscription,
    item,
    await unitAmountOf(item.price, subscription.currency),
  );
}

/** Null for tiers and packages: there is no one amount for a unit. */
async function unitAmountOf(price: Stripe.Price, currency: string): Promise<string | null> {
  if (price.billing_scheme !== "per_unit" || price.transform_quantity) return null;
  if (price.currency === currency) return price.unit_amount_decimal?.toString() ?? null;
  const key = `${price.id} ${currency}`;
  const known = unitAmounts.get(key);
  if (known !== undefined) return known;
  const whole = await callingStripe(() =>
    stripe().prices.retrieve(price.id, { expand: ["currency_options"] })
  );
  const amount = whole.currency_options?.[currency]?.unit_amount_decimal?.toString() ?? null;
  unitAmounts.set(key, amount);
  return amount;
}

/**
 * Says yes (with a cap in minor units) or no to paying beyond the allowance, and puts the metered items into the
 * subscription. When Stripe cannot be reached the answer is kept, and usage-sync puts them there later; until then nothing
 * beyond the allowance is admitted.
 *
 * Errors: `overage_not_available`, `invalid_cap`, `price_mismatch`, `billing_unavailable`.
 */
export async function chooseOverage(
  wish: { enabled: boolean; cap_minor?: number | undefined },
  { supabase, supabaseAdmin, user }: db.UserCall,
): Promise<Json> {
  const answer = await db.setOverage(supabase, wish);
  if (!wish.enabled) return answer;
  const customer = await db.findCustomer(supabase, user.id);
  if (customer !== null) await attachMeteredItems(supabaseAdmin, customer);
  return await db.myOverage(supabase);
}

/** Puts the items there for everybody who said yes and has none: their call died, or their plan has changed. */
export async function attachMissing(admin: db.Client, limit: number): Promise<number> {
  const customers = await db.customersWithoutMeteredItems(admin, limit);
  let failed = 0;
  for (const customer of customers) {
    try {
      await attachMeteredItems(admin, customer);
    } catch (error) {
      failed += 1;
      const code = error instanceof AppError ? error.code : "internal_error";
      log("error", "metered_items_not_attached", { customer, code });
    }
  }
  return customers.length - failed;
}

/**
 * Makes the metered items of a customer's subscription those of its plan. What was used under another price is reported
 * first, so that Stripe bills it at that one. A subscription with a planned change is left alone: its schedule says what
 * its items will be.
 */
export async function attachMeteredItems(admin: db.Client, customer: string): Promise<void> {
  const wanted = await db.wantedMeteredItems(admin, customer);
  const first = wanted[0];
  if (first === undefined) return;
  const subscription = await callingStripe(() =>
    stripe().subscriptions.retrieve(first.subscription_id)
  );
  if (subscription.status !== "active" || subscription.schedule !== null) return;
  const prices = await meteredPrices(wanted);
  const present = subscription.items.data.filter(isMetered);
  const items = wanted.flatMap((one) => {
    const price = prices.get(one.lookup_key) ?? "";
    // The mirror may be behind: what is there already is not added again.
    if (present.some((item) => item.price.id === price)) return [];
    const known = present.some((item) => item.id === one.item_id);
    return [{ price, ...(known && { id: one.item_id }) }];
  });
  if (items.length > 0) {
    await settleUsage(admin, customer);
    const idempotencyKey = await itemsKey(subscription, items);
    await callingStripe(() =>
      stripe().subscriptions.update(subscription.id, {
        items,
        proration_behavior: "create_prorations",
        ...plannedEnd(subscription),
      }, { idempotencyKey })
    );
  }
  await syncCustomer(admin, customer);
}

/** The end of "the period" would be the month's from now on, also of a year that is paid: the day itself stays. */
function plannedEnd(
  { cancel_at_period_end, cancel_at }: Stripe.Subscription,
): Stripe.SubscriptionUpdateParams {
  return cancel_at_period_end && cancel_at !== null ? { cancel_at } : {};
}

/**
 * Two tabs that say yes at once see the same items and send the same key, so the items are added once. Every change of plan
 * brings an invoice, which makes the key of the next change another one.
 */
async function itemsKey(
  { id, items, latest_invoice }: Stripe.Subscription,
  wanted: { id?: string; price: string }[],
): Promise<string> {
  const present = items.data.map((item) => `${item.id} ${item.price.id}`);
  const state = JSON.stringify([latest_invoice, present, wanted]);
  return `metered:${id}:${await shortHash(state)}`;
}

/** Stripe's prices by lookup key; one that says something else than its row is not put into anybody's subscription. */
async function meteredPrices(wanted: db.WantedItem[]): Promise<Map<string, string>> {
  const { data } = await callingStripe(() =>
    stripe().prices.list({
      lookup_keys: wanted.map(({ lookup_key }) => lookup_key),
      active: true,
      limit: 100,
    })
  );
  return new Map(wanted.map((row) => {
    const price = data.find((candidate) => candidate.lookup_key === row.lookup_key);
    const same = price?.currency === row.currency && price.recurring?.usage_type === "metered" &&
      // Both are decimal text on the way here.
      Number(price.unit_amount_decimal?.toString()) === Number(row.unit_amount_minor);
    if (price !== undefined && same) return [row.lookup_key, price.id];
    throw new AppError("price_mismatch", "This cannot be bought right now.", {
      cause: new Error(`catalogue and Stripe disagree about ${row.lookup_key}: ${price?.id}`),
    });
  }));
}
