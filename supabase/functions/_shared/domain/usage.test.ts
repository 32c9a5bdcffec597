import assert from "node:assert/strict";
import { type StripeRefusal, toAdjustmentFailure, toFailure } from "./usage.ts";

const ID = "cus_a-message-1795379421-1";

function refusal(status: number | null, message = "no", code: string | null = null): StripeRefusal {
  return { status, code, message };
}

Deno.test("a known identifier is delivered, and only that one", () => {
  const known = refusal(400, `An event already exists with identifier ${ID}.`);
  assert.equal(toFailure(known, ID).kind, "delivered");
  assert.equal(toFailure(known, `${ID}9`).kind, "rejected");
});

Deno.test("what may pass is tried again; only without an answer or after a 5xx it may have been taken", () => {
  for (
    const [status, notAccepted] of [[429, true], [409, true], [401, true], [403, true]] as const
  ) {
    const failure = toFailure(refusal(status), ID);
    assert.deepEqual([failure.kind, "notAccepted" in failure && failure.notAccepted], [
      "retry",
      notAccepted,
    ]);
  }
  for (const status of [null, 500, 503]) {
    const failure = toFailure(refusal(status), ID);
    assert.deepEqual([failure.kind, "notAccepted" in failure && failure.notAccepted], [
      "retry",
      false,
    ]);
  }
  assert.deepEqual(toFailure(refusal(404, "No such customer", "resource_missing"), ID), {
    kind: "rejected",
    reason: "404 resource_missing: No such customer",
  });
});

Deno.test("nothing to cancel is delivered when an earlier attempt may have got through", () => {
  const nothing = refusal(400, "No meter event can be canceled.");
  assert.equal(toAdjustmentFailure(nothing, true).kind, "delivered");
  assert.equal(toAdjustmentFailure(nothing, false).kind, "rejected");
  assert.equal(toAdjustmentFailure(refusal(429), true).kind, "retry");
  assert.equal(toAdjustmentFailure(refusal(404), true).kind, "rejected");
});
