/** People, and what they do as PostgREST would do it for them: role and claims per transaction, no right to the counters. */
import postgres from "postgres";
import { databaseUrl } from "./database.ts";

const CONNECTIONS = 40;

export interface Person {
  id: string;
  conversation: string;
}

export type Outcome = "written" | "refused";

export async function withPool(work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  const sql = postgres(databaseUrl(), { max: CONNECTIONS, onnotice: () => {} });
  const created: string[] = [];
  people.set(sql, created);
  try {
    // All connections first, or the first ones would do the work alone.
    await Promise.all(Array.from({ length: CONNECTIONS }, () => sql`select pg_sleep(0.05)`));
    await work(sql);
  } finally {
    await sql`delete from public.subscriptions where user_id = any (${created})`;
    await sql`delete from public.customers where user_id = any (${created})`;
    await sql`delete from auth.users where id = any (${created})`;
    await sql.end({ timeout: 5 });
  }
}

const people = new WeakMap<postgres.Sql, string[]>();

export async function createPerson(sql: postgres.Sql): Promise<Person> {
  const id = crypto.randomUUID();
  people.get(sql)?.push(id);
  await sql`insert into auth.users (id, email) values (${id}, ${`${id}@concurrency.test`})`;
  await sql`insert into public.conversations (id, user_id) values (${id}, ${id})`;
  return { id, conversation: id };
}

/** One request: what `work` does as the person, in a transaction of its own. */
export async function as(
  sql: postgres.Sql,
  person: Person,
  work: (tx: postgres.TransactionSql) => Promise<unknown>,
  isolation = "read committed",
): Promise<Outcome> {
  try {
    await sql.begin(`isolation level ${isolation}`, async (tx) => {
      const claims = JSON.stringify({ role: "authenticated", sub: person.id });
      await tx`select set_config('role', 'authenticated', true),
        set_config('request.jwt.claim.sub', ${person.id}, true),
        set_config('request.jwt.claims', ${claims}, true)`;
      await work(tx);
    });
    return "written";
  } catch (error) {
    if (error instanceof postgres.PostgresError && error.code === "PGRST") return "refused";
    throw error;
  }
}

export function ask(sql: postgres.Sql, person: Person): Promise<Outcome> {
  return as(sql, person, (tx) =>
    tx`
    insert into public.messages (conversation_id, role, content)
    values (${person.conversation}, 'user', 'Hello')`);
}

export function createAgent(sql: postgres.Sql, person: Person): Promise<Outcome> {
  return as(sql, person, (tx) => tx`insert into public.agents (name) values ('Helper')`);
}

export function times<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)));
}

export function written(outcomes: Outcome[]): number {
  return outcomes.filter((outcome) => outcome === "written").length;
}

export async function counted(sql: postgres.Sql, table: string, person: Person): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from ${sql(`public.${table}`)} where user_id = ${person.id}`;
  return row?.count ?? -1;
}

export async function counter(sql: postgres.Sql, metric: string, person: Person): Promise<number> {
  const [row] = await sql<{ used: number }[]>`
    select used::int from billing.usage_counters
    where user_id = ${person.id} and metric_id = ${metric}`;
  return row?.used ?? -1;
}

export async function subscribe(
  sql: postgres.Sql,
  person: Person,
  lookupKey: string | null,
): Promise<void> {
  const customer = `cus_${person.id.replaceAll("-", "")}`;
  await sql`select public.link_customer(${person.id}, ${customer})`;
  const [row] = await sql<{ token: string }[]>`select public.next_sync_token() as token`;
  await snapshot(sql, person, row?.token ?? "", lookupKey);
}

export async function snapshot(
  sql: postgres.Sql,
  person: Person,
  token: string,
  lookupKey: string | null,
): Promise<void> {
  const id = person.id.replaceAll("-", "");
  const list = lookupKey === null
    ? []
    : [{ id: `sub_${id}`, status: "active", price_lookup_key: lookupKey }];
  await sql`select public.apply_customer_snapshot(${`cus_${id}`}, ${token}, ${sql.json(list)})`;
}

/** What meter() makes a unit beyond the allowance cost. */
export const UNIT_MINOR = 2;

/** A subscriber of Pro whose subscription has the metered items of the period around now. */
export async function meter(
  sql: postgres.Sql,
  person: Person,
  period: { start: string; end: string } = { start: "-1 day", end: "29 days" },
  plan = "pro",
): Promise<void> {
  const id = person.id.replaceAll("-", "");
  await sql`select public.link_customer(${person.id}, ${`cus_${id}`})`;
  const subscriptions = [{
    id: `sub_${id}`,
    status: "active",
    price_lookup_key: `${plan}_monthly`,
    currency: "usd",
  }];
  await sql`
    select public.apply_customer_snapshot(${`cus_${id}`}, public.next_sync_token(), ${
    sql.json(subscriptions)
  },
      p_metering => jsonb_build_object('metered_items', (
        select jsonb_agg(jsonb_build_object(
          'id', 'si_' || m.id || ${id}, 'subscription_id', ${`sub_${id}`}::text, 'currency', 'usd',
          'price_lookup_key', ${plan}::text || '_' || m.id || '_overage', 'unit_amount_minor', ${UNIT_MINOR}::int,
          'period_start', date_trunc('hour', now()) + ${period.start}::interval,
          'period_end', date_trunc('hour', now()) + ${period.end}::interval
        )) from public.metrics m where m.meter_event_name is not null)))`;
}

export async function agree(sql: postgres.Sql, person: Person, capMinor: number): Promise<void> {
  const outcome = await as(sql, person, (tx) => tx`select public.set_overage(true, ${capMinor})`);
  if (outcome === "refused") throw new Error("the owner may not pay beyond the allowance");
}
