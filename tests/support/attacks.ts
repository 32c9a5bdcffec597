import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type postgres from "postgres";
import { customerOf, priceOf, quiet } from "./sandbox.ts";
import { buy, type Creator, creator, publish } from "./marketplace.ts";
import { eventually, request, stack, stripe } from "./stack.ts";
import { ROOT } from "./run.ts";

/** Attacks as rows of a table: what is sent, and that it was refused with a code, wrote nothing and told nothing. */

export interface Attack {
  what: string;
  path: string;
  method?: string;
  token?: string | null;
  headers?: Record<string, string>;
  body?: unknown;
  /** Statuses that are the refusal; any 4xx with a code when absent. */
  status?: number[];
  /** A read or a write that RLS leaves without rows is as good as a refusal. */
  orEmpty?: true;
  /** A read of what is public, where only the victim's rows must be missing. */
  orPublic?: true;
}

export interface Victim extends Creator {
  conversation: string;
  message: string;
  agent: string;
  draft: string;
  listing: string;
  purchase: string;
  licence: string;
  bought: string;
  customer: string;
  /** Words and ids that are in no attack, so that an answer with one of them is a leak. */
  secrets: string[];
}

/** Somebody with a row in every table that has owners: they chat, pay, sell and have bought. */
export async function victim(db: postgres.Sql): Promise<Victim> {
  const mark = crypto.randomUUID();
  const person = await creator(db, "victim");
  const customer = await customerOf(person);
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("pro_monthly") }],
  });
  await eventually(
    async () => (await person.client.from("subscriptions").select("status")).data ?? [],
    ([row]) => row?.status === "active",
  );
  const insert = async (table: string, row: unknown) => {
    const answer = await request(`/rest/v1/${table}?select=id`, {
      token: person.token,
      body: row,
      headers: { prefer: "return=representation" },
    });
    assert.equal(answer.status, 201, answer.text);
    return (answer.body as { id: string }[])[0]?.id ?? "";
  };
  const conversation = await insert("conversations", { title: `Title ${mark}` });
  const message = await insert("messages", {
    conversation_id: conversation,
    role: "user",
    content: `Content ${mark}`,
  });
  const agent = await insert("agents", { name: `Name ${mark}`, instructions: `Do ${mark}` });
  const draft = await insert("listings", {
    title: `Draft ${mark}`,
    description: `Described ${mark}`,
    category: "agent",
    kind: "one_time",
    price_minor: 900,
    currency: "usd",
    agent_id: agent,
  });
  const listing = await publish(person);
  const bought = await publish(await creator(db, "other-creator"));
  await buy(person, bought);
  const [licence] = await eventually(
    () =>
      db<{ id: string; purchase_id: string }[]>`
        select id, purchase_id from public.licences where user_id = ${person.id}`,
    (rows) => rows.length === 1,
  );
  await quiet();
  return {
    ...person,
    ...{ conversation, message, agent, draft, listing, bought, customer },
    purchase: licence?.purchase_id ?? "",
    licence: licence?.id ?? "",
    secrets: [mark, person.email, person.account, customer, subscription.id],
  };
}

/** What background jobs move by themselves, whoever attacks; and the lock that a refused change of one's own plan has taken. */
const MOVING = [
  "billing.reconcile_runs",
  "billing.reconcile_queue",
  "billing.usage_checks",
  "billing.usage_check_cursor",
  "billing.ledger_checks",
  "billing.sync_state",
  "billing.rate_buckets",
  "billing.plan_changes",
];

/** A number and a hash of the rows of every table there is, but for those and when we last looked at Stripe. */
export async function world(db: postgres.Sql): Promise<Map<string, string>> {
  const tables = await db<{ name: string }[]>`
    select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and (n.nspname in ('public', 'billing') or c.oid = 'auth.users'::regclass)
      and n.nspname || '.' || c.relname <> all (${MOVING}) order by 1`;
  assert.ok(tables.length > 40);
  const query = tables.map(({ name }) =>
    `select '${name}' as name, count(*) || ' ' || coalesce(md5(string_agg(row, ',' order by row)), '') as state
     from (select (to_jsonb(t) - 'synced_at')::text as row from ${name} t) r`
  ).join(" union all ");
  const rows = await db.unsafe<{ name: string; state: string }[]>(query);
  return new Map(rows.map(({ name, state }) => [name, state]));
}

/** Nothing of what `work` does may leave anything behind, in any table. Meanwhile nothing runs by the clock. */
export async function unchanged(db: postgres.Sql, work: () => Promise<void>): Promise<void> {
  const jobs = await db<{ id: number }[]>`select jobid::int as id from cron.job where active`;
  const ids = jobs.map(({ id }) => id);
  await db`select cron.alter_job(j.id, active := false) from unnest(${ids}::int[]) j (id)`;
  try {
    const before = await settled(db);
    await work();
    const after = await settled(db);
    const changed = [...after].filter(([name, state]) => before.get(name) !== state);
    assert.deepEqual(changed.map(([name]) => name), [], "tables that an attack has written");
  } finally {
    await db`select cron.alter_job(j.id, active := true) from unnest(${ids}::int[]) j (id)`;
  }
}

