import assert from "node:assert/strict";
import { balanceByCurrency, toSellerSnapshot } from "./seller.ts";

function snapshot(account: unknown, payouts: unknown[] = []) {
  return toSellerSnapshot(JSON.parse(JSON.stringify(account)), JSON.parse(JSON.stringify(payouts)));
}

function account(status: string | null) {
  const capabilities = status === null
    ? {}
    : { stripe_balance: { stripe_transfers: { status, status_details: [] } } };
  return { id: "acct_1", configuration: { recipient: { applied: true, capabilities } } };
}

Deno.test("an account may be sold for when its transfers are active, and says so in Stripe's word", () => {
  assert.equal(snapshot(account("active")).transfers_status, "active");
  assert.equal(snapshot(account("of_tomorrow")).transfers_status, "of_tomorrow");
  assert.equal(snapshot(account(null)).transfers_status, "unrequested");
  assert.equal(snapshot({ id: "acct_1", closed: true }).closed, true);
});

Deno.test("what Stripe wants of the creator now is told, not what it does itself or wants some day", () => {
  const entry = (description: string, from: string, status: string) => ({
    description,
    awaiting_action_from: from,
    minimum_deadline: { status },
  });
  const { requirements } = snapshot({
    ...account("pending"),
    requirements: {
      entries: [
        entry("bank account", "user", "currently_due"),
        entry("identity", "user", "past_due"),
        entry("verification", "stripe", "currently_due"),
        entry("tax id", "user", "eventually_due"),
      ],
    },
  });
  assert.deepEqual(requirements, ["bank account", "identity"]);
});

Deno.test("payouts keep Stripe's amounts and dates", () => {
  const payout = {
    id: "po_1",
    amount: 900,
    currency: "usd",
    status: "paid",
    created: 1,
    arrival_date: 86_400,
  };
  assert.deepEqual(snapshot(account("active"), [payout]).payouts, [{
    id: "po_1",
    amount_minor: 900,
    currency: "usd",
    status: "paid",
    created: "1970-01-01T00:00:01.000Z",
    arrival_date: "1970-01-02T00:00:00.000Z",
  }]);
});

Deno.test("a balance is what is available and what will be, by currency", () => {
  const balance = {
    available: [{ amount: -200, currency: "usd" }],
    pending: [{ amount: 800, currency: "usd" }, { amount: 5, currency: "eur" }],
  };
  assert.deepEqual([...balanceByCurrency(JSON.parse(JSON.stringify(balance)))], [
    ["usd", 600],
    ["eur", 5],
  ]);
});
