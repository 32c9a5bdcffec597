/**
 * What the quota gate costs: messages inserted through the gate against a bare insert into a table that is the same in
 * every other way (columns, indexes, foreign keys, policies, grants), interleaved, as PostgREST inserts them. Beside it
 * the gate as it was before there was anything beyond the allowance, the same gate written by hand for one table instead
 * of made by billing.attach_quota(), and a message beyond the allowance that is paid for.
 *
 * Options: --url=postgresql://… (a database with the migrations, instead of a stack of its own; it is written to, and
 * left as it was), --seconds=3, --rounds=7, --clients=1,2,8,32, --history=1000000, --driver=pgbench|npm|cpu,
 * --arms=bare,previous,byhand,gate,overage.
 */
import postgres from "postgres";
import { parseArgs } from "node:util";
import { median, progress, withDatabase } from "./database.ts";
import { createGateByHand, createPreviousGate, createTwin } from "./gate_twins.ts";
import { type Driver, driverLoop, pgbench, processorTime, userIdSql } from "./load.ts";

const USERS = 10_000;
const GATE = "public.messages";
const BARE = "bench.messages";
const PREVIOUS = "bench.previous_messages";
const BY_HAND = "bench.byhand_messages";

/** Who writes where. People of `overage` are others: they have no allowance left, and pay. */
const ARMS = {
  bare: { table: BARE, firstUser: 1 },
  previous: { table: PREVIOUS, firstUser: 1 },
  byhand: { table: BY_HAND, firstUser: 1 },
  gate: { table: GATE, firstUser: 1 },
  overage: { table: GATE, firstUser: 1 + USERS },
} as const;
type Arm = keyof typeof ARMS;

interface Settings {
  seconds: number;
  rounds: number;
  clients: number[];
  history: number;
  driver: Driver;
  arms: Arm[];
}

/** Inserts per second of every arm, one entry a round. */
interface Row {
  history: number;
  clients: number;
  rounds: Partial<Record<Arm, number>>[];
}

export async function gate(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string" },
      seconds: { type: "string", default: "3" },
      rounds: { type: "string", default: "7" },
      clients: { type: "string", default: "1,2,8,32" },
      history: { type: "string", default: "1000000" },
      driver: { type: "string" },
      arms: { type: "string", default: Object.keys(ARMS).join(",") },
    },
  });
  const cpu = values.driver === "cpu";
  const external = values.driver === "npm" || cpu ? null : await pgbench();
  if (values.driver === "pgbench" && !external) throw new Error("there is no pgbench");
  const settings: Settings = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    clients: values.clients.split(",").map(Number),
    history: Number(values.history),
    driver: cpu ? processorTime : external ?? driverLoop,
    arms: values.arms.split(",").map((name) => {
      if (!isArm(name)) throw new Error(`there is no arm ${name}`);
      return name;
    }),
  };
  const say = external ? "pgbench" : "the npm driver";
  const unit = cpu ? "second of the backend's processor time" : "second";
  await withDatabase(values.url, async (url) => {
    const rows = await measure(url, settings);
    console.log(
      `\nInserts per ${unit}, median of ${settings.rounds} interleaved runs of ${settings.seconds} s, by ${say}:\n`,
    );
    console.log(markdown(rows, settings.arms));
  });
}

function isArm(name: string): name is Arm {
  return name in ARMS;
}

async function measure(url: string, settings: Settings): Promise<Row[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await tearDown(sql);
    await setUp(sql);
    const rows = await measureAll(url, settings, 0);
    if (settings.history > 0) {
      progress(`writing ${settings.history} messages of history, into each table`);
      for (const table of [BARE, PREVIOUS, BY_HAND, GATE]) await fill(sql, table, settings.history);
      rows.push(...await measureAll(url, settings, settings.history));
    }
    return rows;
  } finally {
    await tearDown(sql);
    await sql.end({ timeout: 5 });
  }
}

async function measureAll(url: string, settings: Settings, history: number): Promise<Row[]> {
  const { driver, rounds, seconds, arms } = settings;
  const rows: Row[] = [];
  for (const clients of settings.clients) {
    const results: Row["rounds"] = [];
    for (let round = 0; round < rounds; round++) {
      progress(`${history} rows, ${clients} clients, round ${round + 1} of ${rounds}`);
      const result: Row["rounds"][number] = {};
      // Whoever goes second finds another machine: take turns.
      for (let turn = 0; turn < arms.length; turn++) {
        const arm = arms[(turn + round) % arms.length];
        if (arm === undefined) continue;
        result[arm] = await driver({ url, clients, seconds, users: USERS, ...ARMS[arm] });
      }
      results.push(result);
    }
    rows.push({ history, clients, rounds: results });
  }
  return rows;
}

async function setUp(sql: postgres.Sql): Promise<void> {
  const id = userIdSql("n");
  await sql.unsafe(`
    insert into public.plans (id, name, rank, is_public) values ('bench', 'Bench', 1000000, false);
    insert into public.plan_limits values ('bench', 'message', 1000000000), ('bench', 'agent', 0);
    insert into auth.users (id, email)
      select (${id})::uuid, 'bench' || n || '@bench.test' from generate_series(1, ${USERS}) n;
    insert into public.conversations (id, user_id)
      select (${id})::uuid, (${id})::uuid from generate_series(1, ${USERS}) n;
    insert into public.entitlements (user_id, plan_id, source)
      select (${id})::uuid, 'bench', 'subscription' from generate_series(1, ${USERS}) n;
    create schema bench;
    grant usage on schema bench to authenticated;`).simple();
  for (const table of [BARE, PREVIOUS, BY_HAND]) await createTwin(sql, table);
  await createPreviousGate(sql, PREVIOUS);
  await createGateByHand(sql, BY_HAND);
  await createPayers(sql);
  await analyze(sql);
}