/** The world once what had begun before is over: it is the same twice. */
async function settled(db: postgres.Sql): Promise<Map<string, string>> {
  await quiet();
  let last = await world(db);
  for (let look = 0; look < 60; look++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const now = await world(db);
    if ([...now].every(([name, state]) => last.get(name) === state)) return now;
    last = now;
  }
  throw new Error("the tables do not come to rest");
}

/** What no answer may hold, whoever asks: insides of ours, of Postgres and of the machine. */
const INSIDES =
  /sk_test_|whsec_|sb_secret_|postgres(ql)?:\/\/|node_modules|\bat (async )?[\w.<>]+ \(|file:\/\/|\.ts:\d+|super-secret/;
const AT_ONCE = 8;

/**
 * Sends all of them, and fails with those that were not refused as they should be. The number must be at least the one that
 * docs/security.md states for the group.
 */
export async function tryAll(
  group: string,
  attacks: Attack[],
  secrets: string[] = [],
): Promise<void> {
  const failures: string[] = [];
  const rest = attacks.values();
  const worker = async () => {
    for (const attack of rest) {
      const problem = await tryOne(attack, secrets);
      if (problem) failures.push(`${attack.what}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  note(group, attacks.length);
  assert.deepEqual(failures.slice(0, 30), [], `${failures.length} of ${attacks.length}: ${group}`);
}

async function tryOne(attack: Attack, secrets: string[]): Promise<string | null> {
  const { what: _, path, status, orEmpty, orPublic, ...init } = attack;
  const answer = await request(path, init).catch((error) => String(error));
  if (typeof answer === "string") return answer;
  return judge(answer, { status, orEmpty, orPublic }, secrets);
}

interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
  text: string;
}

/** What is wrong with an answer to an attack; null when nothing is. */
export function judge(
  answer: Answer,
  expected: Pick<Attack, "status" | "orEmpty" | "orPublic">,
  secrets: string[],
): string | null {
  const { status, body } = answer;
  const text = `${answer.text} ${[...answer.headers].join(" ")}`;
  const said = `${status} ${answer.text.slice(0, 300)}`;
  if (INSIDES.test(text)) return `insides in ${said}`;
  if (secrets.some((secret) => text.includes(secret))) return `a secret in ${said}`;
  if (status >= 200 && status < 300) {
    const rows = answer.headers.get("content-range")?.split("/")[1];
    const empty = ["", "[]", "0", "null"].includes(answer.text) &&
      (rows === undefined || rows === "*" || rows === "0");
    return expected.orPublic || (expected.orEmpty && empty) ? null : said;
  }
  // An embed that may mean two relations: https://docs.postgrest.org/en/stable/references/errors.html
  if (codeOf(body) === "PGRST201" && expected.orPublic) return null;
  if (status < 400 || status >= 500) return said;
  if (expected.status && !expected.status.includes(status)) return said;
  return answer.text === "" || codeOf(body) ? null : `no code in ${said}`;
}

/** The code of a refusal, by whomever: our functions, PostgREST, Auth or the gateway. */
export function codeOf(body: unknown): string | undefined {
  const { error, code, error_code } = (body ?? {}) as {
    error?: { code?: string } | string;
    code?: string | number;
    error_code?: string;
  };
  if (typeof error === "object") return error?.code;
  return error_code ?? error ?? (code === undefined ? undefined : String(code));
}

/** docs/security.md says how many attacks a group has; that must not be more than there are. */
export function note(group: string, tried: number): void {
  console.log(`attacks: ${group}: ${tried} tried`);
  const line = readFileSync(`${ROOT}docs/security.md`, "utf8").split("\n")
    .find((one) => one.startsWith(`| ${group} `));
  const [stated = "0"] = line?.match(/[\d,]+(?= *\|)/) ?? [];
  const number = Number(stated.replaceAll(",", ""));
  assert.ok(number > 0 && number <= tried, `docs/security.md states ${stated} for "${group}"`);
}

/** Requests that `fetch` would not send: whatever bytes, header twice or line break. Answers the status, 0 when cut off. */
export async function raw(bytes: Uint8Array | string): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(stack().api_url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  const sending = (async () => {
    for (let at = 0; at < data.length;) at += await connection.write(data.subarray(at));
  })().catch(() => {});
  const decoder = new TextDecoder();
  let text = "";
  const buffer = new Uint8Array(16_384);
  const timer = setTimeout(() => connection.close(), 20_000);
  try {
    for (let size; (size = await connection.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, size));
    }
  } catch {
    // Cut off in the middle of a body is an answer too.
  } finally {
    clearTimeout(timer);
  }
  await sending;
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}
