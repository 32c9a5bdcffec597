/** The foreign project with Tollgate in it, on a real database, by the official CLI; and without it again. */
import assert from "node:assert/strict";
import { dumpSchema } from "../../../supabase/tests/schema.ts";
import { startTestDatabase } from "../../testing.ts";
import { listFiles } from "./files.ts";
import { adopt, asPerson, put, supabase, withForeignProject } from "./testing.ts";

const ADA = "a0000000-0000-4000-8000-000000000001";
const BOB = "b0000000-0000-4000-8000-000000000001";
const SAY = "insert into app.chat_messages (words) values ('hello')";

type Sql = Awaited<ReturnType<typeof startTestDatabase>>["sql"];

Deno.test("a foreign project lives with Tollgate, and without it again", async (t) => {
  const database = await startTestDatabase();
  const { sql } = database;
  const { url } = database.database;
  try {
    await withForeignProject(async (root) => {
      const push = async () => {
        const { code, text } = await supabase(root, url, "db", "push", "--yes");
        assert.equal(code, 0, text);
      };
      await push();
      await sql`insert into auth.users (id, email) values (${ADA}, 'ada@parley.test'), (${BOB}, 'bob@parley.test')`;
      await sql`insert into app.chat_messages (writer, words)
        select ${ADA}, 'before' from generate_series(1, 70)`;
      const before = { schema: await dumpSchema(url), defaults: await defaults(sql) };

      assert.match(before.schema, /chat_messages_shout/);

      await t.step("its migrations run behind the app's own, and touch nothing of it", async () => {
        assert.equal((await adopt(root)).code, 0);
        await push();
        assert.deepEqual(lostLines(before.schema, await dumpSchema(url)), []);
        assert.deepEqual(await defaults(sql), before.defaults);
        const [row] = await sql<{ plan: string; entitled: string; ours: number }[]>`
          select (select code from public.plans) as plan, public.my_entitlements() as entitled,
            (select count(*)::int from tollgate.plans) as ours`;
        assert.deepEqual({ ...row }, { plan: "gold", entitled: "gold", ours: 4 });
      });

      await t.step("what is ours is as closed as at home", async () => {
        const open = await sql<{ what: string }[]>`
          select p.oid::regprocedure::text as what
          from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
          where p.pronamespace in ('billing'::regnamespace, 'tollgate'::regnamespace) and x.grantee = 0
          union all
          select c.oid::regclass::text from pg_class c
          where c.relnamespace in ('billing'::regnamespace, 'tollgate'::regnamespace)
            and c.relkind in ('r', 'p') and not c.relrowsecurity`;
        assert.deepEqual(open.map(({ what }) => what), []);
        const refused = await asPerson(
          sql,
          ADA,
          "update tollgate.entitlements set plan_id = 'pro'",
        );
        assert.equal(refused?.code, "42501");
        assert.equal(await asPerson(sql, ADA, "select tollgate.my_usage()"), null);
      });

      await t.step("its own messages go through the gate by one call", async () => {
        await sql`select billing.attach_quota('app.chat_messages', 'writer', 'message', 'speaker = ''person''')`;
        for (let n = 0; n < 49; n++) assert.equal(await asPerson(sql, ADA, SAY), null);
        assert.equal(await asPerson(sql, ADA, SAY), null);
        const refusal = await asPerson(sql, ADA, SAY);
        assert.equal(refusal?.code, "PGRST");
        assert.equal(JSON.parse(refusal?.message ?? "").code, "message_quota_exceeded");
        assert.equal(
          (await asPerson(
            sql,
            ADA,
            `insert into app.chat_messages (writer, words) values ('${BOB}', 'x')`,
          ))?.code,
          "42501",
          "in nobody else's name",
        );
        assert.equal(await asPerson(sql, BOB, SAY), null, "another person has another day");
        const [counter] = await sql<{ used: number }[]>`
          select used::int from billing.usage_counters where user_id = ${ADA} and metric_id = 'message'`;
        assert.equal(counter?.used, 50);
      });

      await t.step("while there is data about money it does not go", async () => {
        assert.equal((await adopt(root, "--remove")).code, 0);
        await sql`select tollgate.link_customer(${ADA}, 'cus_ada')`;
        await repair(sql, root, url);
        const { code, text } = await supabase(root, url, "db", "push", "--yes");
        assert.notEqual(code, 0);
        assert.match(text, /Tollgate has data about money: tollgate\.customers \(1\)/);
        assert.equal(
          (await sql`select count(*)::int as count from tollgate.customers`)[0]?.count,
          1,
        );
        await sql`delete from tollgate.customers`;
      });

      await t.step("while something of the app needs it, it does not go either", async () => {
        await sql`create view app.prices as select lookup_key from tollgate.prices`;
        const { code, text } = await supabase(root, url, "db", "push", "--yes");
        assert.notEqual(code, 0);
        assert.match(text, /these depend on Tollgate[^\n]*view app\.prices/);
        assert.equal(
          (await sql`select count(*)::int as count from app.prices`)[0]?.count !== 0,
          true,
        );
        await sql`drop view app.prices`;
      });

      await t.step("then it goes, and what the app has is what it had", async () => {
        await push();
        assert.equal(await dumpSchema(url), before.schema);
        assert.deepEqual(await defaults(sql), before.defaults);
        assert.equal(
          (await sql`select count(*)::int as count from app.chat_messages`)[0]?.count,
          121,
        );
        assert.equal((await sql`select count(*)::int as count from cron.job`)[0]?.count, 0);
        for (let n = 0; n < 60; n++) assert.equal(await asPerson(sql, ADA, SAY), null);
      });

      await t.step("the history runs from the first on an empty database too", async () => {
        await sql`drop schema app cascade`;
        await sql`drop table public.messages, public.conversations, public.plans, public.agents cascade`;
        await sql`drop function public.my_entitlements()`;
        await sql`truncate supabase_migrations.schema_migrations`;
        await push();
        assert.equal(await dumpSchema(url), before.schema);
      });

      await t.step("and it can be taken in again", async () => {
        assert.equal((await adopt(root, "--schema=gate")).code, 0);
        await push();
        const [row] = await sql<{ plans: number }[]>`select count(*)::int as plans from gate.plans`;
        assert.equal(row?.plans, 4);
      });
    });
  } finally {
    await database.stop();
  }
});

