import assert from "node:assert/strict";
import { feeShare, repaidExcess } from "./shares.ts";

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

const WON = { amount: 2_000, disputed: 2_000, charged: 2_000, repaid: 1_600, left: 1_600 };

Deno.test("what was paid again is taken back in proportion to what is refunded, and wholly with the last refund", () => {
  assert.equal(repaidExcess({ ...WON, refunded: 0 }), 0);
  assert.equal(repaidExcess({ ...WON, refunded: 500 }), 400);
  assert.equal(repaidExcess({ ...WON, refunded: 500, left: 1_200 }), 0, "once");
  assert.equal(repaidExcess({ ...WON, refunded: 2_000, left: 1_200 }), 1_200);
});

Deno.test("of a part that was disputed refunds take only what they cannot take from the charge's own transfer", () => {
  const part = { ...WON, disputed: 500, repaid: 400, left: 400 };
  assert.equal(repaidExcess({ ...part, refunded: 1_500 }), 0);
  assert.equal(repaidExcess({ ...part, refunded: 1_750 }), 200);
  assert.equal(repaidExcess({ ...part, refunded: 2_000 }), 400);
  assert.equal(repaidExcess({ ...part, disputed: 0, refunded: 2_000 }), 0, "nothing was disputed");
});

Deno.test("what was refunded before the dispute is not taken twice", () => {
  const rest = { ...WON, disputed: 1_500, repaid: 1_200, left: 1_200 };
  assert.equal(repaidExcess({ ...rest, refunded: 500 }), 0);
  assert.equal(repaidExcess({ ...rest, refunded: 1_200 }), 560);
});
