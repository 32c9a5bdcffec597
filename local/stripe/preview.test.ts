import assert from "node:assert/strict";
import type Stripe from "stripe";
import { advance, at, monthlyPrice, refusal, START, subscribed, withSandbox } from "./testing.ts";

const DAY = 86_400;
const lines = (invoice: Stripe.Invoice) =>
  invoice.lines.data.map((line) => ({
    amount: line.amount,
    description: line.description,
    period: line.period,
    proration: line.parent?.invoice_item_details?.proration ?? false,
    price: line.pricing?.price_details?.price,
    quantity: line.quantity,
  }));

/** The guide's own example: 10 to 20 USD halfway through the month is -5 and 10. Then to the second, then seats. */
const EXAMPLES = [
  { from: 1000, to: 2000, seconds: 14 * DAY, quantity: [1, 1], bills: [-500, 1000] },
  { from: 1500, to: 4900, seconds: 14 * DAY + 1, quantity: [1, 1], bills: [-750, 2450] },
  { from: 1500, to: 4900, seconds: 27 * DAY + 86_399, quantity: [1, 1], bills: [-0, 0] },
  { from: 1000, to: 1000, seconds: 7 * DAY, quantity: [1, 3], bills: [-750, 2250] },
  { from: 999, to: 333, seconds: 9 * DAY, quantity: [3, 2], bills: [-2034, 452] },
];

Deno.test("a preview shows the worked examples of prorations, and the update bills just that", () =>
  withSandbox(async ({ stripe }) => {
    for (const example of EXAMPLES) {
      const { from, to, seconds, quantity: [had, wants], bills } = example;
      const price = await monthlyPrice(stripe, from);
      const { sub, customer } = await subscribed(stripe, {});
      const start = await stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: price.id, quantity: had ?? 1 }],
      });
      const next = to === from ? price : await monthlyPrice(stripe, to);
      const proration_date = START + seconds;
      const change = {
        items: [{ id: start.items.data[0]?.id, price: next.id, quantity: wants ?? 1 }],
        proration_behavior: "always_invoice" as const,
        proration_date,
      };
      const seen = await stripe.invoices.createPreview({
        subscription: start.id,
        subscription_details: change,
      });
      assert.deepEqual(seen.lines.data.map((line) => line.amount), bills.map((n) => n + 0));
      assert.match(seen.id ?? "", /^upcoming_in_/);
      assert.deepEqual([seen.status, seen.billing_reason, seen.number], [
        "draft",
        "upcoming",
        null,
      ]);
      assert.equal(
        (await stripe.subscriptions.retrieve(start.id)).latest_invoice,
        start.latest_invoice,
      );

      const updated = await stripe.subscriptions.update(start.id, {
        ...change,
        payment_behavior: "pending_if_incomplete",
      });
      const billed = await stripe.invoices.retrieve(String(updated.latest_invoice));
      assert.deepEqual(lines(billed), lines(seen));
      assert.deepEqual([billed.total, billed.amount_due], [seen.total, seen.amount_due]);
      assert.equal(billed.status, "paid");
      await stripe.subscriptions.cancel(sub.id);
    }
    const { data } = await stripe.invoices.list({ status: "draft" });
    assert.equal(data.length, 0);
  }));

Deno.test("without always_invoice the preview is the next renewal with its prorations", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, clock, customer } = await subscribed(stripe);
    const bigger = await monthlyPrice(stripe, 4900);
    await advance(stripe, clock, START + 10 * DAY);
    const details = {
      items: [{ id: sub.items.data[0]?.id, price: bigger.id }],
      proration_date: START + 7 * DAY,
    };
    const seen = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: details,
    });
    assert.deepEqual(seen.lines.data.map((line) => line.amount), [-1125, 3675, 4900]);
    assert.deepEqual([seen.created, seen.period_end], [at("2026-02-28"), at("2026-02-28")]);
    const recurring = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: details,
      preview_mode: "recurring",
    });
    assert.equal(recurring.total, 4900);
    await stripe.subscriptions.update(sub.id, details);
    await advance(stripe, clock, at("2026-02-28") + 2 * 3600);
    const [renewal] = (await stripe.invoices.list({ customer: customer.id, limit: 1 })).data;
    assert.ok(renewal);
    assert.deepEqual(lines(renewal), lines(seen));
    assert.equal(renewal.amount_paid, seen.amount_due);
    assert.equal(
      (await stripe.invoices.createPreview({ customer: customer.id })).amount_due,
      4900,
    );
  }));

Deno.test("month to year and back: credit, a whole new period, and what is left becomes balance", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, clock, price } = await subscribed(stripe);
    const yearly = await stripe.prices.create({
      currency: "usd",
      product: String(price.product),
      unit_amount: 15_000,
      recurring: { interval: "year" },
    });
    await advance(stripe, clock, START + 14 * DAY);
    const id = sub.items.data[0]?.id;
    for (const target of [yearly.id, price.id]) {
      const change = { items: [{ id, price: target }], proration_date: START + 14 * DAY };
      const seen = await stripe.invoices.createPreview({
        subscription: sub.id,
        subscription_details: change,
      });
      const after = await stripe.subscriptions.update(sub.id, change);
      const billed = await stripe.invoices.retrieve(String(after.latest_invoice));
      assert.deepEqual(lines(billed), lines(seen));
      assert.deepEqual(
        [billed.amount_due, billed.ending_balance, billed.starting_balance],
        [seen.amount_due, seen.ending_balance, seen.starting_balance],
      );
    }
    // A new cycle at the same price: everything paid for comes back and the period is billed whole.
    const again = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: {
        billing_cycle_anchor: { type: "now" },
        proration_date: START + 14 * DAY,
      },
    });
    assert.deepEqual(again.lines.data.map((line) => line.amount), [-1500, 1500]);
  }));

