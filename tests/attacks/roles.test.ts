import assert from "node:assert/strict";
import type postgres from "postgres";
import { note, unchanged, type Victim, victim } from "../support/attacks.ts";
import { request, signUp, sql } from "../support/stack.ts";

/** What somebody could try who could send SQL as a client: the last line, should anything before it fall. */
function statements(owner: Victim): string[] {
  const theirs = owner.id;
  return [
    `insert into public.messages (conversation_id, role, content, user_id) values ('${owner.conversation}', 'user', 'x', '${theirs}')`,
    `insert into public.entitlements (user_id, plan_id, source) values (auth.uid(), 'business', 'grant')`,
    "update public.entitlements set plan_id = 'business'",
    "update billing.usage_counters set used = 0",
    "delete from billing.usage_counters",
    "insert into billing.grants (user_id, plan_id) values (auth.uid(), 'business')",
    "select * from billing.settings",
    "select * from billing.stripe_events",
    "select * from billing.ledger_entries",
    "select * from auth.users",
    "select * from auth.sessions",
    "select * from vault.decrypted_secrets",
    "select * from vault.secrets",
    "select * from cron.job",
    "select * from pg_authid",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select lo_import('/etc/passwd')",
    "copy public.plans to '/tmp/stolen'",
    "copy public.messages from program 'id'",
    "select cron.schedule('x', '* * * * *', 'select 1')",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
    "set session_replication_role = replica",
    "set role postgres",
    "set role service_role",
    "alter role authenticated bypassrls",
    "alter table public.messages disable row level security",
    "alter table public.messages disable trigger all",
    "drop table public.messages",
    'drop policy "Owners read their messages" on public.messages',
    "create policy all_of_it on public.messages for select using (true)",
    "create function public.evil() returns int language sql security definer as 'select 1'",
    "create table public.evil (id int)",
    "create schema evil",
    "create extension dblink",
    "grant select on billing.settings to authenticated",
    "truncate public.messages",
    "comment on table public.messages is 'evil'",
    "do language plpgsql $$ begin perform billing.consume(auth.uid(), 'message', 1); end $$",
    `select public.consume_usage('${theirs}', 'message', 1, gen_random_uuid())`,
    `select public.link_customer(auth.uid(), '${owner.customer}')`,
    "select public.next_sync_token()",
    "select public.receive_stripe_event('evt_x', 'x', now(), '{}')",
    "select nextval('billing.sync_tokens')",
  ];
}

/** Reads that RLS must leave without a row of the victim's, whatever stands in front of the name. */
function reads(owner: Victim): string[] {
  return [
    "messages",
    "conversations",
    "agents",
    "subscriptions",
    "invoices",
    "customers",
    "entitlements",
    "licences",
    "notifications",
  ]
    .flatMap((table) => [
      `select * from public.${table} where user_id = '${owner.id}'`,
      `with x as (select * from public.${table}) select * from x where user_id = '${owner.id}'`,
      `delete from public.${table} where user_id = '${owner.id}' returning 1`,
    ]);
}

async function as(db: postgres.Sql, role: string, sub: string | null, query: string) {
  return await db.begin(async (transaction) => {
    const claims = JSON.stringify({ role, ...(sub && { sub }) });
    await transaction`select set_config('request.jwt.claims', ${claims}, true),
      set_config('request.jwt.claim.sub', ${sub ?? ""}, true)`;
    await transaction.unsafe(`set local session authorization ${role}`);
    return (await transaction.unsafe(query)).length;
  }).catch((error: { code?: string }) => error.code ?? String(error));
}

Deno.test("SQL as a client's role gets no further than the API does", async () => {
  const db = sql();
  const owner = await victim(db);
  const attacker = await signUp("sql-attacker");
  // Only a superuser may become somebody who cannot go back.
  const admin = sql({ username: "supabase_admin", max: 1 });
  const failures: string[] = [];
  const clients = [["authenticated", attacker.id], ["anon", null]] as const;
  await unchanged(db, async () => {
    for (const [role, sub] of clients) {
      for (const query of statements(owner)) {
        const outcome = await as(admin, role, sub, query);
        if (typeof outcome !== "string") failures.push(`${role}: ${query}: ${outcome} rows`);
      }
      for (const query of reads(owner)) {
        const outcome = await as(admin, role, sub, query);
        if (typeof outcome !== "string" && outcome > 0) {
          failures.push(`${role}: ${query}: ${outcome} rows`);
        }
      }
    }
  });
  note("SQL as a client's role", 2 * (statements(owner).length + reads(owner).length));
  await Promise.all([db.end(), admin.end()]);
  assert.deepEqual(failures, []);
});

Deno.test("a thousand messages at once are the day's allowance, and not one more", async () => {
  const db = sql();
  const { id, token } = await signUp("flood");
  const headers = { prefer: "return=representation" };
  const { body } = await request("/rest/v1/conversations?select=id", {
    token,
    body: { title: "Flood" },
    headers,
  });
  const conversation_id = (body as { id: string }[])[0]?.id;
  const [limit] = await db<{ value: number }[]>`
    select limit_value::int as value from public.plan_limits where plan_id = 'free' and metric_id = 'message'`;
  const statuses = new Map<number, number>();
  await Promise.all(Array.from({ length: 1_000 }, async () => {
    const { status, headers } = await request("/rest/v1/messages", {
      token,
      body: { conversation_id, role: "user", content: "x" },
    });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status === 429) assert.ok(Number(headers.get("retry-after")) > 0);
  }));
  assert.deepEqual(Object.fromEntries(statuses), {
    201: limit?.value,
    429: 1_000 - (limit?.value ?? 0),
  });
  const rows = await db`select 1 from public.messages where user_id = ${id}`;
  assert.equal(rows.length, limit?.value);
  note("calls at the same time", 1_000);
  await db.end();
});
