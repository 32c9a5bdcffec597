import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { SANDBOX_KEY, startStack } from "../../local/stack.ts";
import { stripeClient } from "../../local/stripe_setup/mod.ts";
import { mustRun, npmBin, ROOT } from "../support/run.ts";
import { eventually } from "../support/stack.ts";

/**
 * The same migrations on Debian's own Postgres 15, with the real pg_cron, pgTAP and plpgsql_check. CI has it
 * (`.ci/run` installs it); elsewhere this file has nothing to run.
 */
const BIN = "/usr/lib/postgresql/15/bin";
const present = existsSync(`${BIN}/postgres`) &&
  existsSync("/usr/share/postgresql/15/extension/pg_cron.control");

if (!present && Deno.env.get("CI")) {
  Deno.test("CI has Debian's Postgres 15 with pg_cron", () =>
    assert.fail("install postgresql-15-cron"));
}

if (present) {
  Deno.test("the migrations hold on Debian's Postgres 15 with the real pg_cron", async (t) => {
    const stack = await startStack({
      web: false,
      postgres: { binDir: BIN, preload: "pg_cron" },
      log: (line) => console.error(line),
    });
    const db = postgres(stack.dbUrl, { max: 2, onnotice: () => {} });
    const admin = postgres(stack.dbUrl.replace("//postgres:", "//supabase_admin:"), {
      max: 1,
      onnotice: () => {},
    });
    try {
      await t.step("it is Postgres 15, and pg_cron is Debian's", async () => {
        const [row] = await db<{ version: string; cron: string }[]>`
          select current_setting('server_version') as version,
            (select extversion from pg_extension where extname = 'pg_cron') as cron`;
        assert.match(row?.version ?? "", /^15\./);
        assert.equal(row?.cron, "1.4-1");
      });

      await t.step("exactly the limit is admitted under concurrency", async () => {
        await mustRun(Deno.execPath(), ["test", "-A", "supabase/tests/concurrency.test.ts"], {
          env: { TEST_DB_URL: stack.dbUrl },
          timeoutMs: 300_000,
        });
      });

      await t.step("the privilege contract is kept here too", async () => {
        await mustRun(Deno.execPath(), ["test", "-A", "supabase/tests/privileges.test.ts"], {
          env: { TEST_DB_URL: stack.dbUrl },
        });
      });

      await t.step("every pgTAP test passes, run by pg_prove", async () => {
        await admin`create extension if not exists pgtap with schema extensions`;
        const files = readdirSync(`${ROOT}supabase/tests`).filter((name) =>
          name.endsWith(".test.sql")
        );
        assert.ok(files.length > 0);
        await mustRun("pg_prove", [
          "--dbname",
          stack.dbUrl,
          ...files.map((name) => `supabase/tests/${name}`),
        ], {
          env: { PGOPTIONS: "-c search_path=public,extensions" },
        });
      });

      await t.step("supabase db lint, with plpgsql_check, finds nothing", async () => {
        await admin`create extension if not exists plpgsql_check with schema extensions`;
        const home = mkdtempSync(join(tmpdir(), "tollgate-cli-"));
        try {
          await mustRun(npmBin("supabase"), [
            "db",
            "lint",
            `--remote=${stack.dbUrl.replace("//postgres:", "//supabase_admin:")}`,
            "--schema",
            "public,billing",
            "--level",
            "warning",
            "--fail-on",
            "warning",
          ], { env: { HOME: home, PGSSLMODE: "disable" } });
        } finally {
          rmSync(home, { recursive: true, force: true });
        }
      });

      await t.step("pg_cron itself runs the job, and the function is really called", async () => {
        const id = `evt_debian_${crypto.randomUUID().replaceAll("-", "")}`;
        await db`
          insert into billing.stripe_events (id, type, stripe_created_at, next_attempt_at)
          values (${id}, 'invoice.paid', now(), now())`;
        const done = await eventually(
          () => db<{ status: string }[]>`select status from billing.stripe_events where id = ${id}`,
          ([row]) => row?.status === "ignored",
          130_000,
        );
        assert.equal(done[0]?.status, "ignored");
        const [run] = await db<{ status: string }[]>`
          select d.status from cron.job_run_details d join cron.job j using (jobid)
          where j.jobname = 'tollgate-drain-events' order by d.runid limit 1`;
        assert.equal(run?.status, "succeeded");
      });
      await t.step("pg_cron itself reports usage, and Stripe counts it", async () => {
        const stripe = stripeClient(SANDBOX_KEY, stack.stripeUrl);
        const { id: customer } = await stripe.customers.create();
        await db`
          insert into billing.overage_usage (
            stripe_customer_id, metric_id, period_start, period_end, quantity, amount_minor
          ) values (${customer}, 'message', date_trunc('second', now()), now() + interval '1 month', 3, 6)`;
        // The same job, sooner than in five minutes.
        await db`
          select cron.alter_job(jobid, schedule := '* * * * *') from cron.job
          where jobname = 'tollgate-usage-sync'`;
        await eventually(
          () =>
            db<{ status: string }[]>`
              select status from billing.usage_outbox where stripe_customer_id = ${customer}`,
          ([row]) => row?.status === "sent",
          130_000,
        );
        const [run] = await db<{ status: string }[]>`
          select d.status from cron.job_run_details d join cron.job j using (jobid)
          where j.jobname = 'tollgate-usage-sync' order by d.runid desc limit 1`;
        assert.equal(run?.status, "succeeded");
        const state = await fetch(`${stack.stripeUrl}/_sandbox/state?customer=${customer}`);
        const { meters } = await state.json() as {
          meters: { event_name: string; aggregated_value: number | null }[];
        };
        const meter = meters.find(({ event_name }) => event_name === "tollgate_message");
        assert.equal(meter?.aggregated_value, 3);
      });
    } finally {
      await Promise.all([db.end(), admin.end()]);
      await stack.stop();
    }
  });
}
