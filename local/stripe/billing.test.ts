import assert from "node:assert/strict";
import type Stripe from "stripe";
import { addIntervals, nextBoundary } from "./billing/period.ts";
import {
  advance,
  at,
  customerWithCard,
  monthlyPrice,
  refusal,
  START,
  subscribed,
  withSandbox,
} from "./testing.ts";

const DAY = 86_400;
async function typesFor(stripe: Stripe, id: string): Promise<string[]> {
  const types: string[] = [];
  for await (const event of stripe.events.list({ limit: 100 })) {
    if (JSON.stringify(event.data.object).includes(`"${id}"`)) types.unshift(event.type);
  }
  return types;
}

Deno.test("periods count from the anchor and clamp to the month's end", () => {
  const ends = [1, 2, 3, 13].map((n) =>
    new Date(addIntervals(START, "month", n) * 1000).toISOString().slice(0, 10)
  );
  assert.deepEqual(ends, ["2026-02-28", "2026-03-31", "2026-04-30", "2027-02-28"]);
  assert.equal(addIntervals(at("2024-02-29"), "year", 1), at("2025-02-28"));
  assert.equal(nextBoundary(START, "month", 1, at("2026-02-28")), at("2026-03-31"));
  assert.equal(nextBoundary(START, "week", 1, START), START + 7 * DAY);
});

Deno.test("a subscription with a good card is active with a paid invoice", () =>
  withSandbox(async (fixture) => {
    const { sub, customer, price } = await subscribed(fixture.stripe);
    const { stripe } = fixture;
    assert.equal(sub.status, "active");
    const [item] = sub.items.data;
    assert.deepEqual([item?.current_period_start, item?.current_period_end], [
      START,
      at("2026-02-28"),
    ]);
    assert.ok(!("current_period_end" in sub));
    const invoice = await stripe.invoices.retrieve(String(sub.latest_invoice), {
      expand: ["payments.data.payment.payment_intent"],
    });
    assert.deepEqual([invoice.status, invoice.amount_paid, invoice.billing_reason], [
      "paid",
      1500,
      "subscription_create",
    ]);
    assert.equal(invoice.parent?.subscription_details?.subscription, sub.id);
    const intent = invoice.payments?.data[0]?.payment.payment_intent;
    assert.ok(typeof intent === "object" && intent.status === "succeeded");
    const types = await typesFor(stripe, customer.id);
    for (
      const type of [
        "invoice.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
      ]
    ) {
      assert.ok(types.includes(type), type);
    }
    assert.ok(types.includes("customer.subscription.created"));
    assert.deepEqual(
      (await stripe.subscriptions.list({ price: price.id })).data.map((each) => each.id),
      [sub.id],
    );
  }));

Deno.test("payment_behavior decides what a declined first payment leaves", () =>
  withSandbox(async ({ stripe }) => {
    const price = await monthlyPrice(stripe);
    const { customer } = await customerWithCard(stripe, "tok_chargeCustomerFail");
    const items = [{ price: price.id }];
    const error = await refusal(
      stripe.subscriptions.create({
        customer: customer.id,
        items,
        payment_behavior: "error_if_incomplete",
      }),
    );
    assert.deepEqual([error.statusCode, error.code, error.decline_code], [
      402,
      "card_declined",
      "generic_decline",
    ]);
    assert.equal((await stripe.subscriptions.list({ status: "all" })).data.length, 0);
    const sub = await stripe.subscriptions.create({ customer: customer.id, items });
    assert.equal(sub.status, "incomplete");
    assert.equal((await stripe.invoices.retrieve(String(sub.latest_invoice))).status, "open");
    const waits = await stripe.subscriptions.create({
      customer: customer.id,
      items,
      payment_behavior: "default_incomplete",
      expand: ["latest_invoice.confirmation_secret"],
    });
    assert.equal(waits.status, "incomplete");
    assert.ok(
      typeof waits.latest_invoice === "object" && waits.latest_invoice?.confirmation_secret,
    );
    const paid = await stripe.invoices.pay(waits.latest_invoice.id ?? "", {
      payment_method: "pm_card_visa",
    });
    assert.equal(paid.status, "paid");
    assert.equal((await stripe.subscriptions.retrieve(waits.id)).status, "active");
    const nobody = await stripe.customers.create({});
    assert.match(
      (await refusal(stripe.subscriptions.create({ customer: nobody.id, items }))).message,
      /no attached payment source/,
    );
  }));

Deno.test("a test clock renews: draft at the period's end, paid an hour later, anchor kept", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock, customer } = await subscribed(fixture.stripe);
    await advance(stripe, clock, at("2026-02-28") + 60);
    const renewed = await stripe.subscriptions.retrieve(sub.id);
    assert.equal(renewed.items.data[0]?.current_period_end, at("2026-03-31"));
    const draft = await stripe.invoices.retrieve(String(renewed.latest_invoice));
    assert.deepEqual([draft.status, draft.billing_reason], ["draft", "subscription_cycle"]);
    assert.deepEqual([draft.period_start, draft.period_end], [START, at("2026-02-28")]);
    assert.equal(draft.lines.data[0]?.period.end, at("2026-03-31"));
    await advance(stripe, clock, at("2026-02-28") + 2 * 3600);
    const paid = await stripe.invoices.retrieve(draft.id ?? "");
    assert.equal(paid.status, "paid");
    assert.equal(paid.status_transitions.paid_at, at("2026-02-28") + 3600);
    await advance(stripe, clock, at("2026-04-20"));
    assert.equal(
      (await stripe.invoices.list({ customer: customer.id, status: "paid" })).data.length,
      3,
    );
    const types = await typesFor(stripe, clock);
    assert.equal(types.filter((type) => type === "test_helpers.test_clock.ready").length, 3);
    assert.equal(
      (await refusal(stripe.testHelpers.testClocks.advance(clock, { frozen_time: START })))
        .statusCode,
      400,
    );
  }));

