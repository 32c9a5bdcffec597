import assert from "node:assert/strict";
import type Stripe from "stripe";
import {
  feePercent,
  isLicence,
  lostSale,
  offerParams,
  type PurchaseOffer,
  toPurchaseSnapshot,
} from "./purchase.ts";

const OFFER: PurchaseOffer = {
  purchaseId: "p1",
  listingId: "l1",
  title: "Tutor",
  kind: "one_time",
  amountMinor: 1_000,
  currency: "usd",
  feeMinor: 200,
  feeBps: 2_000,
  destination: "acct_1",
};

Deno.test("a listing of a creator is sold as a destination charge with our fee", () => {
  const { mode, metadata, payment_intent_data, line_items } = offerParams(OFFER);
  assert.deepEqual({ mode, metadata, payment_intent_data }, {
    mode: "payment",
    metadata: {
      purchase_id: "p1",
      listing_id: "l1",
      amount_minor: "1000",
      fee_bps: "2000",
      fee_minor: "200",
    },
    payment_intent_data: {
      metadata: { purchase_id: "p1" },
      transfer_group: "p1",
      transfer_data: { destination: "acct_1" },
      application_fee_amount: 200,
    },
  });
  assert.deepEqual(line_items, [{
    quantity: 1,
    price_data: { currency: "usd", unit_amount: 1_000, product_data: { name: "Tutor" } },
  }]);
});

Deno.test("a fee of zero is not asked for, because Stripe refuses it, and the house pays nobody", () => {
  const free = offerParams({ ...OFFER, feeMinor: 0, feeBps: 0 });
  assert.ok(!("application_fee_amount" in (free.payment_intent_data ?? {})));
  const house = offerParams({ ...OFFER, feeMinor: 0, feeBps: 0, destination: null });
  assert.deepEqual(house.payment_intent_data, { metadata: { purchase_id: "p1" } });
  const monthly = offerParams({ ...OFFER, kind: "monthly", feeBps: 0 });
  assert.ok(!("application_fee_percent" in (monthly.subscription_data ?? {})));
});

Deno.test("a monthly licence is a subscription with our share of every invoice", () => {
  const { mode, subscription_data, payment_intent_data, line_items } = offerParams({
    ...OFFER,
    kind: "monthly",
    feeBps: 1_250,
  });
  assert.equal(mode, "subscription");
  assert.equal(payment_intent_data, undefined);
  assert.deepEqual(subscription_data, {
    metadata: { purchase_id: "p1" },
    transfer_data: { destination: "acct_1" },
    application_fee_percent: 12.5,
  });
  assert.deepEqual(line_items?.[0]?.price_data?.recurring, { interval: "month" });
});

Deno.test("basis points become a percentage of two places", () => {
  assert.deepEqual([0, 1, 1_999, 2_000, 10_000].map(feePercent), [0, 0.01, 19.99, 20, 100]);
});

Deno.test("only a subscription that names a purchase of this customer is a licence", () => {
  const named = { metadata: { purchase_id: "p1" } };
  assert.ok(isLicence(named, new Set(["p1"])));
  assert.ok(!isLicence(named, new Set(["p2"])));
  assert.ok(!isLicence({ metadata: {} }, new Set(["p1"])));
});

Deno.test("the snapshot names the payment that went through, not those that were tried", () => {
  const charge = (id: string, status: string, created: number) => ({
    ...{ id, status, created, amount: 1_000, currency: "usd", payment_intent: "pi_1" },
    balance_transaction: null,
    receipt_url: `https://stripe.test/${id}`,
  });
  const snapshot = toPurchaseSnapshot(JSON.parse(JSON.stringify({
    session: {
      id: "cs_1",
      status: "complete",
      payment_status: "paid",
      customer: "cus_1",
      amount_total: 1_000,
      currency: "usd",
      payment_intent: "pi_1",
    },
    subscription: null,
    charges: [charge("ch_2", "succeeded", 20), charge("ch_1", "failed", 10)],
    ...{ refunds: [], disputes: [], transfers: [], reversals: [], fees: [], feeRefunds: [] },
    invoices: [],
  })));
  assert.equal(snapshot.charge_id, "ch_2");
  assert.equal(snapshot.receipt_url, "https://stripe.test/ch_2");
  assert.equal(snapshot.paid_at, "1970-01-01T00:00:20.000Z");
  assert.equal(snapshot.customer, "cus_1");
  assert.deepEqual(snapshot.charges.map(({ id }) => id), ["ch_1", "ch_2"]);
});

