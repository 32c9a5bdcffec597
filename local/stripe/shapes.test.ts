/**
 * What really travels, held against the types of the installed SDK: every non-optional key is there, no key is invented,
 * every word of an enum is one Stripe knows. (The compiler checks the literals in the code; this checks the answers.)
 */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { Shapes } from "./shapes_testing.ts";
import {
  advance,
  customerWithCard,
  type Fixture,
  KEY,
  monthlyPrice,
  refusal,
  withSandbox,
} from "./testing.ts";

const TYPES: Record<string, string> = {
  "billing.alert": "Billing.Alert",
  "billing.alert_triggered": "Billing.AlertTriggered",
  "billing.credit_balance_summary": "Billing.CreditBalanceSummary",
  "billing.credit_balance_transaction": "Billing.CreditBalanceTransaction",
  "billing.credit_grant": "Billing.CreditGrant",
  "billing.meter": "Billing.Meter",
  "billing.meter_event": "Billing.MeterEvent",
  "billing.meter_event_adjustment": "Billing.MeterEventAdjustment",
  "billing.meter_event_summary": "Billing.MeterEventSummary",
  "billing_portal.configuration": "BillingPortal.Configuration",
  "billing_portal.session": "BillingPortal.Session",
  "charge": "Charge",
  "checkout.session": "Checkout.Session",
  "coupon": "Coupon",
  "customer": "Customer",
  "discount": "Discount",
  "dispute": "Dispute",
  "entitlements.feature": "Entitlements.Feature",
  "event": "EventBase",
  "invoice": "Invoice",
  "invoice_payment": "InvoicePayment",
  "invoiceitem": "InvoiceItem",
  "payment_intent": "PaymentIntent",
  "payment_method": "PaymentMethod",
  "price": "Price",
  "product": "Product",
  "product_feature": "ProductFeature",
  "promotion_code": "PromotionCode",
  "refund": "Refund",
  "setup_intent": "SetupIntent",
  "subscription": "Subscription",
  "subscription_schedule": "SubscriptionSchedule",
  "tax.registration": "Tax.Registration",
  "tax.settings": "Tax.Settings",
  "tax_rate": "TaxRate",
  "test_helpers.test_clock": "TestHelpers.TestClock",
  "v2.billing.meter_event": "V2.Billing.MeterEvent",
  "v2.billing.meter_event_adjustment": "V2.Billing.MeterEventAdjustment",
  "v2.billing.meter_event_session": "V2.Billing.MeterEventSession",
  "v2.core.event": "V2.Core.Event",
  "v2.core.event_destination": "V2.Core.EventDestination",
  "webhook_endpoint": "WebhookEndpoint",
};

/** A bit of everything, so that each kind appears in each of its usual states. */
async function live({ stripe, sandbox, url }: Fixture): Promise<void> {
  const start = 1_780_000_000;
  const price = await monthlyPrice(stripe);
  const bigger = await monthlyPrice(stripe, 4900);
  const { customer, clock } = await customerWithCard(stripe, "tok_visa", start);
  await stripe.customers.update(customer.id, {
    address: { line1: "1 Street", country: "US" },
    shipping: { name: "Ada", address: { line1: "1 Street" } },
  });
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    trial_period_days: 5,
  });
  await advance(stripe, clock, start + 6 * 86_400);
  await stripe.subscriptions.update(sub.id, {
    items: [{ id: sub.items.data[0]?.id, price: bigger.id }],
    proration_behavior: "always_invoice",
  });
  const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", {
    customer: customer.id,
  });
  await stripe.customers.update(customer.id, {
    invoice_settings: { default_payment_method: bad.id },
  });
  await advance(stripe, clock, start + 45 * 86_400);
  await offers({ stripe, url }, price.id);
  const { hosted } = sandbox;
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{
      price_data: { currency: "usd", unit_amount: 700, product_data: { name: "Pack" } },
      quantity: 1,
    }],
    success_url: "http://127.0.0.1:9/",
  });
  const card = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };
  hosted.payCheckout(session.id, { card: { ...card, number: "4000000000000002" } });
  hosted.payCheckout(session.id, { card, email: "a@b.c" });
  const done = await stripe.checkout.sessions.retrieve(session.id);
  await stripe.refunds.create({ payment_intent: String(done.payment_intent) });
  await stripe.checkout.sessions.create({
    mode: "setup",
    success_url: "http://127.0.0.1:9/",
    customer: customer.id,
  });
  await stripe.setupIntents.create({
    confirm: true,
    payment_method: "pm_card_visa",
    customer: customer.id,
  });
  await refusal(
    stripe.setupIntents.create({ confirm: true, payment_method: "pm_card_chargeDeclined" }),
  );
  await stripe.paymentIntents.create({
    amount: 5,
    currency: "usd",
    confirm: true,
    payment_method: "pm_card_authenticationRequired",
  });
  await stripe.invoiceItems.create({ customer: customer.id, amount: 100, currency: "usd" });
  const invoice = await stripe.invoices.create({
    customer: customer.id,
    pending_invoice_items_behavior: "include",
  });
  await stripe.invoices.finalizeInvoice(invoice.id ?? "");
  const flow_data = { type: "payment_method_update" } as const;
  await stripe.billingPortal.sessions.create({ customer: customer.id, flow_data });
  await stripe.webhookEndpoints.create({
    url: "http://127.0.0.1:9/",
    enabled_events: ["payout.paid"],
  });
}

