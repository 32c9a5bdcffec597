import assert from "node:assert/strict";
import type Stripe from "stripe";
import {
  advance,
  customerWithCard,
  monthlyPrice,
  receiver,
  refusal,
  START,
  subscribed,
  withSandbox,
} from "./testing.ts";

const DAY = 86_400;
const CARD = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };

async function types(stripe: Stripe, id: string): Promise<string[]> {
  const { data } = await stripe.events.list({ limit: 100 });
  return data.filter((event) => JSON.stringify(event.data.object).includes(`"${id}"`))
    .map((event) => event.type);
}

/** A trial of a customer without a card, on a test clock. */
async function poor(stripe: Stripe, missing: "cancel" | "create_invoice" | "pause") {
  const price = await monthlyPrice(stripe);
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
  const customer = await stripe.customers.create({ test_clock: clock.id });
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    trial_period_days: 7,
    trial_settings: { end_behavior: { missing_payment_method: missing } },
  });
  return { sub, customer, clock: clock.id };
}

Deno.test("a trial without a card ends as it was told: canceled, paused or an unpaid invoice", () =>
  withSandbox(async ({ stripe }) => {
    const ends = { cancel: "canceled", pause: "paused", create_invoice: "past_due" } as const;
    for (const missing of ["cancel", "pause", "create_invoice"] as const) {
      const { sub, clock } = await poor(stripe, missing);
      await advance(stripe, clock, START + 4 * DAY - 1);
      const warning = "customer.subscription.trial_will_end";
      assert.ok(!(await types(stripe, sub.id)).includes(warning));
      await advance(stripe, clock, START + 4 * DAY);
      assert.equal((await types(stripe, sub.id)).filter((type) => type === warning).length, 1);
      await advance(stripe, clock, START + 7 * DAY + 2 * 3600);
      assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, ends[missing]);
      if (missing !== "pause") continue;
      const seen = await types(stripe, sub.id);
      assert.ok(seen.includes("customer.subscription.paused"));
      assert.ok(seen.includes("customer.subscription.updated"));
    }
  }));

Deno.test("a paused subscription resumes when its new period is paid, now or later", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, customer, clock } = await poor(stripe, "pause");
    assert.match((await refusal(stripe.subscriptions.resume(sub.id))).message, /trialing/);
    await advance(stripe, clock, START + 10 * DAY);
    const still = await stripe.subscriptions.resume(sub.id);
    assert.equal(still.status, "paused");
    const method = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    const invoice = String(still.latest_invoice);
    await stripe.invoices.pay(invoice, { payment_method: method.id });
    const on = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([on.status, on.items.data[0]?.current_period_start], [
      "active",
      START + 10 * DAY,
    ]);
    assert.ok((await types(stripe, sub.id)).includes("customer.subscription.resumed"));

    const second = await poor(stripe, "pause");
    await advance(stripe, second.clock, START + 8 * DAY);
    const card = await stripe.paymentMethods.attach("pm_card_visa", {
      customer: second.customer.id,
    });
    const ready = { default_payment_method: card.id };
    await stripe.subscriptions.update(second.sub.id, ready);
    assert.equal((await stripe.subscriptions.resume(second.sub.id)).status, "active");
  }));

Deno.test("trial_end now bills at once, a later one moves the trial, and a declined end waits or is refused", () =>
  withSandbox(async ({ stripe }) => {
    const { sub } = await subscribed(stripe, { trial_period_days: 14 });
    const moved = await stripe.subscriptions.update(sub.id, { trial_end: START + 20 * DAY });
    assert.deepEqual([moved.status, moved.items.data[0]?.current_period_end], [
      "trialing",
      START + 20 * DAY,
    ]);
    const seen = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: { trial_end: "now" },
    });
    const now = await stripe.subscriptions.update(sub.id, {
      trial_end: "now",
      expand: ["latest_invoice"],
    });
    assert.equal(now.status, "active");
    const invoice = now.latest_invoice;
    assert.ok(invoice !== null && typeof invoice === "object");
    assert.deepEqual([invoice.status, invoice.amount_paid, seen.amount_due], ["paid", 1500, 1500]);

    const price = await monthlyPrice(stripe);
    const { customer } = await customerWithCard(stripe, "tok_chargeCustomerFail", START);
    const other = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
      trial_period_days: 14,
    });
    const refused = await refusal(
      stripe.subscriptions.update(other.id, {
        trial_end: "now",
        payment_behavior: "error_if_incomplete",
      }),
    );
    assert.equal(refused.statusCode, 402);
    const held = await stripe.subscriptions.update(other.id, {
      trial_end: "now",
      payment_behavior: "pending_if_incomplete",
    });
    assert.deepEqual([held.status, held.pending_update?.trial_end], ["trialing", START]);
    await stripe.invoices.pay(String(held.latest_invoice), { payment_method: "pm_card_visa" });
    assert.equal((await stripe.subscriptions.retrieve(other.id)).status, "active");
  }));

