import assert from "node:assert/strict";
import type Stripe from "stripe";
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
const CARD = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };
const success_url = "http://127.0.0.1:9/done";
const GERMANY = { country: "DE", postal_code: "10115" };
const ON = { automatic_tax: { enabled: true } } as const;

async function settle(stripe: Stripe): Promise<void> {
  await stripe.tax.settings.update({
    defaults: { tax_behavior: "inferred_by_currency" },
    head_office: { address: { country: "US", postal_code: "94107", line1: "1 Main", state: "CA" } },
  });
}

const standard = { place_of_supply_scheme: "standard" } as const;
const REGISTRATION = {
  active_from: "now",
  country: "DE",
  country_options: { de: { type: "standard", standard } },
} as const;

/** A subscription at $15 of a customer in Germany, taxed. */
async function taxed(stripe: Stripe, options: Partial<Stripe.SubscriptionCreateParams> = {}) {
  const price = await monthlyPrice(stripe);
  const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
  await stripe.customers.update(customer.id, { address: GERMANY });
  const items = [{ price: price.id }];
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items,
    ...ON,
    ...options,
  });
  return { price, customer, clock, sub };
}

const latest = (stripe: Stripe, sub: Stripe.Subscription) =>
  stripe.invoices.retrieve(String(sub.latest_invoice));

Deno.test("with a registration tax comes on top of every line, without one it is zero and says why", () =>
  withSandbox(async ({ stripe }) => {
    await settle(stripe);
    const before = await latest(stripe, (await taxed(stripe)).sub);
    assert.deepEqual([before.total, before.automatic_tax.status], [1500, "complete"]);
    assert.equal(before.total_taxes?.[0]?.taxability_reason, "not_collecting");
    await stripe.tax.registrations.create(REGISTRATION);
    const { sub, customer } = await taxed(stripe);
    const invoice = await latest(stripe, sub);
    assert.deepEqual(
      [invoice.subtotal, invoice.total_excluding_tax, invoice.total, invoice.amount_paid],
      [1500, 1500, 1785, 1785],
    );
    const tax = invoice.lines.data[0]?.taxes?.[0];
    assert.deepEqual(
      [tax?.amount, tax?.taxable_amount, tax?.tax_behavior, tax?.taxability_reason],
      [285, 1500, "exclusive", "standard_rated"],
    );
    assert.deepEqual(invoice.total_taxes, invoice.lines.data[0]?.taxes);
    const rate = await stripe.taxRates.retrieve(tax?.tax_rate_details?.tax_rate ?? "");
    assert.deepEqual([rate.percentage, rate.country, rate.inclusive], [19, "DE", false]);
    const { tax: place } = await stripe.customers.retrieve(customer.id, {
      expand: ["tax"],
    }) as Stripe.Customer;
    assert.deepEqual([place?.automatic_tax, place?.location?.country], ["supported", "DE"]);
    await stripe.customers.update(customer.id, { tax_exempt: "reverse" });
    const preview = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.deepEqual(
      [preview.total, preview.total_taxes?.[0]?.taxability_reason],
      [1500, "reverse_charge"],
    );
  }));

Deno.test("renewals, prorations, discounts and previews are taxed as the first invoice was", () =>
  withSandbox(async ({ stripe }) => {
    await settle(stripe);
    await stripe.tax.registrations.create(REGISTRATION);
    const coupon = await stripe.coupons.create({ percent_off: 20, duration: "forever" });
    const { sub, clock, customer } = await taxed(stripe, { discounts: [{ coupon: coupon.id }] });
    assert.equal((await latest(stripe, sub)).total, 1428);
    await advance(stripe, clock, START + 14 * DAY);
    const bigger = await monthlyPrice(stripe, 4900);
    const change = {
      items: [{ id: sub.items.data[0]?.id ?? "", price: bigger.id }],
      proration_behavior: "always_invoice" as const,
      proration_date: START + 14 * DAY,
    };
    const preview = await stripe.invoices.createPreview({
      subscription: sub.id,
      subscription_details: change,
    });
    const changed = await latest(stripe, await stripe.subscriptions.update(sub.id, change));
    // Half of 12.00 back and half of 39.20: -6.00 and 19.60, each with 19 %.
    assert.deepEqual(changed.lines.data.map(({ amount, taxes }) => [amount, taxes?.[0]?.amount]), [
      [-600, -114],
      [1960, 372],
    ]);
    assert.deepEqual([changed.total, preview.total], [1618, 1618]);
    await advance(stripe, clock, at("2026-02-28") + 7200);
    const { data: [renewal] } = await stripe.invoices.list({ customer: customer.id });
    assert.deepEqual([renewal?.billing_reason, renewal?.total], ["subscription_cycle", 4665]);
  }));