/** A taxed subscription, and a taxed session whose place is unknown. */
async function taxes({ stripe }: Fixture): Promise<void> {
  await stripe.tax.settings.update({
    defaults: { tax_behavior: "exclusive" },
    head_office: { address: { country: "IE" } },
  });
  await stripe.tax.registrations.create({
    active_from: "now",
    country: "IE",
    country_options: { ie: { type: "oss_union" } },
  });
  const { customer } = await customerWithCard(stripe);
  await stripe.customers.update(customer.id, { address: { country: "FR" } });
  const price = await monthlyPrice(stripe);
  const automatic_tax = { enabled: true };
  const items = [{ price: price.id }];
  await stripe.subscriptions.create({ customer: customer.id, items, automatic_tax });
  await stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "http://127.0.0.1:9/",
    automatic_tax,
  });
}

/** Thin destinations, in each state, with a ping and the thin event of a customer. */
async function thin({ stripe }: Fixture): Promise<void> {
  const { eventDestinations } = stripe.v2.core;
  const base = {
    name: "Thin",
    type: "webhook_endpoint",
    enabled_events: ["*"],
    webhook_endpoint: { url: "http://127.0.0.1:9/" },
  } as const;
  const { id } = await eventDestinations.create({
    ...base,
    enabled_events: ["*"],
    event_payload: "thin",
  });
  await eventDestinations.ping(id);
  await stripe.customers.create({});
  await eventDestinations.disable(id);
  await eventDestinations.create({ ...base, enabled_events: ["*"], event_payload: "snapshot" });
}

/** Discounts of every kind, tiers, currencies, a schedule and a pending update. */
async function offers({ stripe, url }: Pick<Fixture, "stripe" | "url">, price: string) {
  const coupon = await stripe.coupons.create({
    percent_off: 12.5,
    duration: "repeating",
    duration_in_months: 3,
  });
  const promotion = { type: "coupon" as const, coupon: coupon.id };
  await stripe.promotionCodes.create({ promotion });
  await stripe.paymentIntents.create({
    amount: 500,
    currency: "usd",
    confirm: true,
    payment_method: "pm_card_createDispute",
  });
  await stripe.prices.create({
    currency: "usd",
    billing_scheme: "tiered",
    tiers_mode: "volume",
    tiers: [{ up_to: "inf", unit_amount: 100 }],
    currency_options: { eur: { tiers: [{ up_to: "inf", unit_amount: 90 }] } },
    recurring: { interval: "month" },
    product_data: { name: "Seats" },
  });
  const headers = { authorization: `Bearer ${KEY}` };
  const body = new URLSearchParams({ coupon: coupon.id });
  await (await fetch(`${url}/v1/customers`, { method: "POST", headers, body })).body?.cancel();
  const { customer } = await customerWithCard(stripe);
  const sub = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price }],
    discounts: [{ coupon: coupon.id }],
  });
  await stripe.subscriptionSchedules.create({ from_subscription: sub.id });
  const waiting = await stripe.subscriptions.create({ customer: customer.id, items: [{ price }] });
  const asks = await stripe.paymentMethods.attach("pm_card_authenticationRequired", {
    customer: customer.id,
  });
  await stripe.subscriptions.update(waiting.id, { default_payment_method: asks.id });
  const held = await stripe.subscriptions.update(waiting.id, {
    items: [{ id: waiting.items.data[0]?.id, quantity: 3 }],
    proration_behavior: "always_invoice",
    payment_behavior: "pending_if_incomplete",
  });
  assert.ok(held.pending_update);
  return sub.id;
}

