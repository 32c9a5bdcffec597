import assert from "node:assert/strict";
import { env, isThisMachine } from "./env.ts";

Deno.test("this machine is loopback and Docker's name for it, and nobody who only begins or ends like them", () => {
  const is = (host: string) => isThisMachine(new URL(`http://${host}:12111`));
  for (const host of ["127.0.0.1", "localhost", "[::1]", "host.docker.internal"]) {
    assert.ok(is(host), host);
  }
  for (
    const host of [
      "api.stripe.com",
      "127.0.0.1.evil.example",
      "host.docker.internal.evil.example",
      "evil-host.docker.internal",
      "10.0.0.1",
    ]
  ) assert.ok(!is(host), host);
});

Deno.test("the secret key goes in clear text to this machine only", () => {
  const given: Record<string, string> = {
    STRIPE_SECRET_KEY: "sk_test_x",
    STRIPE_WEBHOOK_SECRET: "whsec_x",
    SITE_URL: "http://127.0.0.1:3000",
  };
  const before = Object.keys(given).concat("STRIPE_API_BASE")
    .map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name, value] of Object.entries(given)) Deno.env.set(name, value);
    Deno.env.set("STRIPE_API_BASE", "http://stripe.evil.example");
    assert.throws(() => env(), { code: "not_configured" });
    Deno.env.set("STRIPE_API_BASE", "http://host.docker.internal:12111");
    assert.equal(env().STRIPE_API_BASE?.host, "host.docker.internal:12111");
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