Deno.test("Checkout begins a trial: nothing is due, and the card is kept for its end", () =>
  withSandbox(async ({ stripe, sandbox: { hosted } }) => {
    const price = await monthlyPrice(stripe);
    const session = await stripe.checkout.sessions.create({
      mode: "subscription",
      line_items: [{ price: price.id, quantity: 1 }],
      success_url: "http://127.0.0.1:9/",
      subscription_data: {
        trial_period_days: 14,
        trial_settings: { end_behavior: { missing_payment_method: "pause" } },
      },
    });
    assert.deepEqual([session.amount_total, session.payment_status], [0, "no_payment_required"]);
    assert.equal(hosted.getCheckoutView(session.id)?.trial_period_days, 14);
    hosted.payCheckout(session.id, { card: CARD, email: "ada@example.com" });
    const [sub] = (await stripe.subscriptions.list()).data;
    assert.ok(sub);
    assert.equal(sub.status, "trialing");
    assert.equal((sub.trial_end ?? 0) - (sub.trial_start ?? 0), 14 * DAY);
    assert.equal(sub.trial_settings?.end_behavior.missing_payment_method, "pause");
    assert.ok(sub.default_payment_method);
  }));

Deno.test("a disputed charge tells so, and is won, lost or accepted", () =>
  withSandbox(async ({ stripe }) => {
    const base = { amount: 2000, currency: "usd", confirm: true };
    const dispute = async (payment_method: string) => {
      const intent = await stripe.paymentIntents.create({ ...base, payment_method });
      const [found] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
      assert.ok(found);
      return found;
    };
    const fraud = await dispute("pm_card_createDispute");
    assert.deepEqual([fraud.status, fraud.reason, fraud.amount], [
      "needs_response",
      "fraudulent",
      2000,
    ]);
    assert.equal((await stripe.charges.retrieve(String(fraud.charge))).disputed, true);
    const evidence = { uncategorized_text: "winning_evidence" };
    assert.equal((await stripe.disputes.update(fraud.id, { evidence })).status, "won");
    const second = await dispute("pm_card_createDisputeProductNotReceived");
    assert.equal((await stripe.disputes.close(second.id)).status, "lost");
    assert.match((await refusal(stripe.disputes.close(second.id))).message, /already closed/);
    const inquiry = await dispute("pm_card_createDisputeInquiry");
    assert.equal(inquiry.status, "warning_needs_response");
    const seen = await types(stripe, fraud.id);
    for (const type of ["created", "funds_withdrawn", "closed", "funds_reinstated"]) {
      assert.ok(seen.includes(`charge.dispute.${type}`), type);
    }
  }));

Deno.test("a webhook endpoint can only ask for events that exist", () =>
  withSandbox(async ({ stripe }) => {
    const hook = await receiver(() => "");
    const make = (...enabled_events: Stripe.WebhookEndpointCreateParams["enabled_events"]) =>
      stripe.webhookEndpoints.create({ url: hook.url, enabled_events });
    const made = await make("customer.created", "invoice.paid");
    assert.equal(made.enabled_events.length, 2);
    // A name that only looks like one; the request is made as a program without types would make it.
    const wrong: Stripe.WebhookEndpointCreateParams["enabled_events"] = JSON.parse(
      '["customer.subscription.upgraded"]',
    );
    const error = await refusal(make(...wrong));
    assert.equal(error.param, "enabled_events[0]");
    assert.equal((await refusal(make("*", "invoice.paid"))).param, "enabled_events[0]");
    await hook.close();
  }));
