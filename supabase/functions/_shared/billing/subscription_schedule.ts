import * as db from "../db.ts";
import { isMetered } from "../domain/metering.ts";
import { lookupKeyOf } from "../domain/snapshot.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { idOf } from "./subscription.ts";
import type { Change } from "./subscription_change.ts";

/** A schedule with the present phase and the next; then it lets go of the subscription, which renews by itself. */
export async function changeLater(change: Change, key: string, call: db.UserCall) {
  const { subscription } = change;
  const attached = idOf(subscription.schedule);
  const schedule = attached ??
    (await callingStripe(() =>
      stripe().subscriptionSchedules.create({ from_subscription: subscription.id }, {
        idempotencyKey: `${key}:create`,
      })
    )).id;
  const phases = await phasesOf(change, call);
  await callingStripe(() =>
    stripe().subscriptionSchedules.update(schedule, {
      end_behavior: "release",
      proration_behavior: "none",
      phases,
    }, { idempotencyKey: `${key}:update` })
  );
  return { outcome: "done", payment_url: null };
}

/** What is left out of a phase is removed from the subscription, so metered items are said too, those of the next plan. */
async function phasesOf(
  { subscription, item, price, quantity, to }: Change,
  call: db.UserCall,
): Promise<Stripe.SubscriptionScheduleUpdateParams.Phase[]> {
  const metered = subscription.items.data.filter(isMetered).map((one) => one.price);
  return [{
    start_date: item.current_period_start,
    end_date: item.current_period_end,
    items: [
      { price: item.price.id, quantity: item.quantity ?? 1 },
      ...metered.map(({ id }) => ({ price: id })),
    ],
    proration_behavior: "none",
  }, {
    duration: {
      interval: to.billing_interval === "year" ? "year" : "month",
      interval_count: 1,
    },
    items: [{ price: price.id, quantity }, ...await meteredOf(to.plan_id, metered, call)],
    // So that the snapshot can say which price is coming without asking Stripe for it.
    metadata: { lookup_key: to.lookup_key },
    proration_behavior: "none",
  }];
}

/** The metered prices of a plan in the place of these; what the plan does not offer ends. */
async function meteredOf(
  planId: string,
  present: Stripe.Price[],
  { supabase }: db.UserCall,
): Promise<{ price: string }[]> {
  const keys: string[] = [];
  for (const price of present) {
    const key = await db.meteredPriceOf(supabase, planId, lookupKeyOf(price) ?? "");
    if (key !== null) keys.push(key);
  }
  if (keys.length === 0) return [];
  const { data } = await callingStripe(() =>
    stripe().prices.list({ lookup_keys: keys, active: true, limit: 100 })
  );
  return data.map(({ id }) => ({ price: id }));
}

/** Stripe refuses to change or end a subscription that a schedule manages. */
export async function releaseSchedule(subscription: Stripe.Subscription): Promise<void> {
  const schedule = idOf(subscription.schedule);
  if (schedule === null) return;
  await callingStripe(() => stripe().subscriptionSchedules.release(schedule));
}
