import assert from "node:assert/strict";
import { deliveryUrl, modeOf } from "./mod.ts";

const HERE = "http://127.0.0.1:54321";
const THERE = "https://ref.supabase.example";
const PATH = "/functions/v1/stripe-webhook";

function url(options: Partial<Parameters<typeof deliveryUrl>[0]>) {
  const usual = { asked: undefined, projectUrl: THERE, prefix: "", live: false, isSandbox: false };
  return deliveryUrl({ ...usual, ...options });
}

Deno.test("Stripe delivers to the project, or where it was told to", () => {
  assert.equal(url({}), `${THERE}${PATH}`);
  assert.equal(url({ live: true }), `${THERE}${PATH}`);
  assert.equal(url({ prefix: "tollgate-" }), `${THERE}/functions/v1/tollgate-stripe-webhook`);
  assert.equal(url({ asked: "https://hooks.example/x" }), "https://hooks.example/x");
  assert.equal(
    url({ projectUrl: HERE, asked: "https://hooks.example/x" }),
    "https://hooks.example/x",
  );
});

Deno.test("only a sandbox delivers to this machine; a test account gets no endpoint, a live one is refused", () => {
  for (
    const projectUrl of [HERE, "http://localhost:54321", "https://[::1]:1", "http://0.0.0.0:1"]
  ) {
    assert.equal(url({ projectUrl, isSandbox: true }), `${projectUrl}${PATH}`);
    assert.equal(url({ projectUrl }), null);
    assert.throws(() => url({ projectUrl, live: true }), /cannot deliver to this machine/);
  }
});

Deno.test("what is no address, or not https, is refused", () => {
  assert.throws(() => url({ asked: "hook" }), /no address/);
  for (
    const asked of ["http://hooks.example/x", "ftp://127.0.0.1/x", "http://127.0.0.1.example/"]
  ) {
    assert.throws(() => url({ asked, isSandbox: true }), /https only/, asked);
  }
});

Deno.test("a key opens the live or the test world, or is none", () => {
  const keys = [
    "sk_live_1",
    "rk_live_1",
    "sk_test_1",
    "rk_test_1",
    "pk_live_1",
    "sk_1",
    "",
    "sk_test_",
  ];
  assert.deepEqual(keys.map(modeOf), ["live", "live", "test", "test", null, null, null, null]);
});
