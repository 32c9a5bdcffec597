/**
 * What the quota gate costs: messages inserted through the gate against a bare insert into a table that is the same in
 * every other way (columns, indexes, foreign keys, policies, grants), interleaved, as PostgREST inserts them.
 *
 * Options: --url=postgresql://… (a database with the migrations, instead of a stack of its own; it is written to, and
 * left as it was), --seconds=3, --rounds=7, --clients=1,2,8,32, --history=1000000, --driver=pgbench|npm.
 */
import postgres from "postgres";
import { parseArgs } from "node:util";
import { startStack } from "../local/stack.ts";
import { type Driver, driverLoop, pgbench, userIdSql } from "./load.ts";

const USERS = 10_000;
const GATE = "public.messages";
const BARE = "bench.messages";

interface Settings {
  seconds: number;
  rounds: number;
  clients: number[];
  history: number;
  driver: Driver;
}

interface Row {
  history: number;
  clients: number;
  bare: number;
  gate: number;
  ratio: number;
  spread: [number, number];
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
    },
  });
  const external = values.driver === "npm" ? null : await pgbench();
  if (values.driver === "pgbench" && !external) throw new Error("there is no pgbench");
  const settings: Settings = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    clients: values.clients.split(",").map(Number),
    history: Number(values.history),
    driver: external ?? driverLoop,
  };
  const say = external ? "pgbench" : "the npm driver";
  await withDatabase(values.url, async (url) => {
    const rows = await measure(url, settings);
    console.log(
      `\nInserts per second, median of ${settings.rounds} interleaved runs of ${settings.seconds} s, by ${say}:\n`,
    );
    console.log(markdown(rows));
  });
}

async function withDatabase(
  url: string | undefined,
  work: (url: string) => Promise<void>,
): Promise<void> {
  if (url) return await work(url);
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-bench-" });
  await Deno.chmod(dataDir, 0o755);
  // Durable, because a commit that is not waited for is not what a message costs.
  const stack = await startStack({
    dataDir,
    web: false,
    functions: false,
    cron: false,
    durable: true,
  });
  try {
    await work(stack.dbUrl);
  } finally {
    await stack.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

async function measure(url: string, settings: Settings): Promise<Row[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await tearDown(sql);
    await setUp(sql);
    const rows = await measureAll(url, settings, 0);
    if (settings.history > 0) {
      progress(`writing ${settings.history} messages of history, twice`);
      for (const table of [BARE, GATE]) await fill(sql, table, settings.history);
      rows.push(...await measureAll(url, settings, settings.history));
    }
    return rows;
  } finally {
    await tearDown(sql);
    await sql.end({ timeout: 5 });
  }
}

async function measureAll(url: string, settings: Settings, history: number): Promise<Row[]> {
  const { driver, rounds, seconds } = settings;
  const rows: Row[] = [];
  for (const clients of settings.clients) {
    const results: { bare: number; gate: number }[] = [];
    const run = (table: string) => driver({ url, clients, seconds, table, users: USERS });
    for (let round = 0; round < rounds; round++) {
      progress(`${history} rows, ${clients} clients, round ${round + 1} of ${rounds}`);
      // Whoever goes second finds another machine: take turns.
      if (round % 2 === 0) {
        const bare = await run(BARE);
        results.push({ bare, gate: await run(GATE) });
      } else {
        const gate = await run(GATE);
        results.push({ bare: await run(BARE), gate });
      }
    }
    const ratios = results.map(({ bare, gate }) => gate / bare).sort((a, b) => a - b);
    rows.push({
      history,
      clients,
      bare: median(results.map((one) => one.bare)),
      gate: median(results.map((one) => one.gate)),
      ratio: median(ratios),
      spread: [
        ratios[Math.floor(ratios.length / 4)] ?? NaN,
        ratios[Math.floor(ratios.length * 3 / 4)] ?? NaN,
      ],
    });
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
    grant usage on schema bench to authenticated;
    create table ${BARE} (like public.messages including all);
    alter table ${BARE}
      add foreign key (user_id, conversation_id) references public.conversations (user_id, id)
        on delete cascade,
      add foreign key (reply_to) references ${BARE} (id) on delete set null,
      enable row level security;
    revoke all on ${BARE} from public, anon, authenticated, service_role;
    grant select, delete on ${BARE} to authenticated;
    grant insert (id, conversation_id, role, content) on ${BARE} to authenticated;`).simple();
  // The policies are read from the original, so that the two cannot come apart.
  const policies = await sql<{ statement: string }[]>`
    select format('create policy %I on bench.messages for %s to authenticated %s %s', policyname, cmd,
      'using (' || qual || ')', 'with check (' || with_check || ')') as statement
    from pg_policies where schemaname = 'public' and tablename = 'messages'`;
  for (const policy of policies) await sql.unsafe(policy.statement);
  await analyze(sql);
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
  for (const table of [GATE, "public.conversations", "billing.usage_counters"]) {
    await sql.unsafe(`vacuum analyze ${table}`);
  }
  await sql.unsafe(`vacuum analyze ${BARE}`);
  await sql.unsafe("checkpoint").catch(() => {});
}

async function tearDown(sql: postgres.Sql): Promise<void> {
  await sql`drop schema if exists bench cascade`;
  await sql`delete from auth.users where email like 'bench%@bench.test'`;
  await sql`delete from public.plans where id = 'bench'`;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function progress(text: string): void {
  if (Deno.stderr.isTerminal()) console.error(`… ${text}`);
}

function markdown(rows: Row[]): string {
  const lines = [
    "| messages before | clients | bare insert | with the gate | ratio | middle half of the ratios |",
    "| ---: | ---: | ---: | ---: | ---: | :---: |",
    ...rows.map(({ history, clients, bare, gate, ratio, spread }) =>
      `| ${history.toLocaleString("en")} | ${clients} | ${Math.round(bare)} | ${
        Math.round(gate)
      } | ${ratio.toFixed(2)} | ${spread[0].toFixed(2)} – ${spread[1].toFixed(2)} |`
    ),
  ];
  return lines.join("\n");
}
