/** Metered prices on subscriptions and invoices: worked examples. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { advance, customerWithCard, refusal, START, withSandbox } from "./testing.ts";

const HOUR = 3600;
const EVENT = "messages";
/** START is the last day of January: the period ends on the last of February. */
const FEBRUARY = Date.parse("2026-02-28T12:00:00Z") / 1000;
const MARCH = Date.parse("2026-03-31T12:00:00Z") / 1000;

const newMeter = (stripe: Stripe, formula: "sum" | "last" = "sum") =>
  stripe.billing.meters.create({
    display_name: "Messages",
    event_name: EVENT,
    default_aggregation: { formula },
  });

const meteredPrice = (
  stripe: Stripe,
  meter: string,
  more: Partial<Stripe.PriceCreateParams> = { unit_amount: 2 },
) =>
  stripe.prices.create({
    currency: "usd",
    recurring: { interval: "month", usage_type: "metered", meter },
    product_data: { name: "Extra messages" },
    ...more,
  });

const flatPrice = (
  stripe: Stripe,
  unit_amount: number,
  interval: "month" | "year" = "month",
) =>
  stripe.prices.create({
    currency: "usd",
    unit_amount,
    recurring: { interval },
    product_data: { name: `Plan ${unit_amount}` },
  });

const use = (stripe: Stripe, customer: string, value: number, timestamp?: number) =>
  stripe.billing.meterEvents.create({
    event_name: EVENT,
    payload: { stripe_customer_id: customer, value: String(value) },
    ...(timestamp ? { timestamp } : {}),
  });

const linesOf = (invoice: Stripe.Invoice) =>
  invoice.lines.data.map((
    line,
  ) => [line.quantity, line.amount, line.period.start, line.period.end]);

async function newest(stripe: Stripe, customer: string): Promise<Stripe.Invoice> {
  const [invoice] = (await stripe.invoices.list({ customer })).data;
  assert.ok(invoice);
  return invoice;
}

Deno.test("a metered price needs an active meter; a fraction of a cent has a decimal only", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const bare = await refusal(stripe.prices.create({
      currency: "usd",
      unit_amount: 1,
      product_data: { name: "x" },
      recurring: { interval: "month", usage_type: "metered" },
    }));
    assert.match(bare.message, /metered prices must be backed by meters/);
    const licensed = refusal(stripe.prices.create({
      currency: "usd",
      unit_amount: 1,
      product_data: { name: "x" },
      recurring: { interval: "month", meter: meter.id },
    }));
    assert.equal((await licensed).statusCode, 400);
    const price = await meteredPrice(stripe, meter.id, {
      unit_amount_decimal: Stripe.Decimal.from("0.25"),
    });
    assert.deepEqual([price.unit_amount, String(price.unit_amount_decimal)], [null, "0.25"]);
    assert.deepEqual([price.recurring?.usage_type, price.recurring?.meter], ["metered", meter.id]);
    const found = await stripe.prices.list({ recurring: { meter: meter.id } });
    assert.deepEqual(found.data.map((each) => each.id), [price.id]);
    await stripe.billing.meters.deactivate(meter.id);
    assert.equal((await refusal(meteredPrice(stripe, meter.id))).statusCode, 400);
  }));

Deno.test("a plan with usage: the plan in advance, the usage in arrears, late usage until finalization", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [plan, extra] = [await flatPrice(stripe, 1500), await meteredPrice(stripe, meter.id)];
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const quantity = await refusal(stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id, quantity: 3 }],
    }));
    assert.equal(
      quantity.message,
      "Quantity should not be specified where usage_type is `metered`. Remove quantity from `items[1]`",
    );
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id }],
    });
    assert.equal(sub.items.data[1]?.quantity, undefined);
    const first = await newest(stripe, customer.id);
    assert.deepEqual(linesOf(first), [[1, 1500, START, FEBRUARY]], "nothing for usage yet");

    await use(stripe, customer.id, 100);
    await advance(stripe, clock, START + 10 * 86_400);
    await use(stripe, customer.id, 50);
    const preview = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.equal(preview.amount_due, 1500 + 300);

    await advance(stripe, clock, FEBRUARY + 60);
    const draft = await newest(stripe, customer.id);
    assert.equal(draft.status, "draft");
    assert.deepEqual(linesOf(draft), [[1, 1500, FEBRUARY, MARCH], [150, 300, START, FEBRUARY]]);
    // Late, of the period that is over; and of the new one, which this invoice does not bill.
    await use(stripe, customer.id, 7, FEBRUARY - 10);
    await use(stripe, customer.id, 1000, FEBRUARY);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const paid = await stripe.invoices.retrieve(draft.id ?? "");
    assert.deepEqual([paid.status, paid.amount_paid], ["paid", 1500 + 314]);
    assert.deepEqual(linesOf(paid)[1], [157, 314, START, FEBRUARY]);
    assert.equal(paid.lines.data[1]?.id, draft.lines.data[1]?.id);
    // Too late: it belongs to a period that is billed.
    await use(stripe, customer.id, 9, FEBRUARY - 10);
    await advance(stripe, clock, MARCH + HOUR + 60);
    assert.equal((await newest(stripe, customer.id)).amount_paid, 1500 + 2000);
  }));

