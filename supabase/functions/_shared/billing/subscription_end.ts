import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { shapeUnknown } from "../domain/fields.ts";
import { isMetered } from "../domain/metering.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { claimed } from "./claim.ts";
import { releaseSchedule } from "./schedule.ts";
import { current, idOf, settled, settleMetered } from "./subscription.ts";
import { endBySchedule } from "./subscription_schedule.ts";

/** Ends the subscription when what is paid is used up. A scheduled change is taken back: there is nothing left to change. */
export function cancelAtPeriodEnd(call: db.UserCall): Promise<{ entitlements: Json }> {
  return claimed(call, true, async ({ token }) => {
    const { subscription, item } = await currentItem(call);
    const key = `cancel:${subscription.id}:${token}`;
    const schedule = idOf(subscription.schedule);
    if (schedule !== null) await endBySchedule(subscription, schedule, item, key);
    else await endDirectly(subscription, key);
    return { entitlements: await settled(subscription, call) };
  });
}

async function endDirectly(subscription: Stripe.Subscription, idempotencyKey: string) {
  // Metered items are monthly: at the end of the period of a yearly plan would mean at the end of this month.
  const fields: Stripe.SubscriptionUpdateParams = subscription.items.data.some(isMetered)
    ? { cancel_at: "max_period_end" }
    : { cancel_at_period_end: true };
  await callingStripe(() =>
    stripe().subscriptions.update(subscription.id, fields, { idempotencyKey })
  );
}

/**
 * Takes back what would end or change the subscription, in each of Stripe's forms. Letting go of the schedule takes back
 * the end that it set. If the second request fails the subscription ends as before, and this can be asked for again.
 */
export function resume(call: db.UserCall): Promise<{ entitlements: Json }> {
  return claimed(call, true, async ({ token }) => {
    const subscription = await current(call);
    const schedule = idOf(subscription.schedule);
    if (schedule !== null) await releaseSchedule(schedule);
    const fields: Stripe.SubscriptionUpdateParams | null = subscription.cancel_at_period_end
      ? { cancel_at_period_end: false }
      : subscription.cancel_at !== null
      ? { cancel_at: "" }
      : null;
    if (fields !== null) {
      const idempotencyKey = `resume:${subscription.id}:${token}`;
      await callingStripe(() =>
        stripe().subscriptions.update(subscription.id, fields, { idempotencyKey })
      );
    }
    return { entitlements: await settled(subscription, call) };
  });
}

/**
 * Ends the subscription this moment. Nothing is given back; that is an operator's decision. What was used beyond the
 * allowance is billed at once. A schedule needs no release: Stripe cancels it together with its subscription.
 */
export function cancelNow(call: db.UserCall): Promise<{ entitlements: Json }> {
  return claimed(call, true, async ({ token }) => {
    const subscription = await current(call);
    // Consent ends with the subscription, but before the last report: what is used after that would be on no invoice.
    if (subscription.items.data.some(isMetered)) {
      await db.setOverage(call.supabase, { enabled: false });
    }
    await settleMetered(subscription, call);
    const last = subscription.items.data.some(isMetered) ? { invoice_now: true } : {};
    const idempotencyKey = `cancel_now:${subscription.id}:${token}`;
    await callingStripe(() =>
      stripe().subscriptions.cancel(subscription.id, last, { idempotencyKey })
    );
    return { entitlements: await settled(subscription, call) };
  });
}

/** The current subscription with the item whose period is the plan's; the catalogue need not know its price. */
async function currentItem(call: db.UserCall) {
  const subscription = await current(call);
  const items = subscription.items.data;
  const item = items.find((one) => !isMetered(one)) ?? items[0];
  if (item === undefined) throw shapeUnknown("items");
  return { subscription, item };
}
