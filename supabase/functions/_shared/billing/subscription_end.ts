import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { isMetered } from "../domain/metering.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { current, settled, settleMetered } from "./subscription.ts";
import { releaseSchedule } from "./subscription_schedule.ts";

/** Ends the subscription when what is paid is used up. A scheduled change is taken back: there is nothing left to change. */
export async function cancelAtPeriodEnd(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await releaseSchedule(subscription);
  const key = await writeKey(call, subscription, "cancel");
  // Metered items are monthly: at the end of the period of a yearly plan would mean at the end of this month.
  const fields: Stripe.SubscriptionUpdateParams = subscription.items.data.some(isMetered)
    ? { cancel_at: "max_period_end" }
    : { cancel_at_period_end: true };
  await callingStripe(() => stripe().subscriptions.update(subscription.id, fields, key));
  return { entitlements: await settled(subscription, call) };
}

/** Takes back what would end or change the subscription, in each of Stripe's forms. */
export async function resume(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await releaseSchedule(subscription);
  const key = await writeKey(call, subscription, "resume");
  const fields: Stripe.SubscriptionUpdateParams | null = subscription.cancel_at_period_end
    ? { cancel_at_period_end: false }
    : subscription.cancel_at !== null
    ? { cancel_at: "" }
    : null;
  if (fields !== null) {
    await callingStripe(() => stripe().subscriptions.update(subscription.id, fields, key));
  }
  return { entitlements: await settled(subscription, call) };
}

/**
 * Ends the subscription this moment. Nothing is given back; that is an operator's decision. What was used beyond the
 * allowance is billed at once.
 */
export async function cancelNow(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await settleMetered(subscription, call);
  const key = await writeKey(call, subscription, "cancel_now");
  const last = subscription.items.data.some(isMetered) ? { invoice_now: true } : {};
  await callingStripe(() => stripe().subscriptions.cancel(subscription.id, last, key));
  return { entitlements: await settled(subscription, call) };
}

/** A person may cancel, resume and cancel again within a day: each is a write of its own, numbered by us. */
async function writeKey(call: db.UserCall, { id }: Stripe.Subscription, what: string) {
  return { idempotencyKey: `${what}:${id}:${await db.nextSyncToken(call.supabaseAdmin)}` };
}