Deno.test("usage alone: no first invoice, then one line a month; negative usage is nothing", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const price = await meteredPrice(stripe, meter.id, {
      unit_amount_decimal: Stripe.Decimal.from("0.25"),
    });
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    assert.deepEqual([sub.status, sub.latest_invoice], ["active", null]);
    assert.deepEqual((await stripe.invoices.list({ customer: customer.id })).data, []);
    await use(stripe, customer.id, 1003);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const invoice = await newest(stripe, customer.id);
    // 1003 × 0.25 cents is 250.75 cents.
    assert.deepEqual([invoice.status, invoice.total], ["paid", 251]);
    assert.equal(
      invoice.lines.data[0]?.description,
      "1003 × Extra messages (at $0.0025 / month)",
    );
    await use(stripe, customer.id, -5);
    await advance(stripe, clock, MARCH + HOUR + 60);
    const none = await newest(stripe, customer.id);
    assert.deepEqual([none.status, none.total, none.lines.data[0]?.quantity], ["paid", 0, 0]);
  }));

Deno.test("packages and tiers: 150 minutes are 3 hours; the first thousand is free", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const hours = await meteredPrice(stripe, meter.id, {
      unit_amount: 1000,
      transform_quantity: { divide_by: 60, round: "up" },
    });
    const tiered = await meteredPrice(stripe, meter.id, {
      billing_scheme: "tiered",
      tiers_mode: "graduated",
      tiers: [{ up_to: 100, unit_amount: 0 }, {
        up_to: "inf",
        unit_amount_decimal: Stripe.Decimal.from("1.5"),
      }],
    });
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: hours.id }, { price: tiered.id }],
    });
    await use(stripe, customer.id, 150);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const { lines } = await newest(stripe, customer.id);
    assert.deepEqual(lines.data.map((line) => [line.quantity, line.amount]), [
      [150, 3000],
      [100, 0],
      [50, 75],
    ]);
  }));

Deno.test("an annual plan with monthly usage: each item has its own period and its own invoices", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const plan = await flatPrice(stripe, 12_000, "year");
    const extra = await meteredPrice(stripe, meter.id);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id }],
    });
    const year = Date.parse("2027-01-31T12:00:00Z") / 1000;
    assert.deepEqual(sub.items.data.map((item) => item.current_period_end), [year, FEBRUARY]);
    await use(stripe, customer.id, 10);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const monthly = await newest(stripe, customer.id);
    assert.deepEqual(linesOf(monthly), [[10, 20, START, FEBRUARY]]);
    const after = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual(after.items.data.map((item) => item.current_period_end), [year, MARCH]);
  }));

Deno.test("another metered price in mid-period: what was used until then is billed at the old one", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [a, b] = [
      await meteredPrice(stripe, meter.id),
      await meteredPrice(stripe, meter.id, { unit_amount: 5 }),
    ];
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: a.id }],
    });
    await use(stripe, customer.id, 10);
    const middle = START + 14 * 86_400;
    await advance(stripe, clock, middle);
    await stripe.subscriptions.update(sub.id, {
      items: [{ id: sub.items.data[0]?.id, price: b.id }],
    });
    const [item] = (await stripe.invoiceItems.list({ customer: customer.id })).data;
    assert.deepEqual([item?.amount, item?.quantity, item?.period], [20, 10, {
      start: START,
      end: middle,
    }]);
    await use(stripe, customer.id, 4);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const invoice = await newest(stripe, customer.id);
    assert.deepEqual(linesOf(invoice), [[10, 20, START, middle], [4, 20, middle, FEBRUARY]]);
  }));