Deno.test("an inclusive price keeps its total, and a price's behavior is chosen once", () =>
  withSandbox(async ({ stripe }) => {
    await settle(stripe);
    await stripe.tax.registrations.create(REGISTRATION);
    const price = await monthlyPrice(stripe, 1190);
    await stripe.prices.update(price.id, { tax_behavior: "inclusive" });
    const again = stripe.prices.update(price.id, { tax_behavior: "exclusive" });
    assert.equal((await refusal(again)).param, "tax_behavior");
    const { sub } = await taxed(stripe, { items: [{ price: price.id }] });
    const invoice = await latest(stripe, sub);
    assert.deepEqual(
      [invoice.total, invoice.total_excluding_tax, invoice.subtotal_excluding_tax],
      [1190, 1000, 1000],
    );
    assert.deepEqual(
      invoice.total_taxes?.map(({ amount, taxable_amount }) => [amount, taxable_amount]),
      [[190, 1000]],
    );
  }));

Deno.test("automatic tax is refused where Stripe refuses it", () =>
  withSandbox(async ({ stripe }) => {
    const { customer, price, sub } = await subscribed(stripe);
    const wanted = { customer: customer.id, items: [{ price: price.id }], ...ON };
    assert.match((await refusal(stripe.subscriptions.create(wanted))).message, /head office/);
    assert.match((await refusal(stripe.tax.registrations.create(REGISTRATION))).message, /head/i);
    assert.equal((await stripe.tax.settings.retrieve()).status, "pending");
    await stripe.tax.settings.update({ head_office: { address: GERMANY } });
    assert.match((await refusal(stripe.subscriptions.create(wanted))).message, /tax_behavior/);
    await settle(stripe);
    const code = "customer_tax_location_invalid";
    const tries = [
      () => stripe.subscriptions.create(wanted),
      () => stripe.subscriptions.update(sub.id, ON),
      () => stripe.invoices.create({ customer: customer.id, ...ON }),
      () =>
        stripe.customers.create({
          address: { country: "US" },
          tax: { validate_location: "immediately" },
        }),
      () =>
        stripe.checkout.sessions.create({
          mode: "subscription",
          customer: customer.id,
          line_items: [{ price: price.id, quantity: 1 }],
          success_url,
          ...ON,
        }),
    ];
    for (const each of tries) assert.equal((await refusal(each())).code, code);
    const preview = await stripe.invoices.createPreview({ subscription: sub.id, ...ON });
    assert.equal(preview.automatic_tax.status, "requires_location_inputs");
    const update = stripe.checkout.sessions.create({
      mode: "subscription",
      customer_update: { address: "auto" },
      line_items: [{ price: price.id, quantity: 1 }],
      success_url,
    });
    assert.equal((await refusal(update)).param, "customer_update");
    const japan = stripe.tax.registrations.create({
      active_from: "now",
      country: "JP",
      country_options: { jp: { type: "standard", standard } },
    });
    assert.match((await refusal(japan)).message, /no tax rate/);
  }));

Deno.test("a customer whose place is lost is invoiced without tax, and the subscription says so", () =>
  withSandbox(async ({ stripe }) => {
    await settle(stripe);
    await stripe.tax.registrations.create(REGISTRATION);
    const { sub, customer, clock } = await taxed(stripe);
    const lost = { address: { country: "US" } };
    assert.equal(
      (await refusal(stripe.customers.update(customer.id, lost))).code,
      "customer_tax_location_invalid",
    );
    const deferred = { ...lost, tax: { validate_location: "deferred" } } as const;
    await stripe.customers.update(customer.id, deferred);
    await advance(stripe, clock, at("2026-02-28") + 7200);
    const now = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([now.automatic_tax.enabled, now.automatic_tax.disabled_reason], [
      false,
      "requires_location_inputs",
    ]);
    const renewal = await latest(stripe, now);
    assert.deepEqual([renewal.total, renewal.status, renewal.automatic_tax.disabled_reason], [
      1500,
      "paid",
      "finalization_requires_location_inputs",
    ]);
  }));

