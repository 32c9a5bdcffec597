import assert from "node:assert/strict";
import { toFailure } from "./usage.ts";

const IDENTIFIER = "cus_1-message-1760000000-3";

function of(status: number | null, message = "words", code: string | null = null) {
  return toFailure({ status, code, message }, IDENTIFIER);
}

Deno.test("a known identifier means delivered, and only ours does", () => {
  assert.equal(of(400, `An event already exists with identifier ${IDENTIFIER}.`).kind, "delivered");
  assert.equal(of(400, "An event already exists with identifier other.").kind, "rejected");
});

Deno.test("what may have been taken is tried again as doubtful, what surely was not as certain", () => {
  for (const status of [null, 500, 503]) {
    const failure = of(status);
    assert.ok(failure.kind === "retry" && !failure.notAccepted, String(status));
  }
  for (const status of [401, 403, 409, 429]) {
    const failure = of(status);
    assert.ok(failure.kind === "retry" && failure.notAccepted, String(status));
  }
});

Deno.test("what will not pass by itself is put aside, with Stripe's words", () => {
  for (const status of [400, 404, 422]) {
    const failure = of(status, "No active meter found", "resource_missing");
    assert.ok(failure.kind === "rejected");
    assert.match(failure.reason, /resource_missing: No active meter found/);
  }
});
