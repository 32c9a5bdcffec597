import assert from "node:assert/strict";
import { type MoneyObjects, toFacts } from "./facts.ts";

const NOTHING: MoneyObjects = JSON.parse(
  '{"charges":[],"refunds":[],"disputes":[],"transfers":[],"reversals":[],"fees":[],"feeRefunds":[]}',
);

/** Stripe's objects as they come over the network: only what is read. */
function money(objects: { [Kind in keyof MoneyObjects]?: unknown[] }): MoneyObjects {
  return { ...NOTHING, ...JSON.parse(JSON.stringify(objects)) };
}

const CREATED = 1_795_000_000;
const AT = new Date(CREATED * 1000).toISOString();

function transaction(id: string, amount: number, fee = 0, currency = "usd") {
  return { id, amount, fee, currency, created: CREATED };
}

const SALE = {
  charges: [{
    id: "ch_1",
    status: "succeeded",
    currency: "usd",
    created: CREATED,
    transfer: { id: "tr_1" },
    application_fee: { id: "fee_1" },
    balance_transaction: transaction("txn_1", 2_000, 88),
  }],
  transfers: [{
    id: "tr_1",
    amount: 2_000,
    currency: "usd",
    created: CREATED,
    destination: "acct_1",
  }],
  fees: [{ id: "fee_1", amount: 400, currency: "usd", created: CREATED, account: "acct_1" }],
};

Deno.test("a sale is a charge with Stripe's fee, a transfer of all of it, and our fee", () => {
  const common = { currency: "usd", occurred_at: AT, charge_id: "ch_1" };
  assert.deepEqual(toFacts(money(SALE)), [
    { source: "ch_1", kind: "charge", amount_minor: 2_000, fee_minor: 88, ...common },
    { source: "tr_1", kind: "transfer", amount_minor: 2_000, seller_account: "acct_1", ...common },
    {
      source: "fee_1",
      kind: "application_fee",
      amount_minor: 400,
      seller_account: "acct_1",
      ...common,
    },
  ]);
});

Deno.test("a refund takes back from us, its reversal and its share of the fee from the creator and from us", () => {
  const facts = toFacts(money({
    ...SALE,
    refunds: [{
      id: "re_1",
      charge: "ch_1",
      created: CREATED,
      balance_transaction: transaction("txn_2", -500),
    }],
    reversals: [{ id: "trr_1", transfer: "tr_1", amount: 500, currency: "usd", created: CREATED }],
    feeRefunds: [{ id: "fr_1", fee: "fee_1", amount: 100, currency: "usd", created: CREATED }],
  })).slice(3);
  const common = { currency: "usd", occurred_at: AT, charge_id: "ch_1" };
  assert.deepEqual(facts, [
    { source: "re_1", kind: "refund", amount_minor: 500, ...common },
    {
      source: "trr_1",
      kind: "transfer_reversal",
      amount_minor: 500,
      seller_account: "acct_1",
      ...common,
    },
    { source: "fr_1", kind: "fee_refund", amount_minor: 100, seller_account: "acct_1", ...common },
  ]);
});

Deno.test("a refund that failed later is two movements", () => {
  const facts = toFacts(money({
    refunds: [{
      id: "re_1",
      charge: "ch_1",
      created: CREATED,
      balance_transaction: transaction("txn_2", -500),
      failure_balance_transaction: transaction("txn_3", 500),
    }],
  }));
  assert.deepEqual(facts.map(({ source, kind, amount_minor }) => [source, kind, amount_minor]), [
    ["re_1", "refund", 500],
    ["re_1:failed", "refund_failed", 500],
  ]);
});

Deno.test("a dispute is one movement for every balance transaction, signed, with its fee", () => {
  const facts = toFacts(money({
    disputes: [{
      id: "dp_1",
      charge: "ch_1",
      balance_transactions: [transaction("txn_4", -2_000, 1_500), transaction("txn_5", 2_000)],
    }],
  }));
  assert.deepEqual(
    facts.map((
      { source, kind, amount_minor, fee_minor },
    ) => [source, kind, amount_minor, fee_minor]),
    [["txn_4", "dispute", -2_000, 1_500], ["txn_5", "dispute", 2_000, 0]],
  );
});

Deno.test("what has moved no money is no fact: a charge that failed or is not captured, a refund that waits", () => {
  const failed = { id: "ch_1", status: "failed", created: CREATED, balance_transaction: null };
  const early = { ...failed, id: "ch_2", status: "succeeded" };
  const waiting = { id: "re_1", charge: "ch_2", created: CREATED, balance_transaction: null };
  assert.deepEqual(toFacts(money({ charges: [failed, early], refunds: [waiting] })), []);
});

Deno.test("a sale that was settled in another currency says so with every movement of its money", () => {
  const charges = [{
    ...SALE.charges[0],
    currency: "eur",
    amount: 1_800,
    balance_transaction: transaction("txn_1", 2_000, 88, "usd"),
  }];
  const facts = toFacts(money({ ...SALE, charges }));
  assert.deepEqual([facts[0]?.amount_minor, facts[0]?.currency], [2_000, "usd"]);
  assert.deepEqual(facts.map(({ settlement_currency }) => settlement_currency), [
    "usd",
    "usd",
    "usd",
  ]);
  assert.ok(toFacts(money(SALE)).every((fact) => !("settlement_currency" in fact)));
});

Deno.test("what was paid again after a won dispute belongs to the payment that was disputed, as does what is taken back of it", () => {
  const again = { ...SALE.transfers[0], id: "tr_2", metadata: { dispute: "dp_1" } };
  const facts = toFacts(money({
    transfers: [again],
    disputes: [{ id: "dp_1", charge: "ch_7", balance_transactions: [] }],
    reversals: [{ id: "trr_2", transfer: "tr_2", amount: 5, currency: "usd", created: CREATED }],
  }));
  assert.deepEqual(facts.map(({ source, charge_id }) => [source, charge_id]), [
    ["tr_2", "ch_7"],
    ["trr_2", "ch_7"],
  ]);
});

Deno.test("an id where an object had to be expanded is an error, not nothing", () => {
  const charges = [{ ...SALE.charges[0], balance_transaction: "txn_1" }];
  assert.throws(() => toFacts(money({ charges })), { code: "stripe_shape_unknown" });
  const reversals = [{
    id: "trr_1",
    transfer: "tr_9",
    amount: 1,
    currency: "usd",
    created: CREATED,
  }];
  assert.throws(() => toFacts(money({ reversals })), { code: "stripe_shape_unknown" });
});
