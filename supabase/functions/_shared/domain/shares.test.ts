import assert from "node:assert/strict";
import { feeShare, repaidShare } from "./shares.ts";

Deno.test("a part of a transfer brings its part of the fee, and the rest brings the rest", () => {
  assert.equal(
    feeShare({ amount: 400, refunded: 0 }, { amount: 2_000, left: 2_000, back: 2_000 }),
    400,
  );
  assert.equal(
    feeShare({ amount: 1_001, refunded: 0 }, { amount: 9_999, left: 9_999, back: 3_333 }),
    334,
  );
  assert.equal(
    feeShare({ amount: 1_001, refunded: 334 }, { amount: 9_999, left: 6_666, back: 6_666 }),
    667,
  );
});

Deno.test("never more of a fee goes back than is left of it", () => {
  assert.equal(
    feeShare({ amount: 400, refunded: 390 }, { amount: 2_000, left: 2_000, back: 1_000 }),
    10,
  );
  assert.equal(
    feeShare({ amount: 0, refunded: 0 }, { amount: 2_000, left: 2_000, back: 2_000 }),
    0,
  );
});

Deno.test("what was paid again is taken back in proportion, and wholly with the last refund", () => {
  assert.equal(repaidShare(1_600, 500, 2_000), 400);
  assert.equal(repaidShare(1_200, 1_500, 1_500), 1_200);
  assert.equal(repaidShare(0, 10, 2_000), 0);
});
