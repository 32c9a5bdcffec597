import assert from "node:assert/strict";
import type Stripe from "stripe";
import {
  accountToSync,
  customerOf,
  DELIVERIES,
  HINT_GROUPS,
  hintsAtCustomer,
  isMeterReport,
  purchaseClues,
  thinAccountToSync,
} from "./events.ts";

function event(type: string, object: unknown): Stripe.Event {
  return JSON.parse(JSON.stringify({ id: "evt_1", type, data: { object } }));
}

Deno.test("an event hints at its customer, as an id or expanded", () => {
  const type = "customer.subscription.updated";
  assert.ok(hintsAtCustomer(type));
  assert.equal(customerOf(event(type, { object: "subscription", customer: "cus_1" })), "cus_1");
  assert.equal(
    customerOf(event(type, { object: "subscription", customer: { id: "cus_1" } })),
    "cus_1",
  );
});

Deno.test("an event about a customer hints at itself", () => {
  assert.equal(customerOf(event("customer.deleted", { object: "customer", id: "cus_1" })), "cus_1");
});

Deno.test("events of no interest, and shapes of another time, hint at nothing", () => {
  assert.ok(!hintsAtCustomer("product.created"));
  assert.ok(!hintsAtCustomer("charge.succeeded"));
  assert.equal(customerOf(event("invoice.paid", { object: "invoice" })), null);
  assert.equal(customerOf(event("invoice.paid", null)), null);
  assert.equal(customerOf(event("invoice.paid", { object: "invoice", customer: 7 })), null);
});

Deno.test("Stripe lists no more than twenty types at once, and no type is asked for twice", () => {
  for (const group of HINT_GROUPS) assert.ok(group.length <= 20);
  const all = HINT_GROUPS.flat();
  assert.equal(new Set(all).size, all.length);
});

Deno.test("everything that is delivered is understood, and no endpoint hears of another's events", () => {
  const { webhook, connect, meters, accounts } = DELIVERIES;
  assert.deepEqual(webhook, HINT_GROUPS.flat());
  for (const type of connect) {
    const heard = { ...event(type, { object: "account" }), account: "acct_1" };
    assert.equal(accountToSync(heard), "acct_1");
  }
  for (const type of meters) assert.ok(isMeterReport(type));
  const related_object = { id: "acct_1" };
  for (const type of accounts) assert.equal(thinAccountToSync({ type, related_object }), "acct_1");
  const all = Object.values(DELIVERIES).flat();
  assert.equal(new Set(all).size, all.length);
});

const PURCHASE = "7f0c6a4e-6a6e-4a0e-9f39-2f0a4a0f0f0f";

Deno.test("an event names a purchase by every id of ours it carries", () => {
  const none = {
    purchase: null,
    session: null,
    paymentIntent: null,
    charge: null,
    subscription: null,
  };
  const cases: [string, unknown, object][] = [
    ["checkout.session.completed", {
      object: "checkout.session",
      id: "cs_1",
      payment_intent: "pi_1",
      metadata: { purchase_id: PURCHASE },
    }, { session: "cs_1", paymentIntent: "pi_1", purchase: PURCHASE }],
    ["charge.refunded", { object: "charge", id: "ch_1", payment_intent: { id: "pi_1" } }, {
      charge: "ch_1",
      paymentIntent: "pi_1",
    }],
    ["charge.dispute.created", { object: "dispute", id: "dp_1", charge: "ch_1" }, {
      charge: "ch_1",
    }],
    ["refund.failed", { object: "refund", id: "re_1", charge: { id: "ch_1" } }, { charge: "ch_1" }],
    ["transfer.created", { object: "transfer", id: "tr_1", transfer_group: PURCHASE }, {
      purchase: PURCHASE,
    }],
    ["application_fee.refunded", {
      object: "application_fee",
      charge: "py_1",
      originating_transaction: "ch_1",
    }, { charge: "ch_1" }],
    ["invoice.paid", {
      object: "invoice",
      parent: {
        subscription_details: { subscription: "sub_1", metadata: { purchase_id: PURCHASE } },
      },
    }, { subscription: "sub_1", purchase: PURCHASE }],
    ["customer.subscription.deleted", { object: "subscription", id: "sub_1" }, {
      subscription: "sub_1",
    }],
  ];
  for (const [type, object, clues] of cases) {
    assert.deepEqual(purchaseClues(event(type, object)), { ...none, ...clues }, type);
  }
});

Deno.test("what names no purchase, or something that is no id of ours, is no clue", () => {
  const group = { object: "transfer", id: "tr_1", transfer_group: "group_pi_1" };
  assert.equal(purchaseClues(event("transfer.created", group)), null);
  const forged = { object: "subscription", metadata: { purchase_id: "' or true" } };
  assert.equal(purchaseClues(event("customer.subscription.updated", forged)), null);
  assert.equal(purchaseClues(event("product.created", { object: "charge", id: "ch_1" })), null);
  assert.equal(purchaseClues(event("customer.deleted", { object: "customer", id: "cus_1" })), null);
  assert.equal(purchaseClues(event("invoice.paid", { object: "invoice", parent: null })), null);
});

Deno.test("what happens on a connected account is about that account, never about a customer or purchase of ours", () => {
  const connected = (type: string, object: unknown): Stripe.Event => ({
    ...event(type, object),
    account: "acct_1",
  });
  const payout = connected("payout.paid", { object: "payout", id: "po_1" });
  assert.equal(accountToSync(payout), "acct_1");
  const charge = connected("charge.refunded", { object: "charge", id: "py_1", customer: "cus_1" });
  assert.equal(purchaseClues(charge), null);
  assert.equal(customerOf(charge), null);
  assert.equal(accountToSync(charge), null);
  assert.equal(accountToSync(event("payout.paid", { object: "payout" })), null);
});

Deno.test("a thin event about an account names it", () => {
  const related_object = { id: "acct_1" };
  const type = "v2.core.account[configuration.recipient].capability_status_updated";
  assert.equal(thinAccountToSync({ type, related_object }), "acct_1");
  assert.equal(thinAccountToSync({ type: "v2.core.account.closed", related_object }), "acct_1");
  assert.equal(thinAccountToSync({ type: "v2.core.account_person.created", related_object }), null);
  assert.equal(thinAccountToSync({ type, related_object: null }), null);
});
