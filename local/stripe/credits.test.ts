/** Billing credits: grants, their order, what they take off usage, and what comes back. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import {
  advance,
  customerWithCard,
  eventually,
  receiver,
  refusal,
  START,
  withSandbox,
} from "./testing.ts";

const HOUR = 3600;
const DAY = 86_400;
const EVENT = "tokens";
const FEBRUARY = Date.parse("2026-02-28T12:00:00Z") / 1000;

/** A customer who pays a plan of 15.00 and a cent for each token. */
async function subscribed(stripe: Stripe) {
  const meter = await stripe.billing.meters.create({
    display_name: "Tokens",
    event_name: EVENT,
    default_aggregation: { formula: "sum" },
  });
  const price = (more: Partial<Stripe.PriceCreateParams>) =>
    stripe.prices.create({ currency: "usd", product_data: { name: "Tokens" }, ...more });
  const plan = await price({ unit_amount: 1500, recurring: { interval: "month" } });
  const usage = await price({
    unit_amount: 1,
    recurring: { interval: "month", usage_type: "metered", meter: meter.id },
  });
  const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: plan.id }, { price: usage.id }],
  });
  return { customer: customer.id, clock, sub, usage, plan };
}

const grant = (
  stripe: Stripe,
  customer: string,
  value: number,
  more: Partial<Stripe.Billing.CreditGrantCreateParams> = {},
) =>
  stripe.billing.creditGrants.create({
    customer,
    amount: { type: "monetary", monetary: { currency: "usd", value } },
    applicability_config: { scope: { price_type: "metered" } },
    ...more,
  });

const use = (stripe: Stripe, customer: string, value: number) =>
  stripe.billing.meterEvents.create({
    event_name: EVENT,
    payload: { stripe_customer_id: customer, value: String(value) },
  });

async function balance(stripe: Stripe, customer: string): Promise<number | undefined> {
  const { balances } = await stripe.billing.creditBalanceSummaries.retrieve({
    customer,
    filter: { type: "applicability_scope", applicability_scope: { price_type: "metered" } },
  });
  return balances[0]?.available_balance.monetary?.value;
}

async function newest(stripe: Stripe, customer: string): Promise<Stripe.Invoice> {
  const [invoice] = (await stripe.invoices.list({ customer })).data;
  assert.ok(invoice);
  return invoice;
}

Deno.test("credits pay for usage when the invoice is finalized, never for the plan", () =>
  withSandbox(async ({ stripe }) => {
    let secret = "";
    const hook = await receiver(() => secret);
    secret = (await stripe.webhookEndpoints.create({
      url: hook.url,
      enabled_events: [
        "billing.credit_grant.created",
        "billing.credit_balance_transaction.created",
      ],
    })).secret ?? "";
    const { customer, clock, sub } = await subscribed(stripe);
    const made = await grant(stripe, customer, 1000, { name: "Welcome", category: "promotional" });
    assert.deepEqual([made.priority, made.category, made.effective_at], [50, "promotional", START]);
    await use(stripe, customer, 300);
    const preview = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.deepEqual([preview.subtotal, preview.total], [1800, 1500]);
    assert.equal(preview.total_pretax_credit_amounts?.[0]?.credit_balance_transaction, null);
    assert.equal(await balance(stripe, customer), 1000, "a preview takes nothing");

    await advance(stripe, clock, FEBRUARY + 60);
    assert.equal((await newest(stripe, customer)).total, 1800, "a draft has no credits yet");
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const invoice = await newest(stripe, customer);
    assert.deepEqual([invoice.subtotal, invoice.total, invoice.amount_paid], [1800, 1500, 1500]);
    const [pretax] = invoice.total_pretax_credit_amounts ?? [];
    assert.deepEqual([pretax?.amount, pretax?.type], [300, "credit_balance_transaction"]);
    const line = invoice.lines.data.find((each) => (each.pretax_credit_amounts ?? []).length > 0);
    assert.equal(line?.amount, 300);
    const { data } = await stripe.billing.creditBalanceTransactions.list({ customer });
    assert.deepEqual(data.map((each) => each.debit?.type ?? each.credit?.type), [
      "credits_applied",
      "credits_granted",
    ]);
    assert.deepEqual(data[0]?.debit?.credits_applied, {
      invoice: invoice.id,
      invoice_line_item: line?.id,
    });
    assert.equal(data[0]?.id, pretax?.credit_balance_transaction);
    assert.equal(await balance(stripe, customer), 700);
    await eventually("three events", () => Promise.resolve(hook.events.length === 3));
    await hook.close();
  }));