Deno.test("a preview refuses what Stripe refuses", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, customer, price } = await subscribed(stripe);
    const items = [{ id: sub.items.data[0]?.id, price: (await monthlyPrice(stripe, 4900)).id }];
    const preview = (params: Stripe.InvoiceCreatePreviewParams) =>
      refusal(stripe.invoices.createPreview(params));
    const late = { items, proration_date: at("2026-03-05") };
    const none = { items, proration_date: START, proration_behavior: "none" } as const;
    const subscription = sub.id;
    assert.equal((await preview({})).code, "parameter_missing");
    assert.equal((await preview({ subscription: "sub_none" })).code, "resource_missing");
    assert.match((await preview({ subscription, subscription_details: late })).message, /period/);
    assert.match((await preview({ subscription, subscription_details: none })).message, /none/);
    const bare = { proration_date: START };
    assert.match((await preview({ subscription, subscription_details: bare })).message, /items/);
    const stranger = await stripe.customers.create({});
    assert.equal((await preview({ customer: stranger.id })).code, "invoice_upcoming_none");
    assert.equal((await preview({ customer: stranger.id, subscription })).param, "subscription");
    const ending = { subscription, subscription_details: { cancel_at_period_end: true } };
    assert.equal((await preview(ending)).code, "invoice_upcoming_none");
    const start = await stripe.invoices.createPreview({
      customer: stranger.id,
      subscription_details: { items: [{ price: price.id, quantity: 2 }] },
    });
    assert.equal(start.amount_due, 3000);
    const now = await stripe.invoices.createPreview({
      subscription,
      subscription_details: { cancel_now: true },
    });
    assert.equal(now.total, -1500);
    assert.equal((await stripe.subscriptions.list({ customer: stranger.id })).data.length, 0);
    assert.equal((await stripe.invoiceItems.list({ customer: customer.id })).data.length, 0);
  }));

async function declining(stripe: Stripe, token = "pm_card_chargeCustomerFail") {
  const made = await subscribed(stripe);
  const bad = await stripe.paymentMethods.attach(token, { customer: made.customer.id });
  await stripe.customers.update(made.customer.id, {
    invoice_settings: { default_payment_method: bad.id },
  });
  const bigger = await monthlyPrice(stripe, 4900);
  const id = made.sub.items.data[0]?.id;
  const change = {
    items: [{ id, price: bigger.id }],
    proration_behavior: "always_invoice" as const,
    payment_behavior: "pending_if_incomplete" as const,
  };
  const held = await stripe.subscriptions.update(made.sub.id, change);
  return { ...made, bigger, held, change };
}

async function types(stripe: Stripe): Promise<string[]> {
  return (await stripe.events.list({ limit: 100 })).data.map((event) => event.type);
}

Deno.test("an unpaid change waits as pending_update and is applied when its invoice is paid", () =>
  withSandbox(async ({ stripe }) => {
    for (const token of ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"]) {
      const { sub, held, bigger, method } = await declining(stripe, token);
      assert.deepEqual([held.status, held.items.data[0]?.price.unit_amount], ["active", 1500]);
      assert.equal(held.pending_update?.subscription_items?.[0]?.price.id, bigger.id);
      assert.equal(held.pending_update?.expires_at, START + 23 * 3600);
      const open = await stripe.invoices.retrieve(String(held.latest_invoice));
      assert.deepEqual([open.status, open.amount_due, open.next_payment_attempt], [
        "open",
        3400,
        null,
      ]);
      await stripe.invoices.pay(open.id ?? "", { payment_method: method.id });
      const done = await stripe.subscriptions.retrieve(sub.id);
      assert.deepEqual([done.status, done.items.data[0]?.price.unit_amount, done.pending_update], [
        "active",
        4900,
        null,
      ]);
    }
    assert.ok((await types(stripe)).includes("customer.subscription.pending_update_applied"));
  }));

Deno.test("a pending update expires after 23 hours, and a void, a cancel or another change discards it", () =>
  withSandbox(async ({ stripe }) => {
    const { sub, clock, held } = await declining(stripe);
    await advance(stripe, clock, START + 23 * 3600);
    const gone = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([gone.status, gone.pending_update], ["active", null]);
    assert.equal((await stripe.invoices.retrieve(String(held.latest_invoice))).status, "void");
    assert.ok((await types(stripe)).includes("customer.subscription.pending_update_expired"));

    const voided = await declining(stripe);
    await stripe.invoices.voidInvoice(String(voided.held.latest_invoice));
    assert.equal((await stripe.subscriptions.retrieve(voided.sub.id)).pending_update, null);

    const again = await declining(stripe);
    const second = await stripe.subscriptions.update(again.sub.id, again.change);
    assert.notEqual(second.latest_invoice, again.held.latest_invoice);
    assert.ok(second.pending_update);
    const first = await stripe.invoices.retrieve(String(again.held.latest_invoice));
    assert.equal(first.status, "void");
    const canceled = await stripe.subscriptions.cancel(again.sub.id);
    assert.deepEqual([canceled.status, canceled.pending_update], ["canceled", null]);

    const mixed = { ...again.change, metadata: { a: "b" } };
    const { sub: other } = await subscribed(stripe);
    assert.equal((await refusal(stripe.subscriptions.update(other.id, mixed))).param, "metadata");
  }));