Deno.test("registrations are of a country or a state, of the whole Union, and end", () =>
  withSandbox(async ({ stripe }) => {
    await settle(stripe);
    const union = await stripe.tax.registrations.create({
      active_from: "now",
      country: "IE",
      country_options: { ie: { type: "oss_union" } },
    });
    await stripe.tax.registrations.create({
      active_from: "now",
      country: "US",
      country_options: { us: { type: "state_sales_tax", state: "NY" } },
    });
    const later = await stripe.tax.registrations.create({
      active_from: Math.floor(Date.now() / 1000) + DAY,
      country: "GB",
      country_options: { gb: { type: "standard", standard } },
    });
    assert.deepEqual([union.status, later.status], ["active", "scheduled"]);
    const price = await monthlyPrice(stripe, 1000);
    const totalAt = async (address: Stripe.AddressParam) => {
      const customer = await stripe.customers.create({ address });
      const preview = await stripe.invoices.createPreview({
        customer: customer.id,
        subscription_details: { items: [{ price: price.id }] },
        ...ON,
      });
      return preview.total;
    };
    assert.equal(await totalAt({ country: "FR" }), 1200);
    assert.equal(await totalAt({ country: "GB" }), 1000);
    assert.equal(await totalAt({ country: "US", postal_code: "10001" }), 1040);
    assert.equal(await totalAt({ country: "US", postal_code: "94107" }), 1000);
    const ended = await stripe.tax.registrations.update(union.id, { expires_at: "now" });
    assert.equal(ended.status, "expired");
    assert.equal(await totalAt({ country: "FR" }), 1000);
    const { data } = await stripe.tax.registrations.list({ status: "expired" });
    assert.deepEqual(data.map(({ id }) => id), [union.id]);
  }));

Deno.test("Checkout asks where the customer is, shows the tax, and the customer keeps the address", () =>
  withSandbox(async ({ stripe, sandbox: { hosted } }) => {
    await settle(stripe);
    await stripe.tax.registrations.create(REGISTRATION);
    const price = await monthlyPrice(stripe);
    const customer = await stripe.customers.create({ email: "ada@example.com" });
    const session = await stripe.checkout.sessions.create({
      mode: "subscription",
      customer: customer.id,
      customer_update: { address: "auto" },
      line_items: [{ price: price.id, quantity: 1 }],
      success_url,
      ...ON,
    });
    assert.equal(session.automatic_tax.status, "requires_location_inputs");
    assert.throws(() => hosted.payCheckout(session.id, { card: CARD }), /billing address/);
    const vague = { country: "US", postal_code: null };
    assert.equal(hosted.setBillingAddress(session.id, vague).outcome, "refused");
    assert.equal(hosted.setBillingAddress(session.id, GERMANY).outcome, "applied");
    assert.deepEqual(hosted.getCheckoutView(session.id)?.taxes, [
      { name: "VAT Germany (19%)", amount: 285, inclusive: false },
    ]);
    assert.equal(hosted.payCheckout(session.id, { card: CARD }).outcome, "succeeded");
    const done = await stripe.checkout.sessions.retrieve(session.id, {
      expand: ["line_items", "subscription.latest_invoice", "customer"],
    });
    assert.deepEqual(
      [done.amount_subtotal, done.total_details?.amount_tax, done.amount_total],
      [1500, 285, 1785],
    );
    assert.deepEqual(
      [done.automatic_tax.status, done.line_items?.data[0]?.amount_tax],
      ["complete", 285],
    );
    const { latest_invoice, automatic_tax } = done.subscription as Stripe.Subscription;
    const { total, amount_paid } = latest_invoice as Stripe.Invoice;
    assert.deepEqual([total, amount_paid, automatic_tax.enabled], [1785, 1785, true]);
    assert.equal((done.customer as Stripe.Customer).address?.country, "DE");
    assert.equal(done.customer_details?.address?.postal_code, "10115");
  }));
