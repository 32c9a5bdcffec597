import assert from "node:assert/strict";
import { log } from "./log.ts";

function logged(cause: string): string {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    log("error", "refused", { cause });
  } finally {
    console.error = error;
  }
  return JSON.parse(lines[0] ?? "").cause;
}

Deno.test("what somebody else's message quotes is not in a line of ours", () => {
  const token = `eyJ${"a".repeat(20)}.eyJ${"b".repeat(20)}.${"c".repeat(43)}`;
  for (
    const secret of [
      "ada.lovelace+notes@mail.example.co.uk",
      "O'Brien@example.com",
      "sk_live_abcdefgh12345678",
      "rk_test_abcdefgh12345678",
      "whsec_abcdefgh12345678",
      "sb_secret_abc-DEF_123",
      "pi_123_secret_abcdefgh",
      token,
      `${token.split(".").slice(0, 2).join(".")}.`,
    ]
  ) {
    for (const message of [secret, `Invalid: "${secret}".`, `<${secret}>`, `a=${secret}&b`]) {
      const line = logged(message);
      assert.ok(!line.includes(secret) && line.includes("***"), line);
    }
  }
});

Deno.test("ids, versions and places in files stay, so that a line can be followed", () => {
  for (
    const message of [
      "stripe resource_missing customer req_abc: No such customer: 'cus_123'",
      "at send (file:///x/node_modules/.deno/@supabase+server@1.8.1/node_modules/a.js:1:2)",
      "npm:stripe@23.1.0/esm/stripe.js",
      "in_123 a4d70ae6-1c1f-4a7e-9f8c-0123456789ab evt_1",
      "cs_test_a1B2c3",
    ]
  ) assert.equal(logged(message), message);
});

Deno.test("a very long message is searched in no time", () => {
  const began = performance.now();
  logged("a.".repeat(50_000) + "@" + "b-".repeat(50_000));
  logged("eyJ" + "a".repeat(100_000));
  assert.ok(performance.now() - began < 1_000, `${performance.now() - began} ms`);
});
