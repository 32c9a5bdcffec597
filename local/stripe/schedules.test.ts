import assert from "node:assert/strict";
import type Stripe from "stripe";
import { advance, at, monthlyPrice, refusal, START, subscribed, withSandbox } from "./testing.ts";

const DAY = 86_400;
const END = at("2026-02-28");

async function types(stripe: Stripe): Promise<string[]> {
  const { data } = await stripe.events.list({ limit: 100 });
  return data.map((event) => event.type).filter((type) => type.startsWith("subscription_schedule"));
}

/** The present period as it is, then `price` for good: what an app does for a downgrade. */
async function downgrade(stripe: Stripe, sub: Stripe.Subscription, price: string) {
  const schedule = await stripe.subscriptionSchedules.create({ from_subscription: sub.id });
  const [now] = schedule.phases;
  return await stripe.subscriptionSchedules.update(schedule.id, {
    end_behavior: "release",
    phases: [
      {
        items: [{ price: String(now?.items[0]?.price), quantity: 1 }],
        start_date: now?.start_date,
        end_date: now?.end_date,
      },
      { items: [{ price, quantity: 1 }], proration_behavior: "none" },
    ],
  });
}

Deno.test("a downgrade waits for the period's end, is billed then, and the schedule lets go", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, clock, customer } = await subscribed(stripe);
    const smaller = await monthlyPrice(stripe, 500);
    const schedule = await downgrade(stripe, sub, smaller.id);
    assert.deepEqual([schedule.status, schedule.current_phase], ["active", {
      start_date: START,
      end_date: END,
    }]);
    assert.deepEqual(schedule.phases.map((phase) => phase.end_date), [END, at("2026-03-28")]);
    const held = await stripe.subscriptions.retrieve(sub.id, { expand: ["schedule"] });
    assert.ok(typeof held.schedule === "object" && held.schedule?.id === schedule.id);
    assert.equal(held.items.data[0]?.price.unit_amount, 1500);
    const seen = await stripe.invoices.createPreview({ schedule: schedule.id });
    assert.equal(seen.amount_due, 500);

    await advance(stripe, clock, END + 2 * 3600);
    const after = await stripe.subscriptions.retrieve(sub.id);
    assert.equal(after.items.data[0]?.price.id, smaller.id);
    assert.deepEqual([after.items.data[0]?.current_period_end, after.status], [
      at("2026-03-31"),
      "active",
    ]);
    const [renewal] = (await stripe.invoices.list({ customer: customer.id, limit: 1 })).data;
    assert.deepEqual(renewal?.lines.data.map((line) => line.amount), [500]);
    assert.deepEqual([renewal?.status, renewal?.amount_paid], ["paid", 500]);
    await advance(stripe, clock, at("2026-03-29"));
    const done = await stripe.subscriptionSchedules.retrieve(schedule.id);
    assert.deepEqual([done.status, done.released_subscription, done.subscription], [
      "completed",
      sub.id,
      null,
    ]);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).schedule, null);
    const seenTypes = await types(stripe);
    for (const type of ["created", "updated", "expiring", "completed"]) {
      assert.ok(seenTypes.includes(`subscription_schedule.${type}`), type);
    }
  }));

Deno.test("year to month at the year's end keeps the anchor and bills a month", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, clock, price } = await subscribed(stripe);
    const yearly = await stripe.prices.create({
      currency: "usd",
      product: String(price.product),
      unit_amount: 15_000,
      recurring: { interval: "year" },
    });
    const id = sub.items.data[0]?.id;
    const up = await stripe.subscriptions.update(sub.id, { items: [{ id, price: yearly.id }] });
    assert.equal(up.items.data[0]?.current_period_end, at("2027-01-31"));
    await downgrade(stripe, up, price.id);
    await advance(stripe, clock, at("2026-12-31"));
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).items.data[0]?.price.id, yearly.id);
    await advance(stripe, clock, at("2027-01-31") + 2 * 3600);
    const after = await stripe.subscriptions.retrieve(sub.id, { expand: ["latest_invoice"] });
    assert.equal(after.items.data[0]?.price.id, price.id);
    assert.equal(after.items.data[0]?.current_period_end, at("2027-02-28"));
    assert.ok(typeof after.latest_invoice === "object" && after.latest_invoice?.total === 1500);
  }));

