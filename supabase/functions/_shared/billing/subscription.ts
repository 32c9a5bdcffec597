import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { isMetered } from "../domain/metering.ts";
import { lookupKeyOf, mayStillBill } from "../domain/snapshot.ts";
import { log } from "../log.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { attachMeteredItems } from "./metered.ts";
import { syncCustomer } from "./sync.ts";
import { settleUsage } from "./usage.ts";

/** The subscription that a person means: the one that gives them their plan, or else the newest that was ever paid for. */
export async function currentRow(
  { supabase, user }: Pick<db.UserCall, "supabase" | "user">,
): Promise<db.SubscriptionRow> {
  const rows = await db.findSubscriptions(supabase, user.id);
  const live = rows.filter((row) => mayStillBill(row.status) && row.status !== "incomplete");
  const entitled = await db.entitledSubscription(supabase, user.id);
  const row = live.find(({ id }) => id === entitled) ?? live[0];
  if (row === undefined) throw nothingToChange();
  return row;
}

/** The same, as Stripe has it now. */
export async function current(call: db.UserCall): Promise<Stripe.Subscription> {
  const row = await currentRow(call);
  const subscription = await callingStripe(() =>
    stripe().subscriptions.retrieve(row.id, { expand: ["latest_invoice"] })
  );
  if (!mayStillBill(subscription.status)) throw nothingToChange();
  return subscription;
}

/** The same, with its licensed item and the row of that item's price. */
export async function currentWithPrice(call: db.UserCall) {
  const subscription = await current(call);
  for (const item of subscription.items.data) {
    const key = lookupKeyOf(item.price);
    const from = key ? await db.findPriceTerms(call.supabase, key) : null;
    if (from !== null) return { subscription, item, from };
  }
  throw nothingToChange();
}

/** Before items change or end: usage that Stripe hears of afterwards would be billed at another price, or never. */
export async function settleMetered(
  subscription: Stripe.Subscription,
  { supabaseAdmin }: db.UserCall,
): Promise<void> {
  const customer = idOf(subscription.customer);
  if (customer === null || !subscription.items.data.some(isMetered)) return;
  await settleUsage(supabaseAdmin, customer);
}

/** What the caller may do after the change: Stripe's state is fetched, and the metered items follow the plan. */
export async function settled(subscription: Stripe.Subscription, call: db.UserCall): Promise<Json> {
  const customer = idOf(subscription.customer);
  if (customer !== null) {
    await syncCustomer(call.supabaseAdmin, customer);
    await followPlan(call.supabaseAdmin, customer);
  }
  return await db.myEntitlements(call.supabase);
}

/** The metered items become those of the new plan; if that fails now, usage-sync does it. */
async function followPlan(admin: db.Client, customer: string): Promise<void> {
  try {
    await attachMeteredItems(admin, customer);
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    log("error", "metered_items_not_attached", { customer, code });
  }
}

export function idOf(value: string | { id: string } | null): string | null {
  return typeof value === "string" ? value : value?.id ?? null;
}

function nothingToChange(): AppError {
  return new AppError("subscription_not_found", "There is no subscription to change.");
}
