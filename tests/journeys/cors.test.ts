import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { ROOT } from "../support/run.ts";
import { request, signUp, stack } from "../support/stack.ts";

const FUNCTIONS = readdirSync(`${ROOT}supabase/functions`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
  .map((entry) => entry.name);

/** What looks like ours and is not. */
function foreign(): string[] {
  const { host } = new URL(stack().web_url);
  return [
    "https://evil.example",
    "null",
    "*",
    `http://${host}.evil.example`,
    `http://evil.example#${host}`,
    `https://${host}`,
    `http://user@${host}`,
    `http://${host}/`,
    "http://127.0.0.1:1",
  ];
}

function preflight(name: string, origin: string) {
  return fetch(`${stack().api_url}/functions/v1/${name}`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, apikey, content-type",
    },
  });
}

Deno.test("every function lets the pages of our own origins in by name, and no others", async () => {
  const ours = [stack().web_url, stack().web_url.replace("127.0.0.1", "localhost")];
  for (const name of FUNCTIONS) {
    for (const origin of ours) {
      const answer = await preflight(name, origin);
      await answer.body?.cancel();
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin, name);
      assert.match(answer.headers.get("access-control-allow-headers") ?? "", /authorization/);
      assert.equal(answer.headers.get("access-control-allow-credentials"), null);
      assert.match(answer.headers.get("vary") ?? "", /\borigin\b/i);
    }
    for (const origin of foreign()) {
      const answer = await preflight(name, origin);
      await answer.body?.cancel();
      assert.equal(answer.headers.get("access-control-allow-origin"), null, `${name}: ${origin}`);
      assert.match(answer.headers.get("vary") ?? "", /\borigin\b/i);
    }
  }
});

Deno.test("an answer and a refusal are readable by our pages, and by no others", async () => {
  const { token } = await signUp("cors");
  for (const asked of [{ token, body: {} }, { token: null, body: {} }, { token, body: [] }]) {
    const answer = await request("/functions/v1/sync", {
      ...asked,
      headers: { origin: stack().web_url },
    });
    assert.equal(answer.headers.get("access-control-allow-origin"), stack().web_url);
    assert.match(answer.headers.get("access-control-expose-headers") ?? "", /x-request-id/);
    for (const origin of foreign()) {
      const other = await request("/functions/v1/sync", { ...asked, headers: { origin } });
      assert.equal(other.status, answer.status);
      assert.equal(other.headers.get("access-control-allow-origin"), null, origin);
    }
    const program = await request("/functions/v1/sync", asked);
    assert.equal(program.headers.get("access-control-allow-origin"), null);
  }
});