/** As many people again, with nothing left of their allowance, who have said yes to paying. */
async function createPayers(sql: postgres.Sql): Promise<void> {
  const id = userIdSql("n");
  await sql.unsafe(`
    insert into public.plans (id, name, rank, is_public) values ('bench_overage', 'Bench', 1000001, false);
    insert into public.plan_limits values ('bench_overage', 'message', 0), ('bench_overage', 'agent', 0);
    create temporary table payers as
      select (${id})::uuid as id, 'cus_bench' || n as customer, 'sub_bench' || n as subscription, n
      from generate_series(${USERS + 1}, ${2 * USERS}) n;
    insert into auth.users (id, email) select id, 'bench' || n || '@bench.test' from payers;
    insert into public.conversations (id, user_id) select id, id from payers;
    insert into public.customers (user_id, stripe_customer_id) select id, customer from payers;
    insert into public.subscriptions (id, user_id, status, plan_id, currency)
      select subscription, id, 'active', 'bench_overage', 'usd' from payers;
    insert into public.entitlements (user_id, plan_id, source, subscription_id)
      select id, 'bench_overage', 'subscription', subscription from payers;
    insert into billing.metered_items (
      item_id, user_id, subscription_id, metric_id, currency, unit_amount_minor, period_start, period_end
    )
      select 'si_bench' || n, id, subscription, 'message', 'usd', 0.01, now() - interval '1 day', now() + interval '29 days'
      from payers;
    insert into billing.overage_accounts (user_id, enabled, subscription_id, cap_minor, currency, period_start, period_end)
      select id, true, subscription, 10000000, 'usd', now() - interval '1 day', now() + interval '29 days' from payers;`)
    .simple();
}

/** Messages of yesterday and before, by everybody in turn. */
async function fill(sql: postgres.Sql, table: string, count: number): Promise<void> {
  const id = userIdSql(`1 + n % ${USERS}`);
  const step = 100_000;
  for (let from = 0; from < count; from += step) {
    await sql.unsafe(`
      insert into ${table} (conversation_id, user_id, role, content, created_at)
      select (${id})::uuid, (${id})::uuid, 'user', 'What was the weather like in Lisbon?',
        now() - interval '30 days' * random()
      from generate_series(${from}, ${Math.min(from + step, count) - 1}) n`);
  }
  await analyze(sql);
}

async function analyze(sql: postgres.Sql): Promise<void> {
  const tables = [
    ...[
      BARE,
      PREVIOUS,
      BY_HAND,
      GATE,
      "public.conversations",
      "public.subscriptions",
      "public.customers",
    ],
    ...[
      "billing.usage_counters",
      "billing.metered_items",
      "billing.overage_accounts",
      "bench.usage_counters",
    ],
  ];
  for (const table of tables) await sql.unsafe(`vacuum analyze ${table}`);
  await sql.unsafe("checkpoint").catch(() => {});
}

async function tearDown(sql: postgres.Sql): Promise<void> {
  await sql`drop schema if exists bench cascade`;
  await sql`delete from public.entitlements where plan_id like 'bench%'`;
  await sql`delete from public.subscriptions where id like 'sub\\_bench%'`;
  await sql`delete from public.customers where stripe_customer_id like 'cus\\_bench%'`;
  // The ledger refuses it, rightly: nothing but a bench admits what nobody owes.
  await sql.begin(async (tx) => {
    await tx`alter table billing.overage_usage disable trigger user`;
    await tx`delete from billing.overage_usage where stripe_customer_id like 'cus\\_bench%'`;
    await tx`alter table billing.overage_usage enable trigger user`;
  });
  await sql`delete from auth.users where email like 'bench%@bench.test'`;
  await sql`delete from public.plans where id like 'bench%'`;
}

function markdown(rows: Row[], arms: Arm[]): string {
  const pairs: [Arm, Arm][] = [["previous", "bare"], ["gate", "bare"], ["gate", "previous"], [
    "gate",
    "byhand",
  ], [
    "overage",
    "gate",
  ]];
  const ratios = pairs.filter((pair) => pair.every((arm) => arms.includes(arm)));
  const head = [
    ...["messages before", "clients", ...arms],
    ...ratios.map(([one, other]) => `${one} : ${other} (middle half)`),
  ];
  const lines = rows.map(({ history, clients, rounds }) => [
    ...[history.toLocaleString("en"), String(clients)],
    ...arms.map((arm) => String(Math.round(median(rounds.map((round) => round[arm] ?? NaN))))),
    ...ratios.map(([one, other]) => {
      const values = rounds.map((round) => (round[one] ?? NaN) / (round[other] ?? NaN)).sort((
        a,
        b,
      ) => a - b);
      const at = (share: number) => (values[Math.floor(values.length * share)] ?? NaN).toFixed(2);
      return `${median(values).toFixed(2)} (${at(1 / 4)} – ${at(3 / 4)})`;
    }),
  ]);
  return [head, head.map(() => "---:"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join(
    "\n",
  );
}
