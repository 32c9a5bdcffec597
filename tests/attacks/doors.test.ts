import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { operator } from "../support/sandbox.ts";
import { request, signUp } from "../support/stack.ts";
import { ROOT } from "../support/run.ts";

/** Every function that takes JSON; the webhook's caller is Stripe, whose events have what they have, and `health` takes nothing. */
const FUNCTIONS = readdirSync(`${ROOT}supabase/functions`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
  .map((entry) => entry.name)
  .filter((name) => !["stripe-webhook", "health"].includes(name));

Deno.test("no function takes a field that it does not know, nor a body that is no object", async (t) => {
  const { token } = await signUp("doors");
  for (const name of FUNCTIONS) {
    await t.step(name, async () => {
      for (const body of [{ surprise: 1 }, [], "text", 1]) {
        const json = JSON.stringify(body);
        const asUser = await request(`/functions/v1/${name}`, { token, body: json });
        // The operators' functions know no user.
        const answer = asUser.status === 401 ? await operator(name, json) : asUser;
        assert.equal(answer.status, 400, `${json}: ${answer.text}`);
        assert.equal((answer.body as { error: { code: string } }).error.code, "invalid_request");
      }
    });
  }
});
