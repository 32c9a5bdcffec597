/** What an upgrade must not change, read before it and compared after it. */
import assert from "node:assert/strict";
import type postgres from "postgres";

type Rows = { columns: string[]; rows: string[] };

/** Every row of ours and of Auth's, as JSON of the columns there are now. */
export async function tableRows(sql: postgres.Sql): Promise<Map<string, Rows>> {
  const tables = await sql<{ name: string; columns: string[] }[]>`
    select format('%I.%I', n.nspname, c.relname) as name,
      (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing', 'auth') and c.relkind in ('r', 'p') and not c.relispartition
    order by 1`;
  const found = new Map<string, Rows>();
  for (const { name, columns } of tables) {
    found.set(name, { columns, rows: await rowsOf(sql, name, columns) });
  }
  return found;
}

async function rowsOf(sql: postgres.Sql, table: string, columns: string[]): Promise<string[]> {
  const list = columns.map((column) => `"${column}"`).join(", ");
  const rows: { line: string }[] = await sql.unsafe(
    `select to_jsonb(t)::text as line from (select ${list} from ${table}) t order by 1`,
  );
  return rows.map((row) => row.line);
}

/** What an upgrade adds is no loss; what it takes or rewrites is. */
export async function assertKept(sql: postgres.Sql, before: Map<string, Rows>): Promise<void> {
  let compared = 0;
  for (const [table, { columns, rows }] of before) {
    const now = new Set(await rowsOf(sql, table, columns));
    assert.deepEqual(rows.filter((line) => !now.has(line)), [], `rows of ${table}`);
    compared += rows.length;
  }
  assert.ok(compared > 800, `only ${compared} rows were compared`);
}

export type PersonFacts = { id: string; email: string; facts: Record<string, unknown> };

/** What the API tells each person of themselves. */
export async function peopleFacts(sql: postgres.Sql): Promise<PersonFacts[]> {
  const people = await sql<{ id: string; email: string }[]>`
    select id, email from auth.users order by email`;
  const found: PersonFacts[] = [];
  for (const { id, email } of people) {
    const [facts] = await asPerson(sql, id, (tx) =>
      tx<Record<string, unknown>[]>`
      select public.my_entitlements() as entitlements, public.my_overage() as overage,
        public.my_notification_emails() as emails,
        (select jsonb_agg(to_jsonb(u) order by u.metric) from public.my_usage() u) as usage,
        (select count(*)::int from public.messages) as messages,
        (select count(*)::int from public.agents) as agents,
        (select jsonb_agg(i.id order by i.id) from public.invoices i) as invoices,
        (select jsonb_agg(n.title order by n.id) from public.notifications n) as notices,
        (select sum(b.balance_minor)::text from public.credit_balances b) as credit`);
    found.push({ id, email, facts: { ...facts } });
  }
  return found;
}

export async function assertPeopleKept(sql: postgres.Sql, before: PersonFacts[]): Promise<void> {
  const after = await peopleFacts(sql);
  assert.deepEqual(after.map(({ email }) => email), before.map(({ email }) => email));
  for (const [index, { email, facts }] of before.entries()) {
    assert.deepEqual(within(after[index]?.facts, facts), facts, email);
  }
}

