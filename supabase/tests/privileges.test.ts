import assert from "node:assert/strict";
import postgres from "postgres";
import { CONTRACT_FILE, needsReason, parseContract, readContract, WHY } from "./contract.ts";
import { databaseUrl } from "./database.ts";

const file = () => Deno.readTextFileSync(CONTRACT_FILE);

function difference(a: Iterable<string>, b: Iterable<string>): string[] {
  const other = new Set(b);
  return [...a].filter((line) => !other.has(line));
}

/** Every right the database has and the file has not, and the other way round. */
async function compare(dbUrl: string): Promise<{ unwritten: string[]; missing: string[] }> {
  const there = parseContract((await readContract(dbUrl)).join("\n")).keys().toArray();
  const written = parseContract(file()).keys().toArray();
  return { unwritten: difference(there, written), missing: difference(written, there) };
}

Deno.test("everybody may do what supabase/privileges.txt says, and nothing else", async () => {
  const { unwritten, missing } = await compare(databaseUrl());
  const report = [
    ...unwritten.map((line) => `+ ${line}`),
    ...missing.map((line) => `- ${line}`),
  ].join("\n");
  assert.equal(
    report,
    "",
    `\n${report}\n\`npm run privileges\` writes them; then give the reasons`,
  );
});

Deno.test("what anon may, and each definer function of a client, has a reason", () => {
  const open = [...parseContract(file())]
    .filter(([line, reason]) => needsReason(line) && (reason === "" || reason === WHY));
  assert.deepEqual(open.map(([line]) => line), []);
});

Deno.test("a grant, a policy or a default that nobody wrote down is found", async (t) => {
  const changes: [string, string, string][] = [
    ["a table", "grant select on billing.settings to anon", "anon  select  billing.settings"],
    [
      "a column",
      "grant update (plan_id) on public.entitlements to authenticated",
      "authenticated  update  public.entitlements (plan_id)",
    ],
    [
      "a sequence",
      "create sequence public.forgotten; grant usage on sequence public.forgotten to anon",
      "anon  usage  sequence public.forgotten",
    ],
    [
      "a function",
      "grant execute on function public.begin_sync(text) to public",
      "PUBLIC  execute  public.begin_sync",
    ],
    ["a schema", "grant usage on schema billing to anon", "anon  usage  schema billing"],
    [
      "a role",
      "grant update on public.customers to authenticator",
      "authenticator  update  public.customers",
    ],
    [
      "a grant option",
      "grant select on public.invoices to authenticated with grant option",
      "with grant option",
    ],
    [
      "a policy",
      `create policy "All" on public.messages for select to anon using (true)`,
      `policy public.messages select to anon "All": using true`,
    ],
    [
      "a wider policy",
      `alter policy "Owners read their messages" on public.messages using (true)`,
      `"Owners read their messages": using true`,
    ],
    [
      "no row level security",
      "alter table public.invoices disable row level security",
      "no row level security on public.invoices",
    ],
    [
      "a view",
      "create view public.leak as select * from billing.settings",
      "view public.leak [definer]",
    ],
    [
      "a default",
      "alter default privileges in schema public grant select on tables to anon",
      "a new table in public: select by anon",
    ],
    [
      "a definer",
      "alter function public.my_usage() security definer",
      "public.my_usage() [definer]",
    ],
    ["a new column", "alter table public.plans add column secret_note text", "secret_note"],
    [
      "a published table",
      "create publication leak for table public.messages",
      "published public.messages in leak",
    ],
  ];
  const before = await readContract(databaseUrl());
  const sql = postgres(databaseUrl(), { max: 1, onnotice: () => {} });
  try {
    for (const [name, change, expected] of changes) {
      await t.step(name, async () => {
        const after = await inVain(sql, change);
        const added = difference(after, before);
        assert.ok(added.some((line) => line.includes(expected)), `${change}\n${added.join("\n")}`);
      });
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
  assert.deepEqual(await readContract(databaseUrl()), before);
});

class Rollback extends Error {}

/** Runs inside a transaction that is thrown away, and answers what the contract would then say. */
async function inVain(sql: postgres.Sql, change: string): Promise<string[]> {
  let lines: string[] = [];
  await sql.begin(async (transaction) => {
    await transaction.unsafe(change).simple();
    lines = await readContract(transaction);
    throw new Rollback();
  }).catch((error) => assert.ok(error instanceof Rollback, error));
  return lines;
}

Deno.test("no definer function of a client takes somebody's identity", async () => {
  const sql = postgres(databaseUrl(), { max: 1, onnotice: () => {} });
  try {
    const suspicious = await sql<{ name: string; args: string }[]>`
      select p.oid::regprocedure::text as name, pg_get_function_identity_arguments(p.oid) as args
      from pg_proc p
      where p.pronamespace in ('public'::regnamespace, 'billing'::regnamespace) and p.prosecdef
        and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))
        and pg_get_function_identity_arguments(p.oid) ~* '(user|owner|buyer|seller|customer|account|person|email|role)'`;
    assert.deepEqual(suspicious.map(({ name, args }) => `${name}: ${args}`), []);
    const deaf = await sql<{ name: string }[]>`
      select p.oid::regprocedure::text as name from pg_proc p
      where p.pronamespace in ('public'::regnamespace, 'billing'::regnamespace) and p.prosecdef
        and has_function_privilege('authenticated', p.oid, 'execute')
        and not has_function_privilege('anon', p.oid, 'execute')
        and p.prosrc !~ 'auth\\.uid\\(\\)|billing\\.my_seller_id\\(\\)|billing\\.caller\\(\\)'`;
    // It tells one duration, the same for everybody.
    assert.deepEqual(deaf.map(({ name }) => name), ["billing.grace_period()"]);
  } finally {
    await sql.end({ timeout: 5 });
  }
});
