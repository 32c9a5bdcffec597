import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { isMetered } from "../domain/metering.ts";
import { lookupKeyOf } from "../domain/snapshot.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { releaseSchedule } from "./schedule.ts";
import { idOf } from "./subscription.ts";
import type { Change } from "./subscription_change.ts";

/**
 * A schedule with the present phase and the next; then it lets go of the subscription, which renews by itself.
 *
 * Whoever dies between the two requests leaves a schedule without a next phase, which changes nothing and is used by
 * the next attempt. The keys hold for one attempt: answers of a schedule that was released since are not replayed.
 */
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
  const planned = await callingStripe(() =>
    stripe().subscriptionSchedules.update(schedule, {
      end_behavior: "release",
      proration_behavior: "none",
      phases,
      // What the change was planned from: once that was changed otherwise, the plan is overtaken (see sync.ts).
      metadata: { from_price: change.item.price.id },
    }, { idempotencyKey: `${key}:update` })
  );
  if (planned.status !== "active") {
    throw new AppError("billing_unavailable", "The change could not be planned. Try again.", {
      cause: new Error(`${schedule} is ${planned.status}`),
    });
  }
  return { outcome: "done", payment_url: null };
}

/**
 * Ends a scheduled subscription with the present phase. First the schedule itself is told to, then it lets go and the end
 * stays: wherever that breaks off, the person does not pay again, and asking again goes on from there.
 */
export async function endBySchedule(
  subscription: Stripe.Subscription,
  schedule: string,
  item: Stripe.SubscriptionItem,
  key: string,
): Promise<void> {
  await callingStripe(() =>
    stripe().subscriptionSchedules.update(schedule, {
      end_behavior: "cancel",
      proration_behavior: "none",
      phases: [presentPhase(subscription, item)],
    }, { idempotencyKey: `${key}:end` })
  );
  await releaseSchedule(schedule, { keepEnd: true });
}

function presentPhase(
  { items }: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
): Stripe.SubscriptionScheduleUpdateParams.Phase {
  return {
    start_date: item.current_period_start,
    end_date: item.current_period_end,
    items: [
      { price: item.price.id, quantity: item.quantity ?? 1 },
      ...items.data.filter(isMetered).map(({ price }) => ({ price: price.id })),
    ],
    proration_behavior: "none",
  };
}

/** What is left out of a phase is removed from the subscription, so metered items are said too, those of the next plan. */
async function phasesOf(
  { subscription, item, price, quantity, to }: Change,
  call: db.UserCall,
): Promise<Stripe.SubscriptionScheduleUpdateParams.Phase[]> {
  const metered = subscription.items.data.filter(isMetered).map((one) => one.price);
  return [presentPhase(subscription, item), {
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