/** Of `value` the part that `shape` has: an answer may have got fields more, and none less. */
function within(value: unknown, shape: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(shape)) {
    return value.map((one, index) => within(one, shape[index]));
  }
  if (!isRecord(value) || !isRecord(shape)) return value;
  return Object.fromEntries(
    Object.keys(shape).filter((key) => key in value)
      .map((key) => [key, within(value[key], shape[key])]),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function asPerson<T>(
  sql: postgres.Sql,
  id: string,
  work: (tx: postgres.TransactionSql) => Promise<T>,
) {
  return sql.begin(async (tx) => {
    const claims = JSON.stringify({ role: "authenticated", sub: id });
    await tx`select set_config('role', 'authenticated', true),
      set_config('request.jwt.claim.sub', ${id}, true), set_config('request.jwt.claims', ${claims}, true)`;
    return await work(tx);
  });
}

/** Each asks for what contradicts; nothing may. */
const CONTRADICTIONS: Record<string, string> = {
  "a counter of messages is not what was asked today": `
    select c.user_id from billing.usage_counters c
    where c.metric_id = 'message' and c.period_day = (now() at time zone 'UTC')::date
      and c.used <> (
        select count(*) from public.messages m where m.user_id = c.user_id and m.role = 'user')`,
  "a counter of agents is not how many there are": `
    select c.user_id from billing.usage_counters c where c.metric_id = 'agent'
      and c.used <> (select count(*) from public.agents a where a.user_id = c.user_id)`,
  "a cached allowance is not the plan's": `select user_id from billing.stale_counters()`,
  "an account's spending is not the sum of its ledger": `
    select a.user_id from billing.overage_accounts a
    where a.spent_minor <> (
      select coalesce(sum(u.amount_minor), 0) from billing.overage_usage u
      where u.user_id = a.user_id and u.period_start = a.period_start)`,
  "what is claimed of a ledger row is not in its outbox": `
    select u.stripe_customer_id from billing.overage_usage u
    where u.claimed <> (
      select coalesce(sum(o.quantity), 0) from billing.usage_outbox o where o.kind = 'event'
        and (o.stripe_customer_id, o.metric_id, o.period_start)
          = (u.stripe_customer_id, u.metric_id, u.period_start))`,
  "an entitlement is not what would be derived anew": `
    select e.user_id from public.entitlements e
    where billing.refresh_entitlement(e.user_id, 'snapshot', '{}') is distinct from e.plan_id`,
};

export async function assertSound(sql: postgres.Sql): Promise<void> {
  for (const [contradiction, query] of Object.entries(CONTRADICTIONS)) {
    assert.deepEqual([...await sql.unsafe(query)], [], contradiction);
  }
  const [rows] = await sql<{ counters: number; ledger: number; outbox: number }[]>`
    select (select count(*)::int from billing.usage_counters) as counters,
      (select count(*)::int from billing.overage_usage) as ledger,
      (select count(*)::int from billing.usage_outbox) as outbox`;
  assert.ok(rows && rows.counters > 8 && rows.ledger > 1 && rows.outbox > 1, JSON.stringify(rows));
}

/** Jobs, and the rows that migrations bring: "table key {…}", a line each. */
export async function catalogue(sql: postgres.Sql): Promise<string[]> {
  const tables: Record<string, string> = {
    "public.plans": "id",
    "public.plan_limits": "plan_id || '/' || metric_id",
    "public.features": "id",
    "public.plan_features": "plan_id || '/' || feature_id",
    "public.metrics": "id",
    "public.prices": "lookup_key",
    "public.price_currency_options": "lookup_key || '/' || currency",
    "public.overage_prices": "lookup_key",
    "public.overage_price_currency_options": "lookup_key || '/' || currency",
    "public.credit_packs": "lookup_key",
    "public.credit_pack_currency_options": "lookup_key || '/' || currency",
    "public.marketplace_currencies": "currency",
    "billing.settings": "key",
    "billing.rate_limits": "name || '/' || scope",
    "billing.access_statuses": "status",
    "billing.dispute_statuses": "status",
    "(select jobname, schedule, command, active from cron.job)": "jobname",
  };
  const lines: string[] = [];
  for (const [table, key] of Object.entries(tables)) {
    const name = /^\w+\.(\w+)$/.exec(table)?.[1] ?? "job";
    const rows: { line: string }[] = await sql.unsafe(
      `select '${name} ' || ${key} || ' ' || to_jsonb(t)::text as line from ${table} t`,
    );
    lines.push(...rows.map(({ line }) => line));
  }
  return lines.sort();
}

async function personOf(sql: postgres.Sql, name: string): Promise<string> {
  const [person] = await sql<{ id: string }[]>`
    select id from auth.users where email = ${`${name}@upgrade.test`}`;
  assert.ok(person, name);
  return person.id;
}

/** Asks until refused, and answers how often it was let through. */
async function admitted(sql: postgres.Sql, id: string, most: number): Promise<number> {
  for (let count = 0; count < most; count++) {
    try {
      await asPerson(
        sql,
        id,
        (tx) =>
          tx`insert into public.messages (conversation_id, role, content)
          select c.id, 'user', 'After the upgrade' from public.conversations c limit 1`,
      );
    } catch (error) {
      assert.match(String(error), /message_quota_exceeded/);
      return count;
    }
  }
  return most;
}

/** People and jobs go on from where the release before left them. */
export async function assertStillWorking(sql: postgres.Sql): Promise<void> {
  const [ada, bob, cyd, eve] = [
    await personOf(sql, "ada"),
    await personOf(sql, "bob"),
    await personOf(sql, "cyd"),
    await personOf(sql, "eve"),
  ];
  assert.equal(await admitted(sql, bob, 5), 0, "bob had used up the day");
  assert.equal(await admitted(sql, cyd, 60), 53, "cyd had 53 of 60 left");
  assert.equal(await admitted(sql, eve, 3), 3, "eve has no limit");
  const spent = () =>
    sql<{ spent: number }[]>`
    select spent_minor::float8 as spent from billing.overage_accounts where user_id = ${ada}`;
  const [before] = await spent();
  assert.equal(await admitted(sql, ada, 2), 2);
  const [after] = await spent();
  assert.equal((after?.spent ?? 0) - (before?.spent ?? 0), 4, "two cents each, on the old account");
  await sql`update billing.usage_outbox set next_attempt_at = now() where status = 'pending'`;
  const leased = await sql<{ id: string; identifier: string }[]>`
    select id, identifier from public.lease_usage()`;
  assert.ok(leased.some(({ identifier }) => identifier.startsWith("cus_a-message-")));
  for (const { id } of leased) await sql`select public.usage_sent(${id})`;
  await sql`update billing.stripe_events set next_attempt_at = now() where status = 'pending'`;
  const due = await sql<{ id: string }[]>`select id from public.due_stripe_events(10)`;
  assert.deepEqual(due.map(({ id }) => id), ["evt_due"]);
  const [verdict] = await sql<{ fault: unknown; seq: number }[]>`
    select v -> 'fault' as fault, (v -> 'head' ->> 'seq')::int as seq from public.verify_audit() v`;
  assert.equal(verdict?.fault, null);
  assert.ok((verdict?.seq ?? 0) > 0, "what was done since the upgrade is in the audit log");
  await assertSound(sql);
}