Deno.test("with --drop-data the money goes too, and only then", async () => {
  const database = await startTestDatabase();
  const { sql } = database;
  const { url } = database.database;
  try {
    await withForeignProject(async (root) => {
      await put(root, "supabase/functions/checkout/index.ts", "// its own\n");
      assert.equal((await adopt(root, "--schema=bill", "--prefix=tollgate-")).code, 0);
      const pushed = await supabase(root, url, "db", "push", "--yes");
      assert.equal(pushed.code, 0, pushed.text);
      await sql`insert into auth.users (id, email) values (${ADA}, 'ada@parley.test')`;
      await sql`select bill.link_customer(${ADA}, 'cus_ada')`;
      await sql`select vault.create_secret('http://127.0.0.1:9', 'project_url'), vault.create_secret('x', 'secret_key')`;
      await sql`select billing.call_function('sync')`;
      const [call] = await sql<{ url: string }[]>`select url from net.http_request_queue`;
      assert.equal(call?.url, "http://127.0.0.1:9/functions/v1/tollgate-sync");
      assert.equal((await adopt(root, "--remove", "--drop-data")).code, 0);
      await repair(sql, root, url);
      const removed = await supabase(root, url, "db", "push", "--yes");
      assert.equal(removed.code, 0, removed.text);
      const left =
        await sql`select nspname from pg_namespace where nspname in ('bill', 'billing', 'billing_months')`;
      assert.equal(left.length, 0);
      assert.equal((await sql`select count(*)::int as count from auth.users`)[0]?.count, 1);
    });
  } finally {
    await database.stop();
  }
});

/** What `--remove` tells people to run: our migrations are not in the history any more. */
async function repair(sql: Sql, root: string, url: string): Promise<void> {
  const files = await listFiles(`${root}/supabase/migrations`);
  const rows = await sql<
    { version: string }[]
  >`select version from supabase_migrations.schema_migrations`;
  const gone = rows.map(({ version }) => version)
    .filter((version) => !files.some((name) => name.startsWith(version)));
  const { code, text } = await supabase(
    root,
    url,
    "migration",
    "repair",
    "--yes",
    "--status",
    "reverted",
    ...gone,
  );
  assert.equal(code, 0, text);
}

/** Lines of the app's schema that are not in the later one. */
function lostLines(before: string, after: string): string[] {
  const lines = new Set(after.split("\n"));
  return before.split("\n").filter((line) => !lines.has(line));
}

/** What objects that anybody makes from now on give away, outside our schemas. */
async function defaults(sql: Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select format('%s %s %s %s', pg_get_userbyid(d.defaclrole), coalesce(n.nspname, '*'), d.defaclobjtype, d.defaclacl) as line
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
    where coalesce(n.nspname, '') not in ('tollgate', 'billing', 'billing_months')
    order by 1`;
  return rows.map(({ line }) => line);
}
