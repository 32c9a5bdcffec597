import assert from "node:assert/strict";
import { JWT_SECRET } from "../../local/stack_options.ts";
import { leaksIn, secretsOf } from "../support/secrets.ts";
import { signUp, stack } from "../support/stack.ts";

Deno.test("the search through the logs at the end of a run finds what should not be there, and does not repeat it", async () => {
  const person = await signUp("leaky");
  const { data } = await person.client.auth.getSession();
  const secrets = await secretsOf(stack());
  const leaks: Record<string, string> = {
    "access token": person.token,
    "refresh token": data.session?.refresh_token ?? "",
    "address": person.email,
    "password": person.password,
    "secret key": stack().secret_key,
    "webhook secret": stack().webhook_secret,
    "signing secret": JWT_SECRET,
    "signing key": btoa(JWT_SECRET).replaceAll("=", ""),
    "client secret": "pi_3Nabc_secret_abcdefgh12345678",
    "Stripe key": "sk_live_abcdefghijklmnop",
    "database password": stack().db_url,
  };
  for (const [what, value] of Object.entries(leaks)) {
    const found = leaksIn("functions", `all is well\n{"token":"${value}"}\n`, secrets);
    assert.ok(found.length > 0, what);
    assert.ok(found.every((line) => /functions:2: /.test(line)), found.join());
    assert.ok(!found.some((line) => line.includes(value) && what !== "database password"), what);
  }
  assert.deepEqual(leaksIn("functions", '{"level":"info","request_id":"a4d70ae6"}', secrets), []);
});
