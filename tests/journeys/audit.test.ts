import assert from "node:assert/strict";
import { ROOT } from "../support/run.ts";
import { request, signUp, sql, stack } from "../support/stack.ts";

interface Told {
  id: number;
  actor: string;
  on_behalf_of: string | null;
  action: string;
  request_id: string | null;
  stripe_ids: string[];
}

/** `npm run audit:verify`, as an operator of this stack runs it. */
async function verify(...args: string[]): Promise<{ code: number; text: string }> {
  const { api_url, secret_key } = stack();
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}local/operator/audit_verify.ts`, ...args],
    env: { SUPABASE_URL: api_url, SUPABASE_SECRET_KEY: secret_key },
  }).output();
  return { code: result.code, text: new TextDecoder().decode(result.stdout) };
}

Deno.test("a checkout is told: for whom, by what, in which request, with Stripe's id", async () => {
  const person = await signUp("told");
  const answer = await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: "pro_monthly" },
    // Nobody chooses what is told of them.
    headers: { "x-request-id": crypto.randomUUID(), "x-on-behalf-of": crypto.randomUUID() },
  });
  assert.equal(answer.status, 200, answer.text);
  const db = sql({ max: 1 });
  try {
    const told = await db<Told[]>`
      select * from billing.audit_log where user_id = ${person.id} order by id`;
    const [customer] = await db<{ id: string }[]>`
      select stripe_customer_id as id from public.customers where user_id = ${person.id}`;
    assert.deepEqual(
      told.map(({ actor, on_behalf_of, action, request_id, stripe_ids }) => ({
        actor,
        on_behalf_of,
        action,
        request_id,
        stripe_ids,
      })),
      ["billing.customer.created", "billing.checkout.created"].map((action) => ({
        actor: "service_role",
        on_behalf_of: person.id,
        action,
        request_id: answer.headers.get("x-request-id"),
        stripe_ids: [customer?.id ?? ""],
      })),
    );
  } finally {
    await db.end();
  }
});

Deno.test("audit:verify proves the log, and names the row that somebody changed past the triggers", async () => {
  const person = await signUp("tampered");
  const token = person.token;
  await request("/functions/v1/checkout", { token, body: { lookup_key: "pro_monthly" } });
  const good = await verify();
  assert.equal(good.code, 0, good.text);
  const head = /Head: (\d+:[0-9a-f]{64})/.exec(good.text)?.[1] ?? "";
  const since = await verify(`--since=${head}`);
  assert.equal(since.code, 0, since.text);

  const db = sql({ max: 1 });
  try {
    const [row] = await db<{ id: number; actor: string }[]>`
      select id::int, actor from billing.audit_log where user_id = ${person.id} order by id limit 1`;
    assert.ok(row);
    const tamper = (actor: string) =>
      db.begin(async (tx) => {
        await tx`alter table billing.audit_log disable trigger audit_log_before_change_refuse`;
        await tx`update billing.audit_log set actor = ${actor} where id = ${row.id}`;
        await tx`alter table billing.audit_log enable always trigger audit_log_before_change_refuse`;
      });
    await tamper("user:somebody else");
    const bad = await verify();
    await tamper(row.actor);
    assert.equal(bad.code, 2, bad.text);
    assert.match(bad.text, new RegExp(`row ${row.id}: its row was changed`));
    const [problem] = await db`select * from billing.problems where kind = 'audit_broken'`;
    assert.ok(problem);
    const forged = await verify(`--since=${head.split(":")[0]}:${"0".repeat(64)}`);
    assert.equal(forged.code, 2, forged.text);
    assert.equal((await verify()).code, 0);
    const [resolved] = await db<{ resolved_at: Date | null }[]>`
      select resolved_at from billing.problems where kind = 'audit_broken' and subject = 'row_changed'`;
    assert.ok(resolved?.resolved_at);
  } finally {
    await db.end();
  }
});

Deno.test("nobody but the secret key asks about the log, and nobody reads it", async () => {
  const { token } = await signUp("curious");
  const rpc = await request("/rest/v1/rpc/verify_audit", { token, body: {} });
  assert.ok(rpc.status === 403 || rpc.status === 404, rpc.text);
  assert.equal((await request("/functions/v1/audit-check", { token, body: {} })).status, 401);
  const { secret_key } = stack();
  const read = await request("/rest/v1/audit_log", { headers: { apikey: secret_key } });
  assert.ok(read.status >= 400 && read.status < 500, read.text);
});
