/**
 * What it takes to forget old messages: one table as it is, one with a BRIN index on `created_at`, one in monthly
 * partitions, each behind the same gate. Compares inserting, reading the end of a conversation, and removing the oldest
 * month (a day at a time against dropping its partition), interleaved.
 *
 * Options: --url=postgresql://… (written to, and left as it was), --seconds=2, --rounds=5, --clients=8,
 * --history=1000000, --months=6, --driver=pgbench|npm.
 */
import postgres from "postgres";
import { parseArgs } from "node:util";
import { median, progress, withDatabase } from "./database.ts";
import { type Driver, driverLoop, pgbench, userIdSql } from "./load.ts";

const USERS = 10_000;
const READS = 300;
/** Months that are removed, one a round. */
const REMOVED = 3;
const ARMS = ["plain", "brin", "partitioned"] as const;
type Arm = typeof ARMS[number];
type Figures = Record<Arm, number[]>;

interface Settings {
  seconds: number;
  rounds: number;
  clients: number;
  history: number;
  months: number;
  driver: Driver;
}

export async function retention(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string" },
      seconds: { type: "string", default: "2" },
      rounds: { type: "string", default: "5" },
      clients: { type: "string", default: "8" },
      history: { type: "string", default: "1000000" },
      months: { type: "string", default: "6" },
      driver: { type: "string" },
    },
  });
  const external = values.driver === "npm" ? null : await pgbench();
  const settings: Settings = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    clients: Number(values.clients),
    history: Number(values.history),
    months: Number(values.months),
    driver: external ?? driverLoop,
  };
  await withDatabase(values.url, async (url) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    try {
      await tearDown(sql);
      await setUp(sql, settings.months);
      console.log(await measure(sql, url, settings));
    } finally {
      await tearDown(sql);
      await sql.end({ timeout: 5 });
    }
  });
}

async function measure(sql: postgres.Sql, url: string, settings: Settings): Promise<string> {
  const head = ["", ...ARMS, "brin : plain", "partitioned : plain"];
  const lines = [head, head.map((_, at) => at === 0 ? "---" : "---:")];
  lines.push(line("inserts a second, no rows", await inserts(url, settings), 0));
  for (const arm of ARMS) await fill(sql, arm, settings);
  const rows = settings.history.toLocaleString("en");
  lines.push(line(`inserts a second, ${rows} rows`, await inserts(url, settings), 0));
  lines.push(line("end of a conversation, ms", await reads(sql, settings), 3));
  lines.push(line("size, MB", await sizes(sql), 1));
  const removal = await remove(sql, settings);
  lines.push(line("removing the oldest month, s", removal.seconds, 3));
  lines.push(line("longest statement of it, ms", removal.longest, 1));
  lines.push(line("vacuum after it, s", removal.vacuum, 3));
  lines.push(line(`size after ${REMOVED} months are gone, MB`, await sizes(sql), 1));
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A row of the table; ratios are medians of the rounds' ratios, with their middle half when there are enough. */
function line(name: string, figures: Figures, digits: number): string[] {
  const ratio = (arm: Arm) => {
    const ratios = figures[arm].map((value, round) => value / (figures.plain[round] ?? NaN))
      .sort((a, b) => a - b);
    if (ratios.length === 0) return "";
    const at = (share: number) => {
      const value = ratios[Math.floor(ratios.length * share)] ?? NaN;
      return value < 0.1 ? value.toPrecision(1) : value.toFixed(2);
    };
    return at(1 / 2) + (ratios.length >= 4 ? ` (${at(1 / 4)} – ${at(3 / 4)})` : "");
  };
  const values = ARMS.map((arm) =>
    figures[arm].length > 0 ? median(figures[arm]).toFixed(digits) : ""
  );
  return [name, ...values, ratio("brin"), ratio("partitioned")];
}

/** Every arm once a round; whoever goes second finds another machine, so they take turns. */
async function inTurns(
  rounds: number,
  what: string,
  work: (arm: Arm, round: number) => Promise<number>,
): Promise<Figures> {
  const figures: Figures = { plain: [], brin: [], partitioned: [] };
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < ARMS.length; turn++) {
      const arm = ARMS[(turn + round) % ARMS.length];
      if (arm === undefined) continue;
      progress(`${what}, round ${round + 1} of ${rounds}, ${arm}`);
      figures[arm].push(await work(arm, round));
    }
  }
  return figures;
}

