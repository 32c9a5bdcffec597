import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { cliBinary, cliEnvironment } from "../../local/migrate.ts";
import { fixtureOf } from "../../local/operator/release.ts";
import { migrationsUpTo, presentMigrations, readReleases } from "../../local/releases.ts";
import { startTestDatabase } from "../../local/testing.ts";
import { runTapFile, withPgTap } from "../../supabase/tests/pgtap.ts";
import { dumpSchema } from "../../supabase/tests/schema.ts";
import { mustRun, ROOT } from "../support/run.ts";
import {
  assertKept,
  assertPeopleKept,
  assertSound,
  assertStillWorking,
  catalogue,
  peopleFacts,
  tableRows,
} from "../support/upgrade.ts";

/**
 * Enough of the SQL tests to see gate, allowances, money, rights and jobs at work in what was upgraded. (Those of access and of
 * purchases move or remove everybody's rows, so they are for a database without any.)
 */
const CORE = [
  "account_rpcs",
  "agent_limit",
  "allowances",
  "audit",
  "convergence",
  "deletions",
  "event_inbox",
  "marketplace_ledger",
  "message_quota",
  "metering",
  "outbox",
  "privileges",
  "plan_changes",
  "scheduled_jobs",
  "snapshots",
  "tenancy",
];

type TestDatabase = Awaited<ReturnType<typeof startTestDatabase>>;

/** `supabase db push` of some of the migrations, as whoever is on that release has run it. */
async function push(url: string, migrations: string[]): Promise<void> {
  const project = mkdtempSync(join(tmpdir(), "tollgate-release-"));
  try {
    mkdirSync(`${project}/supabase/migrations`, { recursive: true });
    copyFileSync(`${ROOT}supabase/config.toml`, `${project}/supabase/config.toml`);
    for (const name of migrations) {
      copyFileSync(
        `${ROOT}supabase/migrations/${name}`,
        `${project}/supabase/migrations/${name}`,
      );
    }
    const args = ["db", "push", "--yes", "--workdir", project, `--remote=${url}`];
    await mustRun(await cliBinary(), args, { env: cliEnvironment(project) });
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

/** Several transactions after each other, as psql would run them. */
async function runScript(url: string, text: string): Promise<void> {
  const one = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await one.unsafe(text).simple();
  } finally {
    await one.end({ timeout: 5 });
  }
}

/** Days and periods are UTC's: what is compared must not lie on both sides of midnight. */
async function awayFromMidnight(): Promise<void> {
  const left = 86_400_000 - Date.now() % 86_400_000;
  if (left < 120_000) await new Promise((resolve) => setTimeout(resolve, left + 1000));
}

async function withDatabase(work: (one: TestDatabase) => Promise<void>): Promise<void> {
  const one = await startTestDatabase();
  try {
    await work(one);
  } finally {
    await one.stop();
  }
}

const releases = await readReleases();
const present = Object.keys(await presentMigrations());

Deno.test("every release but the newest has the data it is upgraded with", () => {
  const bare = releases.slice(0, -1).map(({ version }) => version)
    .filter((version) => !existsSync(fixtureOf(version)));
  assert.deepEqual(bare, []);
  assert.ok(releases.length > 1, "there is something to upgrade from");
});

for (const { version } of releases.filter((release) => existsSync(fixtureOf(release.version)))) {
  Deno.test(`a project on ${version} is upgraded to today's schema with its data`, async (t) => {
    await awayFromMidnight();
    await withDatabase(async ({ sql, database: { url } }) => {
      await push(url, migrationsUpTo(releases, version));
      await runScript(url, readFileSync(fixtureOf(version), "utf8"));
      const rows = await tableRows(sql);
      const people = await peopleFacts(sql);
      await assertSound(sql);
      assert.ok(people.length >= 6 && rows.get("public.messages")?.rows.length);

      await push(url, present);

      await t.step("the schema is that of a fresh installation", async () => {
        assert.equal(await dumpSchema(url), readFileSync(`${ROOT}supabase/schema.sql`, "utf8"));
      });
      await t.step("every row of every table is there, as it was", async () => {
        await assertKept(sql, rows);
      });
      await t.step("everybody has the plan, limits, usage and spending they had", async () => {
        await assertPeopleKept(sql, people);
      });
      await t.step("counters, ledger, outbox and entitlements still agree", async () => {
        await assertSound(sql);
      });
      await t.step(
        "jobs and catalogue are those of a fresh installation and the operator's",
        async () => {
          await withDatabase(async (fresh) => {
            await push(fresh.database.url, present);
            const [wanted, found] = [await catalogue(fresh.sql), await catalogue(sql)];
            assert.ok(wanted.length > 50);
            const missing = wanted.filter((line) => !found.includes(line));
            assert.deepEqual(missing.map((line) => line.split(" ", 2).join(" ")), [
              "plan_limits free/message",
              "settings notification_emails",
            ]);
          });
        },
      );
      await t.step("the gate goes on where it was, and what was waiting is done", async () => {
        await assertStillWorking(sql);
      });
      await t.step("the core of the SQL tests passes", async (t) => {
        // They are written for the catalogue as it is delivered.
        await sql`update public.plan_limits set limit_value = 50
          where plan_id = 'free' and metric_id = 'message'`;
        await sql`delete from public.plan_limits where plan_id = 'friends'`;
        await sql`delete from public.plans where id = 'friends'`;
        await sql`update billing.settings set value = 'false' where key = 'notification_emails'`;
        await withPgTap(url, async () => {
          for (const name of CORE) {
            await t.step(name, async () => {
              const path = new URL(`../../supabase/tests/${name}.test.sql`, import.meta.url);
              const { passed, failed } = await runTapFile(url, path);
              assert.deepEqual(failed, []);
              assert.ok(passed.length > 0);
            });
          }
        });
      });
    });
  });
}
