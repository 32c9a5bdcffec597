import assert from "node:assert/strict";
import { advance, at, monthlyPrice, refusal, START, subscribed, withSandbox } from "./testing.ts";

const DAY = 86_400;
Deno.test("a plan change is prorated to the second, at once or with the next invoice", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock, customer } = await subscribed(fixture.stripe);
    const bigger = await monthlyPrice(stripe, 4900);
    // Half of the 28 days are left.
    await advance(stripe, clock, START + 14 * DAY);
    const id = sub.items.data[0]?.id ?? "";
    const changed = await stripe.subscriptions.update(sub.id, {
      items: [{ id, price: bigger.id }],
      proration_behavior: "always_invoice",
    });
    assert.equal(changed.items.data[0]?.price.id, bigger.id);
    assert.equal(changed.items.data[0]?.id, id);
    assert.equal(changed.items.data[0]?.current_period_end, at("2026-02-28"));
    const invoice = await stripe.invoices.retrieve(String(changed.latest_invoice));
    assert.deepEqual(invoice.lines.data.map((line) => line.amount), [-750, 2450]);
    assert.deepEqual([invoice.status, invoice.amount_paid, invoice.billing_reason], [
      "paid",
      1700,
      "subscription_update",
    ]);
    const updates = (await stripe.events.list({ type: "customer.subscription.updated" })).data;
    assert.equal(updates.length, 1);
    assert.ok(
      updates[0]?.data.previous_attributes && "items" in updates[0].data.previous_attributes,
    );

    await stripe.subscriptionItems.update(id, { quantity: 2 });
    const pending = await stripe.invoiceItems.list({ customer: customer.id, limit: 2 });
    assert.deepEqual(pending.data.map((item) => [item.amount, item.proration]), [[4900, true], [
      -2450,
      true,
    ]]);
    await advance(stripe, clock, at("2026-02-28") + 2 * 3600);
    const [renewal] = (await stripe.invoices.list({ customer: customer.id, limit: 1 })).data;
    assert.deepEqual(renewal?.lines.data.map((line) => line.amount).sort((a, b) => a - b), [
      -2450,
      4900,
      9800,
    ]);
  }));

Deno.test("another interval starts a new period, and a credit left over lowers the next invoice", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, clock, price, customer } = await subscribed(fixture.stripe);
    const yearly = await stripe.prices.create({
      currency: "usd",
      product: String(price.product),
      unit_amount: 15_000,
      recurring: { interval: "year" },
    });
    await advance(stripe, clock, START + 14 * DAY);
    const id = sub.items.data[0]?.id;
    const up = await stripe.subscriptions.update(sub.id, { items: [{ id, price: yearly.id }] });
    assert.equal(up.items.data[0]?.current_period_end, START + 14 * DAY + 365 * DAY);
    assert.equal((await stripe.invoices.retrieve(String(up.latest_invoice))).amount_paid, 14_250);
    const down = await stripe.subscriptions.update(sub.id, { items: [{ id, price: price.id }] });
    const credit = await stripe.invoices.retrieve(String(down.latest_invoice));
    assert.deepEqual([credit.total, credit.amount_due, credit.ending_balance], [
      -13_500,
      0,
      -13_500,
    ]);
    const rich = await stripe.customers.retrieve(customer.id);
    assert.ok(!rich.deleted && rich.balance === -13_500);
    await advance(stripe, clock, START + 50 * DAY);
    const [next] = (await stripe.invoices.list({ customer: customer.id, limit: 1 })).data;
    assert.deepEqual([next?.status, next?.amount_due, next?.ending_balance], ["paid", 0, -12_000]);
  }));

Deno.test("a declined change with error_if_incomplete changes nothing", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const { sub, customer } = await subscribed(fixture.stripe);
    const bigger = await monthlyPrice(stripe, 4900);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer: customer.id,
    });
    await stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: bad.id },
    });
    const items = [{ id: sub.items.data[0]?.id, price: bigger.id }];
    const error = await refusal(
      stripe.subscriptions.update(sub.id, {
        items,
        proration_behavior: "always_invoice",
        payment_behavior: "error_if_incomplete",
      }),
    );
    assert.equal(error.statusCode, 402);
    const same = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([same.items.data[0]?.price.unit_amount, same.status], [1500, "active"]);
    const behind = await stripe.subscriptions.update(sub.id, {
      items,
      proration_behavior: "always_invoice",
    });
    assert.deepEqual([behind.items.data[0]?.price.unit_amount, behind.status], [4900, "past_due"]);
  }));

Deno.test("payments, captures and refunds", () =>
  withSandbox(async ({ stripe }) => {
    const base = { amount: 2000, currency: "usd", confirm: true };
    const held = await stripe.paymentIntents.create({
      ...base,
      capture_method: "manual",
      payment_method: "pm_card_visa",
    });
    assert.deepEqual([held.status, held.amount_capturable], ["requires_capture", 2000]);
    const captured = await stripe.paymentIntents.capture(held.id);
    assert.deepEqual([captured.status, captured.amount_received], ["succeeded", 2000]);
    const refund = await stripe.refunds.create({ payment_intent: held.id, amount: 500 });
    assert.equal(refund.status, "succeeded");
    const charge = await stripe.charges.retrieve(String(captured.latest_charge), {
      expand: ["refunds"],
    });
    assert.deepEqual([charge.amount_refunded, charge.refunded, charge.refunds?.data.length], [
      500,
      false,
      1,
    ]);
    await stripe.refunds.create({ charge: charge.id });
    assert.equal(
      (await refusal(stripe.refunds.create({ charge: charge.id }))).code,
      "charge_already_refunded",
    );
    const declined = await refusal(
      stripe.paymentIntents.create({ ...base, payment_method: "pm_card_chargeDeclined" }),
    );
    assert.equal(declined.payment_intent?.status, "requires_payment_method");
    assert.equal(
      (await stripe.paymentIntents.list({ limit: 1 })).data[0]?.last_payment_error?.code,
      "card_declined",
    );
    const asks = await stripe.paymentIntents.create({
      ...base,
      payment_method: "pm_card_authenticationRequired",
    });
    assert.equal(asks.status, "requires_action");
    const raw = { number: "4000000000000002", exp_month: 12, exp_year: 2034, cvc: "123" };
    const method = await stripe.paymentMethods.create({ type: "card", card: raw });
    assert.equal(method.card?.last4, "0002");
    const { id: customer } = await stripe.customers.create({});
    assert.equal(
      (await refusal(stripe.paymentMethods.attach(method.id, { customer }))).code,
      "card_declined",
    );
  }));