function inserts(url: string, settings: Settings): Promise<Figures> {
  const { rounds, clients, seconds, driver } = settings;
  return inTurns(
    rounds,
    "inserts",
    (arm) => driver({ url, clients, seconds, table: `bench.${arm}`, users: USERS, firstUser: 1 }),
  );
}

/** Milliseconds for the last 50 messages of somebody's conversation, as the client asks for them. */
function reads(sql: postgres.Sql, { rounds }: Settings): Promise<Figures> {
  return inTurns(rounds, "reads", async (arm) => {
    const started = performance.now();
    for (let count = 0; count < READS; count++) {
      const n = 1 + Math.floor(Math.random() * USERS);
      const id = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
      await sql`select id, role, content, created_at from bench.${sql(arm)}
        where user_id = ${id} and conversation_id = ${id} order by created_at desc limit 50`;
    }
    return (performance.now() - started) / READS;
  });
}

async function sizes(sql: postgres.Sql): Promise<Figures> {
  const [row] = await sql<Record<Arm, number>[]>`
    select pg_total_relation_size('bench.plain')::float8 / 1e6 as plain,
      pg_total_relation_size('bench.brin')::float8 / 1e6 as brin,
      (select sum(pg_total_relation_size(relid))::float8 / 1e6 from pg_partition_tree('bench.partitioned')) as partitioned`;
  if (row === undefined) throw new Error("no sizes");
  return { plain: [row.plain], brin: [row.brin], partitioned: [row.partitioned] };
}

interface Removal {
  seconds: Figures;
  longest: Figures;
  vacuum: Figures;
}

async function remove(sql: postgres.Sql, { months }: Settings): Promise<Removal> {
  const longest: Figures = { plain: [], brin: [], partitioned: [] };
  const vacuum: Figures = { plain: [], brin: [], partitioned: [] };
  const seconds = await inTurns(REMOVED, "removing a month", async (arm, round) => {
    const month = monthsAgo(months - round);
    const statements = arm === "partitioned" ? dropping(month) : deleting(arm, month);
    const times: number[] = [];
    for (const statement of statements) times.push(await timed(() => sql.unsafe(statement)));
    longest[arm].push(1_000 * Math.max(...times));
    if (arm !== "partitioned") {
      vacuum[arm].push(await timed(() => sql.unsafe(`vacuum analyze bench.${arm}`)));
    }
    return times.reduce((sum, time) => sum + time, 0);
  });
  return { seconds, longest, vacuum };
}

async function timed(work: () => PromiseLike<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}

/** One statement, one transaction, for each day of a month. */
function deleting(arm: Arm, month: Date): string[] {
  const end = nextMonth(month);
  const statements: string[] = [];
  for (let day = month.getTime(); day < end.getTime(); day += 86_400_000) {
    const [from, to] = [day, day + 86_400_000].map((time) => new Date(time).toISOString());
    statements.push(
      `delete from bench.${arm} where created_at >= '${from}' and created_at < '${to}'`,
    );
  }
  return statements;
}

function dropping(month: Date): string[] {
  const name = partition(month);
  return [
    `alter table bench.partitioned detach partition bench.${name} concurrently`,
    `drop table bench.${name}`,
  ];
}