Deno.test("removing a metered item without prorations gives its usage up", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [plan, extra] = [await flatPrice(stripe, 1500), await meteredPrice(stripe, meter.id)];
    const { customer } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id }],
    });
    await use(stripe, customer.id, 10, START);
    await stripe.subscriptions.update(sub.id, {
      items: [{ id: sub.items.data[1]?.id, deleted: true }],
      proration_behavior: "none",
    });
    assert.deepEqual((await stripe.invoiceItems.list({ customer: customer.id })).data, []);
  }));

Deno.test("another interval of the plan restarts it, bills the usage at once and keeps the metered item", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [plan, extra] = [await flatPrice(stripe, 1500), await meteredPrice(stripe, meter.id)];
    const yearly = await flatPrice(stripe, 12_000, "year");
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id }],
    });
    await use(stripe, customer.id, 10);
    const middle = START + 14 * 86_400;
    await advance(stripe, clock, middle);
    const items = [{ id: sub.items.data[0]?.id, price: yearly.id }];
    const details = { items, proration_date: middle };
    const preview = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: details,
    });
    const after = await stripe.subscriptions.update(sub.id, {
      items,
      proration_date: middle,
      expand: ["latest_invoice"],
    });
    const invoice = after.latest_invoice;
    assert.ok(invoice && typeof invoice === "object");
    assert.deepEqual([invoice.total, preview.total], [-750 + 20 + 12_000, -750 + 20 + 12_000]);
    assert.equal(after.items.data[1]?.current_period_start, middle);
    await use(stripe, customer.id, 1);
    await advance(stripe, clock, (after.items.data[1]?.current_period_end ?? 0) + HOUR + 60);
    assert.equal((await newest(stripe, customer.id)).amount_paid, 2, "only what came after");
  }));

Deno.test("cancelling: at the period's end its usage is billed, now only with invoice_now", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const extra = await meteredPrice(stripe, meter.id);
    const subscribe = async () => {
      const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
      const sub = await stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: extra.id }],
      });
      await use(stripe, customer.id, 10);
      return { sub, customer: customer.id, clock };
    };
    const atEnd = await subscribe();
    await stripe.subscriptions.update(atEnd.sub.id, { cancel_at_period_end: true });
    await advance(stripe, atEnd.clock, FEBRUARY + 60);
    await use(stripe, atEnd.customer, 1, FEBRUARY - 1);
    await advance(stripe, atEnd.clock, FEBRUARY + HOUR + 60);
    assert.equal((await stripe.subscriptions.retrieve(atEnd.sub.id)).status, "canceled");
    const last = await newest(stripe, atEnd.customer);
    assert.deepEqual([last.status, last.amount_paid], ["paid", 22]);

    const now = await subscribe();
    await advance(stripe, now.clock, START + HOUR);
    await stripe.subscriptions.cancel(now.sub.id, { invoice_now: true });
    assert.deepEqual(linesOf(await newest(stripe, now.customer)), [[10, 20, START, START + HOUR]]);

    const gone = await subscribe();
    await advance(stripe, gone.clock, START + HOUR);
    await stripe.subscriptions.cancel(gone.sub.id);
    assert.deepEqual((await stripe.invoices.list({ customer: gone.customer })).data, []);
  }));

Deno.test("cancelling an annual plan with monthly usage: the flag means the month, max_period_end the year", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const plan = await flatPrice(stripe, 12_000, "year");
    const extra = await meteredPrice(stripe, meter.id);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: plan.id }, { price: extra.id }],
    });
    const flagged = await stripe.subscriptions.update(sub.id, { cancel_at_period_end: true });
    assert.equal(flagged.cancel_at, FEBRUARY);
    await use(stripe, customer.id, 10);
    const last = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.deepEqual(linesOf(last), [[10, 20, START, FEBRUARY]]);
    await stripe.subscriptions.update(sub.id, { cancel_at_period_end: false });
    const dated = await stripe.subscriptions.update(sub.id, { cancel_at: "max_period_end" });
    assert.equal(dated.cancel_at, Date.parse("2027-01-31T12:00:00Z") / 1000);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const after = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([after.status, after.items.data[1]?.current_period_end], ["active", MARCH]);
  }));

