import assert from "node:assert/strict";
import { toMovement } from "./movements.ts";

function movement(type: string, source: unknown, also: object = {}) {
  return toMovement(JSON.parse(JSON.stringify({
    ...{ id: "txn_1", type, source, currency: "usd", amount: 2_000, fee: 88, net: 1_912 },
    ...also,
  })));
}

Deno.test("a payment is compared by its net, under the id that the ledger posts it under", () => {
  assert.deepEqual(movement("charge", { object: "charge", id: "ch_1" }), {
    ...{ id: "txn_1", type: "charge", source: "ch_1", currency: "usd", net: 1_912 },
    ...{ parents: ["ch_1"], purchase: null, isMarketplace: false },
  });
  assert.equal(movement("payment", { object: "charge", id: "py_1" })?.source, "py_1");
});

Deno.test("what belongs to a payment, a transfer or a fee names it, and a transfer its purchase", () => {
  const purchase = "a0000000-0000-4000-8000-000000000001";
  const found = (type: string, source: object) => {
    const { source: under, parents, purchase: of, isMarketplace } = movement(type, source) ?? {};
    return [under, parents?.join(), of, isMarketplace];
  };
  assert.deepEqual(found("refund", { object: "refund", id: "re_1", charge: "ch_1" }), [
    ...["re_1", "ch_1", null, false],
  ]);
  assert.deepEqual(
    found("transfer", {
      ...{ object: "transfer", id: "tr_1", source_transaction: "ch_1", transfer_group: purchase },
    }),
    ["tr_1", "ch_1", purchase, true],
  );
  assert.deepEqual(
    found("transfer", { object: "transfer", id: "tr_1", transfer_group: "group_pi_1" }),
    ["tr_1", "", null, true],
  );
  assert.deepEqual(
    found("transfer_refund", { object: "transfer_reversal", id: "trr_1", transfer: "tr_1" }),
    ["trr_1", "tr_1", null, true],
  );
  assert.deepEqual(
    found("application_fee", {
      ...{ object: "application_fee", id: "fee_1", originating_transaction: { id: "ch_1" } },
    }),
    ["fee_1", "ch_1", null, true],
  );
  assert.deepEqual(
    found("application_fee_refund", { object: "fee_refund", id: "fr_1", fee: "fee_1" }),
    ["fr_1", "fee_1", null, true],
  );
});

Deno.test("a refund that came back and a dispute are posted under names of their own", () => {
  const refund = { object: "refund", id: "re_1", charge: "ch_1" };
  assert.equal(movement("refund_failure", refund)?.source, "re_1:failed");
  const dispute = { object: "dispute", id: "du_1", charge: "ch_1" };
  assert.equal(movement("adjustment", dispute)?.source, "txn_1");
});

Deno.test("what this ledger does not have is left out", () => {
  assert.equal(movement("payout", { object: "payout", id: "po_1" }), null);
  assert.equal(movement("stripe_fee", null), null);
  assert.equal(movement("adjustment", { object: "charge", id: "ch_1" }), null);
  assert.throws(() => movement("charge", { object: "charge", id: "ch_1" }, { net: null }), {
    code: "stripe_shape_unknown",
  });
});