Deno.test("the order: priority, the sooner end, promotional before paid, the older", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, clock } = await subscribed(stripe);
    const later = START + 90 * DAY;
    const names = ["paid", "promotional", "first", "soon", "last"];
    await grant(stripe, customer, 100, { name: "paid" });
    await grant(stripe, customer, 100, { name: "promotional", category: "promotional" });
    await grant(stripe, customer, 100, { name: "first", priority: 1 });
    await grant(stripe, customer, 100, { name: "soon", expires_at: later });
    await grant(stripe, customer, 100, { name: "last", priority: 90, expires_at: later });
    await use(stripe, customer, 350);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const left = new Map<string, number>();
    for (const each of (await stripe.billing.creditGrants.list({ customer })).data) {
      const { balances } = await stripe.billing.creditBalanceSummaries.retrieve({
        customer,
        filter: { type: "credit_grant", credit_grant: each.id },
      });
      left.set(each.name ?? "", balances[0]?.available_balance.monetary?.value ?? -1);
    }
    assert.deepEqual(names.map((name) => left.get(name)), [50, 0, 0, 0, 100]);
    assert.equal((await newest(stripe, customer)).total, 1500);
  }));

Deno.test("a grant for some prices, in another currency, in the future or over does not pay", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, clock, usage, plan } = await subscribed(stripe);
    const other = await stripe.prices.create({
      currency: "usd",
      unit_amount: 1,
      product_data: { name: "Other" },
      recurring: { interval: "month", usage_type: "metered", meter: usage.recurring?.meter ?? "" },
    });
    const scope = (id: string) => ({ applicability_config: { scope: { prices: [{ id }] } } });
    await grant(stripe, customer, 100, scope(other.id));
    await grant(stripe, customer, 100, {
      amount: { type: "monetary", monetary: { currency: "eur", value: 100 } },
    });
    await grant(stripe, customer, 100, { effective_at: FEBRUARY + DAY });
    await grant(stripe, customer, 100, { expires_at: FEBRUARY });
    await grant(stripe, customer, 30, scope(usage.id));
    assert.equal((await refusal(grant(stripe, customer, 1, scope(plan.id)))).statusCode, 400);
    assert.equal((await refusal(grant(stripe, customer, 0))).statusCode, 400);
    await use(stripe, customer, 100);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    assert.equal((await newest(stripe, customer)).total, 1500 + 70);
    const { data } = await stripe.billing.creditBalanceTransactions.list({ customer, limit: 50 });
    assert.equal(data.filter((each) => each.debit?.type === "credits_expired").length, 1);
  }));

Deno.test("discounts come before credits", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, clock, sub } = await subscribed(stripe);
    const coupon = await stripe.coupons.create({ percent_off: 50, duration: "forever" });
    await stripe.subscriptions.update(sub.id, { discounts: [{ coupon: coupon.id }] });
    await grant(stripe, customer, 1000);
    await use(stripe, customer, 300);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const invoice = await newest(stripe, customer);
    assert.deepEqual([invoice.total, await balance(stripe, customer)], [750, 850]);
    assert.deepEqual(
      invoice.total_pretax_credit_amounts?.map((each) => [each.type, each.amount]),
      [["discount", 900], ["credit_balance_transaction", 150]],
    );
  }));

Deno.test("a void invoice gives its credits back", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, clock } = await subscribed(stripe);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
    await stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: bad.id },
    });
    await grant(stripe, customer, 200);
    await use(stripe, customer, 300);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    const invoice = await newest(stripe, customer);
    assert.deepEqual([invoice.status, invoice.total, await balance(stripe, customer)], [
      "open",
      1600,
      0,
    ]);
    await stripe.invoices.voidInvoice(invoice.id ?? "");
    assert.equal(await balance(stripe, customer), 200);
    const [back] = (await stripe.billing.creditBalanceTransactions.list({ customer })).data;
    assert.deepEqual(
      [back?.credit?.type, back?.credit?.credits_application_invoice_voided?.invoice],
      ["credits_application_invoice_voided", invoice.id],
    );
  }));

Deno.test("a grant is changed, expired and voided, and what was used cannot be voided", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, clock } = await subscribed(stripe);
    const { creditGrants } = stripe.billing;
    const a = await grant(stripe, customer, 100);
    const changed = await creditGrants.update(a.id, {
      expires_at: START + 400 * DAY,
      metadata: { order: "1" },
    });
    assert.deepEqual([changed.expires_at, changed.metadata], [START + 400 * DAY, { order: "1" }]);
    assert.equal((await creditGrants.update(a.id, { expires_at: "" })).expires_at, null);
    const over = await creditGrants.expire(a.id);
    assert.equal(over.expires_at, START);
    assert.equal((await refusal(creditGrants.update(a.id, {}))).statusCode, 400);
    const b = await grant(stripe, customer, 100);
    assert.equal((await creditGrants.voidGrant(b.id)).voided_at, START);
    assert.equal(await balance(stripe, customer), undefined);
    const c = await grant(stripe, customer, 100);
    await use(stripe, customer, 10);
    await advance(stripe, clock, FEBRUARY + HOUR + 60);
    assert.equal((await refusal(creditGrants.voidGrant(c.id))).statusCode, 400);
    const types = (await stripe.billing.creditBalanceTransactions.list({ customer })).data
      .map((each) => each.debit?.type ?? each.credit?.type);
    assert.deepEqual(types, [
      "credits_applied",
      "credits_granted",
      "credits_voided",
      "credits_granted",
      "credits_expired",
      "credits_granted",
    ]);
  }));