/** A metered subscription with usage, credits and an alert that fires; what the calls themselves answered. */
async function metered({ stripe, url }: Fixture): Promise<unknown[]> {
  const start = 1_780_000_000;
  const { customer, clock } = await customerWithCard(stripe, "tok_visa", start);
  const meter = await stripe.billing.meters.create({
    display_name: "Messages",
    event_name: "messages",
    default_aggregation: { formula: "sum" },
  });
  const usage = { usage_type: "metered", meter: meter.id } as const;
  const price = await stripe.prices.create({
    currency: "usd",
    unit_amount_decimal: Stripe.Decimal.from("1.5"),
    transform_quantity: { divide_by: 10, round: "up" },
    recurring: { interval: "month", ...usage },
    product_data: { name: "Messages" },
  });
  await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const amount = { type: "monetary", monetary: { currency: "usd", value: 5 } } as const;
  for (const scope of [{ price_type: "metered" } as const, { prices: [{ id: price.id }] }]) {
    const applicability_config = { scope };
    await stripe.billing.creditGrants.create({
      customer: customer.id,
      amount,
      applicability_config,
    });
  }
  const payload = { stripe_customer_id: customer.id, value: "100" };
  const event_name = "messages";
  const plain = await stripe.customers.create({});
  await stripe.billing.alerts.create({
    alert_type: "usage_threshold",
    title: "Used",
    usage_threshold: {
      gte: 1,
      meter: meter.id,
      recurrence: "one_time",
      filters: [{ type: "customer", customer: plain.id }],
    },
  });
  const cancel = { event_name, type: "cancel" as const, cancel: { identifier: "x" } };
  const answers: unknown[] = [
    await stripe.billing.meterEvents.create({ event_name, payload }),
    await stripe.billing.meterEvents.create({ event_name, payload, identifier: "x" }),
    await stripe.billing.meterEventAdjustments.create(cancel),
    await stripe.v2.billing.meterEvents.create({
      event_name,
      payload: { ...payload, stripe_customer_id: plain.id },
      identifier: "x2",
    }),
    await stripe.v2.billing.meterEventAdjustments.create({
      ...cancel,
      cancel: { identifier: "x2" },
    }),
    await stripe.v2.billing.meterEventSession.create(),
    await stripe.billing.creditBalanceSummaries.retrieve({
      customer: customer.id,
      filter: { type: "applicability_scope", applicability_scope: { price_type: "metered" } },
    }),
    ...(await stripe.billing.meters.listEventSummaries(meter.id, {
      customer: customer.id,
      start_time: Math.floor(start / 60) * 60,
      end_time: Math.floor(start / 60) * 60 + 60,
    })).data,
  ];
  await stripe.v2.billing.meterEvents.create({
    event_name,
    payload: { ...payload, stripe_customer_id: "cus_none" },
  });
  await advance(stripe, clock, start + 32 * 86_400);
  const [invoice] = (await stripe.invoices.list({ customer: customer.id })).data;
  assert.equal(invoice?.total_pretax_credit_amounts?.length, 2);
  const body = JSON.stringify({ seconds: 10 });
  await (await fetch(`${url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
  return answers.map((answer) => JSON.parse(JSON.stringify(answer)));
}

const PATHS = [
  "billing/alerts",
  "billing/credit_balance_transactions",
  "billing/credit_grants",
  "billing/meters",
  "products",
  "prices",
  "customers?expand[]=data.tax",
  "tax/registrations",
  "coupons?expand[]=data.applies_to&expand[]=data.currency_options",
  "promotion_codes",
  "disputes",
  "subscription_schedules",
  "prices?expand[]=data.tiers&expand[]=data.currency_options",
  "payment_methods",
  "payment_intents",
  "setup_intents",
  "charges",
  "refunds",
  "invoices",
  "invoiceitems",
  "invoice_payments",
  "subscriptions?status=all",
  "checkout/sessions",
  "billing_portal/configurations",
  "billing_portal/configurations?expand[]=data.features.subscription_update.products",
  "webhook_endpoints",
  "test_helpers/test_clocks",
  "entitlements/features",
  "events?limit=100",
  "events?limit=100&type=customer.discount.created",
  "../v2/core/events?limit=100",
  "../v2/core/event_destinations?include[0]=webhook_endpoint.url",
];

Deno.test("every object that travels has the shape of the SDK's types", () =>
  withSandbox(async (fixture) => {
    await live(fixture);
    await taxes(fixture);
    await thin(fixture);
    const answers = await metered(fixture);
    const shapes = new Shapes(TYPES);
    const look = (value: unknown) => shapes.look(value);
    answers.forEach(look);
    const { id: clock } = (await fixture.stripe.testHelpers.testClocks.list()).data[0] ??
      { id: "" };
    for (const path of [...PATHS, `customers?test_clock=${clock}`]) {
      const answer = await fetch(`${fixture.url}/v1/${path}`, {
        headers: { authorization: `Bearer ${KEY}` },
      });
      const list = await answer.json();
      assert.equal(answer.status, 200, JSON.stringify(list));
      list.data.forEach(look);
    }
    const { stripe } = fixture;
    const feature = await stripe.entitlements.features.create({ lookup_key: "sla", name: "SLA" });
    look(JSON.parse(JSON.stringify(feature)));
    const { id: product } = await stripe.products.create({ name: "With a feature" });
    const attached = { entitlement_feature: feature.id };
    look(JSON.parse(JSON.stringify(await stripe.products.createFeature(product, attached))));
    for (const path of ["tax/settings", "tax_rates/txr_sandboxFR1e"]) {
      const headers = { authorization: `Bearer ${KEY}` };
      look(await (await fetch(`${fixture.url}/v1/${path}`, { headers })).json());
    }
    const [sub] = (await fixture.stripe.subscriptions.list()).data;
    const preview = await fetch(`${fixture.url}/v1/invoices/create_preview`, {
      method: "POST",
      headers: { authorization: `Bearer ${KEY}` },
      body: new URLSearchParams({ subscription: sub?.id ?? "" }),
    });
    assert.equal(preview.status, 200);
    look(await preview.json());
    shapes.done();
  }));