Deno.test("a schedule of its own starts now or later, prorates a phase in mid-period, and cancels at its end", () =>
  withSandbox(async ({ stripe }) => {
    const { clock, customer, price } = await subscribed(stripe);
    const bigger = await monthlyPrice(stripe, 4900);
    const schedule = await stripe.subscriptionSchedules.create({
      customer: customer.id,
      start_date: START + DAY,
      end_behavior: "cancel",
      phases: [
        { items: [{ price: price.id }], duration: { interval: "day", interval_count: 14 } },
        {
          items: [{ price: bigger.id }],
          end_date: START + 29 * DAY,
          proration_behavior: "always_invoice",
        },
      ],
    });
    assert.deepEqual([schedule.status, schedule.subscription], ["not_started", null]);
    await advance(stripe, clock, START + 2 * DAY);
    const begun = await stripe.subscriptionSchedules.retrieve(schedule.id);
    assert.equal(begun.status, "active");
    await advance(stripe, clock, START + 16 * DAY);
    const id = String(begun.subscription);
    const mid = await stripe.subscriptions.retrieve(id, { expand: ["latest_invoice"] });
    assert.equal(mid.items.data[0]?.price.id, bigger.id);
    const invoice = mid.latest_invoice;
    assert.ok(invoice !== null && typeof invoice === "object");
    // It began on 1 February, so 14 of the 28 days to 1 March are left.
    assert.deepEqual(invoice.lines.data.map((line) => line.amount), [-750, 2450]);
    await advance(stripe, clock, START + 30 * DAY);
    assert.equal((await stripe.subscriptions.retrieve(id)).status, "canceled");
    assert.equal((await stripe.subscriptionSchedules.retrieve(schedule.id)).status, "completed");
  }));

Deno.test("release, cancel, a direct change and the refusals of a managed subscription", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, price } = await subscribed(stripe);
    const smaller = await monthlyPrice(stripe, 500);
    const schedule = await downgrade(stripe, sub, smaller.id);
    const schedules = stripe.subscriptionSchedules;
    const twice = await refusal(schedules.create({ from_subscription: sub.id }));
    assert.match(twice.message, /already attached to a schedule/);
    const ending = await refusal(
      stripe.subscriptions.update(sub.id, { cancel_at_period_end: true }),
    );
    assert.match(ending.message, /managed by the subscription schedule/);
    const moved = await refusal(
      schedules.update(schedule.id, {
        phases: [{ items: [{ price: price.id }], start_date: START + 5 }],
      }),
    );
    assert.match(moved.message, /start date of the current phase/);
    const items = [{ id: sub.items.data[0]?.id, quantity: 3 }];
    await stripe.subscriptions.update(sub.id, { items });
    const followed = await schedules.retrieve(schedule.id);
    assert.equal(followed.phases[0]?.items[0]?.quantity, 3);

    const released = await schedules.release(schedule.id);
    assert.deepEqual([released.status, released.released_subscription], ["released", sub.id]);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).schedule, null);
    assert.match((await refusal(schedules.release(schedule.id))).message, /`released` status/);

    const again = await schedules.create({ from_subscription: sub.id });
    assert.equal((await schedules.list({ customer: String(again.customer) })).data.length, 2);
    assert.equal((await schedules.cancel(again.id)).status, "canceled");
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "canceled");
    const mixed = { from_subscription: sub.id, end_behavior: "cancel" as const };
    assert.equal((await refusal(schedules.create(mixed))).param, "end_behavior");
    const seen = await types(stripe);
    for (const type of ["released", "canceled"]) {
      assert.ok(seen.includes(`subscription_schedule.${type}`), type);
    }
  }));