Deno.test("a scheduled downgrade bills the old period's usage, whether the next phase is metered or not", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [plan, small] = [await flatPrice(stripe, 1500), await flatPrice(stripe, 500)];
    const extra = await meteredPrice(stripe, meter.id);
    for (const stays of [true, false]) {
      const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
      const sub = await stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: plan.id }, { price: extra.id }],
      });
      const schedule = await stripe.subscriptionSchedules.create({ from_subscription: sub.id });
      const [now] = schedule.phases;
      assert.equal(now?.items[1]?.quantity, undefined);
      await stripe.subscriptionSchedules.update(schedule.id, {
        phases: [
          {
            items: [{ price: plan.id, quantity: 1 }, { price: extra.id }],
            start_date: now?.start_date,
            end_date: now?.end_date,
          },
          { items: [{ price: small.id, quantity: 1 }, ...(stays ? [{ price: extra.id }] : [])] },
        ],
      });
      await use(stripe, customer.id, 10);
      await advance(stripe, clock, FEBRUARY + HOUR + 60);
      const invoice = await newest(stripe, customer.id);
      assert.deepEqual([invoice.status, invoice.amount_paid], ["paid", 520], `stays: ${stays}`);
      const after = await stripe.subscriptions.retrieve(sub.id);
      assert.equal(after.items.data.length, stays ? 2 : 1);
    }
  }));

Deno.test("what is used in a trial is free", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const extra = await meteredPrice(stripe, meter.id);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: extra.id }],
      trial_period_days: 7,
    });
    assert.deepEqual([sub.status, sub.latest_invoice], ["trialing", null]);
    await use(stripe, customer.id, 10);
    await advance(stripe, clock, START + 8 * 86_400);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "active");
    assert.deepEqual((await stripe.invoices.list({ customer: customer.id })).data, []);
    await use(stripe, customer.id, 3);
    const preview = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.equal(preview.amount_due, 6);
  }));

Deno.test("Checkout sells a plan with usage: no quantity for it, and nothing due for it today", () =>
  withSandbox(async ({ stripe, sandbox }) => {
    const meter = await newMeter(stripe);
    const [plan, extra] = [await flatPrice(stripe, 1500), await meteredPrice(stripe, meter.id)];
    const create = (quantity?: number) =>
      stripe.checkout.sessions.create({
        mode: "subscription",
        line_items: [
          { price: plan.id, quantity: 1 },
          { price: extra.id, ...(quantity === undefined ? {} : { quantity }) },
        ],
        success_url: "http://127.0.0.1:9/",
      });
    assert.equal(
      (await refusal(create(1))).message,
      "Quantity should not be specified where usage_type is `metered`. Remove quantity from `line_items[1]`",
    );
    const session = await create();
    assert.equal(session.amount_total, 1500);
    const card = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };
    sandbox.hosted.payCheckout(session.id, { card, email: "a@example.com" });
    const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ["line_items"] });
    assert.equal(done.line_items?.data[1]?.quantity, null);
    const sub = await stripe.subscriptions.retrieve(String(done.subscription));
    assert.deepEqual(sub.items.data.map((item) => item.price.id), [plan.id, extra.id]);

    const only = await stripe.checkout.sessions.create({
      mode: "subscription",
      line_items: [{ price: extra.id }],
      success_url: "http://127.0.0.1:9/",
    });
    assert.equal(only.amount_total, 0);
    sandbox.hosted.payCheckout(only.id, { card, email: "b@example.com" });
    const { status, subscription, invoice } = await stripe.checkout.sessions.retrieve(only.id);
    assert.deepEqual([status, invoice], ["complete", null]);
    assert.equal((await stripe.subscriptions.retrieve(String(subscription))).status, "active");
  }));

Deno.test("a preview for a new customer of usage alone is the first invoice that will come", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const extra = await meteredPrice(stripe, meter.id);
    const { customer } = await customerWithCard(stripe, "tok_visa", START);
    await use(stripe, customer.id, 5, START);
    const preview = await stripe.invoices.createPreview({
      customer: customer.id,
      subscription_details: { items: [{ price: extra.id }] },
    });
    assert.deepEqual([preview.total, preview.lines.data[0]?.quantity], [10, 5]);
  }));