Deno.test("the price of a month is that of all items", () => {
  const item = (unit_amount: number | null, quantity: number) => ({
    ...{ price: { unit_amount }, quantity },
    current_period_end: 1_800_000_000,
  });
  const snapshot = toPurchaseSnapshot(JSON.parse(JSON.stringify({
    ...{ session: null, charges: [], refunds: [], disputes: [] },
    ...{ transfers: [], reversals: [], fees: [], feeRefunds: [], invoices: [] },
    subscription: {
      ...{ id: "sub_1", status: "active" },
      items: { data: [item(500, 2), item(50, 1), item(null, 3)] },
    },
  })));
  assert.equal(snapshot.subscription?.amount_minor, 1_050);
});

Deno.test("a subscription without a period is not understood", () => {
  const none = {
    refunds: [],
    disputes: [],
    transfers: [],
    reversals: [],
    fees: [],
    feeRefunds: [],
    invoices: [],
  };
  const objects = {
    ...none,
    session: null,
    charges: [],
    subscription: { id: "sub_1", status: "active", items: { data: [{}] } },
  };
  assert.throws(() => toPurchaseSnapshot(JSON.parse(JSON.stringify(objects))), {
    code: "stripe_shape_unknown",
  });
});

Deno.test("what waits to be paid is the newest invoice that is open and has something left", () => {
  const invoice = (id: string, status: string, amount_remaining: number) => ({
    ...{ id, status, amount_remaining },
    hosted_invoice_url: `https://stripe.test/${id}`,
  });
  const openOf = (...invoices: unknown[]) =>
    toPurchaseSnapshot(JSON.parse(JSON.stringify({
      ...{ session: null, subscription: null, charges: [], refunds: [], disputes: [] },
      ...{ transfers: [], reversals: [], fees: [], feeRefunds: [], invoices },
    }))).open_invoice;
  const paid = invoice("in_1", "paid", 0);
  const open = invoice("in_2", "open", 900);
  assert.equal(openOf(paid, invoice("in_3", "void", 900), invoice("in_4", "open", 0)), null);
  assert.deepEqual(openOf(invoice("in_5", "draft", 900), open, invoice("in_1", "open", 800)), {
    id: "in_2",
    url: "https://stripe.test/in_2",
    amount_minor: 900,
  });
  assert.throws(() => openOf({ ...open, hosted_invoice_url: null }), {
    code: "stripe_shape_unknown",
  });
});

Deno.test("a session tells of the sale that it was made for, and of nothing else", () => {
  const session = (changes: Record<string, unknown>): Stripe.Checkout.Session =>
    JSON.parse(JSON.stringify({
      ...{ id: "cs_1", status: "complete", currency: "usd", client_reference_id: "u1" },
      ...offerParams(OFFER),
      ...changes,
    }));
  assert.deepEqual(lostSale(session({})), {
    ...{ purchase: "p1", session: "cs_1", status: "complete", buyer: "u1", listing: "l1" },
    ...{ kind: "one_time", amountMinor: 1_000, currency: "usd", feeBps: 2_000, feeMinor: 200 },
  });
  assert.equal(lostSale(session({ mode: "subscription" }))?.kind, "monthly");
  // Of before the metadata had it all, of a plan, of credit, of nobody.
  assert.equal(lostSale(session({ metadata: { purchase_id: "p1" } })), null);
  assert.equal(lostSale(session({ metadata: { user_id: "u1" } })), null);
  assert.equal(lostSale(session({ metadata: null })), null);
  assert.equal(lostSale(session({ client_reference_id: null })), null);
});