Deno.test("cancel_at_period_end sets its flag, can be taken back, and ends the subscription on time", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock } = await subscribed(fixture.stripe);
    const ending = await stripe.subscriptions.update(sub.id, { cancel_at_period_end: true });
    assert.deepEqual([ending.cancel_at_period_end, ending.status], [true, "active"]);
    assert.equal(ending.cancel_at, at("2026-02-28"));
    const kept = await stripe.subscriptions.update(sub.id, { cancel_at_period_end: false });
    assert.deepEqual([kept.cancel_at_period_end, kept.cancel_at, kept.canceled_at], [
      false,
      null,
      null,
    ]);
    await stripe.subscriptions.update(sub.id, { cancel_at_period_end: true });
    await advance(stripe, clock, at("2026-03-02"));
    const gone = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([gone.status, gone.ended_at], ["canceled", at("2026-02-28")]);
    assert.equal((await stripe.subscriptions.list({})).data.length, 0);
    assert.equal((await stripe.subscriptions.list({ status: "all" })).data.length, 1);
    assert.ok((await typesFor(stripe, sub.id)).includes("customer.subscription.deleted"));
    assert.equal((await refusal(stripe.subscriptions.cancel(sub.id))).statusCode, 404);
  }));

Deno.test("a failed renewal is past_due, is retried on schedule, and recovers with a new card", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock, customer } = await subscribed(fixture.stripe);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer: customer.id,
    });
    await stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: bad.id },
    });
    await advance(stripe, clock, at("2026-02-28") + 2 * 3600);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "past_due");
    const [open] = (await stripe.invoices.list({ customer: customer.id, status: "open" })).data;
    assert.equal(open?.attempt_count, 1);
    assert.equal(open?.next_payment_attempt, at("2026-02-28") + 3600 + 3 * DAY);
    const types = await typesFor(stripe, customer.id);
    assert.ok(types.includes("invoice.payment_failed") && types.includes("charge.failed"));
    const good = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: good.id },
    });
    await advance(stripe, clock, at("2026-03-05"));
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "active");
    assert.equal((await stripe.invoices.retrieve(open?.id ?? "")).status, "paid");
  }));

Deno.test("when every retry failed the subscription is cancelled for it", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock, customer } = await subscribed(fixture.stripe);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer: customer.id,
    });
    await stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: bad.id },
    });
    await advance(stripe, clock, at("2026-03-20"));
    const gone = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([gone.status, gone.cancellation_details?.reason], [
      "canceled",
      "payment_failed",
    ]);
    const [open] = (await stripe.invoices.list({ customer: customer.id, status: "open" })).data;
    assert.deepEqual([open?.attempt_count, open?.next_payment_attempt], [4, null]);
  }));

Deno.test("a trial warns three days before, bills when it ends, or pauses without a card", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock } = await subscribed(fixture.stripe, { trial_period_days: 7 });
    assert.deepEqual([sub.status, sub.trial_end], ["trialing", START + 7 * DAY]);
    assert.equal((await stripe.invoices.retrieve(String(sub.latest_invoice))).total, 0);
    await advance(stripe, clock, START + 5 * DAY);
    assert.ok((await typesFor(stripe, sub.id)).includes("customer.subscription.trial_will_end"));
    await advance(stripe, clock, START + 8 * DAY);
    const after = await stripe.subscriptions.retrieve(sub.id, { expand: ["latest_invoice"] });
    assert.equal(after.status, "active");
    assert.ok(
      typeof after.latest_invoice === "object" && after.latest_invoice?.amount_paid === 1500,
    );
    assert.equal(
      after.items.data[0]?.current_period_end,
      addIntervals(START + 7 * DAY, "month", 1),
    );

    const price = await monthlyPrice(stripe);
    const poor = await stripe.customers.create({});
    const paused = await stripe.subscriptions.create({
      customer: poor.id,
      items: [{ price: price.id }],
      trial_period_days: 7,
      trial_settings: { end_behavior: { missing_payment_method: "pause" } },
    });
    assert.equal(
      (await stripe.subscriptions.update(paused.id, { trial_end: "now" })).status,
      "paused",
    );
    assert.ok((await typesFor(stripe, paused.id)).includes("customer.subscription.paused"));
  }));

Deno.test("an incomplete subscription expires after 23 hours and its invoice is void", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock } = await subscribed(fixture.stripe, {}, "tok_chargeCustomerFail");
    await advance(stripe, clock, START + DAY);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "incomplete_expired");
    assert.equal((await stripe.invoices.retrieve(String(sub.latest_invoice))).status, "void");
  }));

Deno.test("a card that asks only until set up renews; one that always asks does not", () =>
  withSandbox(async ({ stripe }) => {
    const price = await monthlyPrice(stripe);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const asks = await stripe.paymentMethods.attach("pm_card_authenticationRequired", {
      customer: customer.id,
    });
    await stripe.subscriptions.update(sub.id, { default_payment_method: asks.id });
    await advance(stripe, clock, at("2026-03-01"));
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "past_due");
    assert.ok((await typesFor(stripe, customer.id)).includes("invoice.payment_action_required"));
  }));