async function setUp(sql: postgres.Sql, months: number): Promise<void> {
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
    create table bench.plain (like public.messages including all);
    create table bench.brin (like public.messages including all);
    create index on bench.brin using brin (created_at);
    -- A key of a partitioned table must have the partition's column: neither an id nor the question of an answer is unique
    -- any more, and no foreign key can point at an id.
    create table bench.partitioned (
      like public.messages including defaults including constraints,
      primary key (id, created_at),
      unique (reply_to, created_at)
    ) partition by range (created_at);
    create index on bench.partitioned (user_id, conversation_id, created_at);`).simple();
  for (let ago = months; ago >= -1; ago--) {
    const month = monthsAgo(ago);
    await sql.unsafe(`create table bench.${partition(month)} partition of bench.partitioned
      for values from ('${month.toISOString()}') to ('${nextMonth(month).toISOString()}')`);
  }
  for (const arm of ARMS) await guard(sql, arm);
}

/** Foreign keys, policies, grants and the gate of the original. */
async function guard(sql: postgres.Sql, arm: Arm): Promise<void> {
  const table = `bench.${arm}`;
  await sql.unsafe(`
    alter table ${table}
      add foreign key (user_id, conversation_id) references public.conversations (user_id, id)
        on delete cascade,
      enable row level security;
    revoke all on ${table} from public, anon, authenticated, service_role;
    grant select, delete on ${table} to authenticated;
    grant insert (id, conversation_id, role, content) on ${table} to authenticated;
    create trigger messages_after_insert_consume after insert on ${table}
      for each row when (new.role = 'user' and current_user = 'authenticated')
      execute function billing.consume_public_messages();
    create trigger messages_after_insert_consume_many after insert on ${table}
      referencing new table as new_rows
      for each statement when (current_user is distinct from 'authenticated')
      execute function billing.consume_public_messages_many();`).simple();
  if (arm !== "partitioned") {
    await sql.unsafe(
      `alter table ${table} add foreign key (reply_to) references ${table} (id) on delete set null`,
    );
  }
  const policies = await sql<{ statement: string }[]>`
    select format('create policy %I on %s for %s to authenticated %s %s', policyname, ${table}::text, cmd,
      'using (' || qual || ')', 'with check (' || with_check || ')') as statement
    from pg_policies where schemaname = 'public' and tablename = 'messages'`;
  for (const policy of policies) await sql.unsafe(policy.statement);
}

/** Questions and answers by everybody in turn, in the order of time, over the months before this one. */
async function fill(sql: postgres.Sql, arm: Arm, { history, months }: Settings): Promise<void> {
  progress(`writing ${history} messages into ${arm}`);
  const table = `bench.${arm}`;
  const user = `(${userIdSql(`1 + n / 2 % ${USERS}`)})::uuid`;
  const [first, last] = [monthsAgo(months), monthsAgo(0)];
  const span = `${(last.getTime() - first.getTime()) / 1_000} * interval '1 second'`;
  const step = 100_000;
  await sql.unsafe(`alter table ${table} disable trigger user`);
  for (let from = 0; from < history; from += step) {
    await sql.unsafe(`
      insert into ${table} (id, conversation_id, user_id, role, content, reply_to, created_at)
      select md5('m' || n)::uuid, ${user}, ${user}, case n % 2 when 0 then 'user' else 'assistant' end,
        case n % 2 when 0 then 'What was the weather like in Lisbon?' else repeat('It was as fine as ever. ', 12) end,
        case n % 2 when 1 then md5('m' || n - 1)::uuid end,
        '${first.toISOString()}'::timestamptz + n::float8 / ${history} * ${span}
      from generate_series(${from}, ${Math.min(from + step, history) - 1}) n`);
  }
  await sql.unsafe(`alter table ${table} enable trigger user`);
  await sql.unsafe(`vacuum analyze ${table}`);
  await sql.unsafe("checkpoint").catch(() => {});
}

async function tearDown(sql: postgres.Sql): Promise<void> {
  await sql`drop schema if exists bench cascade`;
  await sql`delete from public.entitlements where plan_id = 'bench'`;
  await sql`delete from auth.users where email like 'bench%@bench.test'`;
  await sql`delete from public.plans where id = 'bench'`;
}

/** The first moment of a month before this one, in UTC. */
function monthsAgo(ago: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago, 1));
}

function nextMonth(month: Date): Date {
  return new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1));
}

function partition(month: Date): string {
  return `messages_${month.toISOString().slice(0, 7).replace("-", "_")}`;
}
