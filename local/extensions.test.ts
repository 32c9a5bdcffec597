import assert from "node:assert/strict";
import { startCron } from "./cron.ts";
import { startNet } from "./net.ts";
import { connect } from "./postgres.ts";
import { eventually, startTestDatabase } from "./testing.ts";

type Run = { status: string; return_message: string; username: string; end_time: Date | null };

Deno.test("the platform's database and its stand-in extensions", async (t) => {
  const test = await startTestDatabase();
  const { sql, database } = test;
  const logged: string[] = [];
  try {
    await t.step("postgres owns the database and is no superuser", async () => {
      const [role] = await sql`
        select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls from pg_roles where rolname = current_user`;
      assert.deepEqual({ ...role }, {
        rolsuper: false,
        rolcreaterole: true,
        rolcreatedb: true,
        rolbypassrls: true,
      });
      await sql`create table public.refers (user_id uuid references auth.users on delete cascade)`;
      await assert.rejects(sql`create extension file_fdw`, /permission denied/);
    });

    await t.step("a migration's own words create pg_cron, pg_net and the Vault", async () => {
      await sql`create extension if not exists pg_cron with schema pg_catalog`;
      await sql`create extension if not exists pg_net with schema extensions`;
      await sql`create extension if not exists supabase_vault`;
      const rows = await sql`select extname from pg_extension order by 1`;
      const names = rows.map((row) => row["extname"]);
      for (const name of ["pg_cron", "pg_net", "pgcrypto", "supabase_vault"]) {
        assert.ok(names.includes(name), name);
      }
    });

    await t.step("a schedule that pg_cron would refuse is refused", async () => {
      await assert.rejects(
        sql`select cron.schedule('x', 'every day', 'select 1')`,
        /invalid schedule/,
      );
      await assert.rejects(
        sql`select cron.schedule('x', '60 seconds', 'select 1')`,
        /invalid schedule/,
      );
      await assert.rejects(sql`select cron.unschedule('x')`, /could not find valid entry for job/);
    });

    await t.step("the same name again changes the job instead of making a second", async () => {
      const [first] = await sql`select cron.schedule('twice', '1 1 1 1 *', 'select 1') as id`;
      const [second] = await sql`select cron.schedule('twice', '2 2 * * 1-5', 'select 2') as id`;
      assert.equal(first?.["id"], second?.["id"]);
      const jobs = await sql`select schedule, command, active, username from cron.job`;
      assert.deepEqual(jobs.map((job) => ({ ...job })), [
        { schedule: "2 2 * * 1-5", command: "select 2", active: true, username: "postgres" },
      ]);
    });

    await t.step("a role sees and removes only its own jobs", async () => {
      await sql`grant usage on schema cron to authenticated`;
      await sql.begin(async (inner) => {
        await inner`set local role authenticated`;
        assert.equal((await inner`select * from cron.job`).length, 0);
        await assert.rejects(
          inner.savepoint((save) => save`select cron.unschedule('twice')`),
          /could not find/,
        );
        await assert.rejects(
          inner.savepoint((save) =>
            save`insert into cron.job (schedule, command) values ('* * * * *', 'select 1')`
          ),
          /permission denied/,
        );
      });
      await sql`select cron.unschedule('twice')`;
    });

    await t.step("a job runs as its owner and leaves its details", async () => {
      const worker = await startCron(database, (line) => logged.push(line));
      try {
        await sql`create table public.ran (who text, at timestamptz default clock_timestamp())`;
        await sql`select cron.schedule('every-second', '1 second', 'insert into public.ran values (current_user)')`;
        await sql`select cron.schedule('broken', '1 second', 'select 1 / 0')`;
        const runs = await eventually(async () => {
          const rows = await sql<Run[]>`
            select status, return_message, username, end_time from cron.job_run_details
             where end_time is not null order by runid`;
          return rows.length >= 4 && rows;
        });
        const good = runs.find((run) => run.status === "succeeded");
        const bad = runs.find((run) => run.status === "failed");
        assert.equal(good?.return_message, "INSERT 0 1");
        assert.equal(good?.username, "postgres");
        assert.match(bad?.return_message ?? "", /^ERROR: {2}division by zero/);
        const [row] = await sql`select distinct who from public.ran`;
        assert.equal(row?.["who"], "postgres");
        assert.ok(logged.some((line) => line.includes("division by zero")));
      } finally {
        await sql`select cron.unschedule(jobid) from cron.job`;
        await worker.stop();
      }
    });

    await t.step("a run that a crash interrupted is closed as failed", async () => {
      const admin = connect(database.adminUrl, { max: 1 });
      await admin`insert into cron.job_run_details (jobid, username, status) values (99, 'postgres', 'running')`;
      const worker = await startCron(database, () => {});
      await worker.stop();
      const [row] =
        await admin`select status, return_message from cron.job_run_details where jobid = 99`;
      await admin.end();
      assert.deepEqual({ ...row }, { status: "failed", return_message: "server restarted" });
    });

    await t.step(
      "pg_net sends after the commit, keeps the answer, and respects the time-out",
      async () => {
        const seen: { path: string; body: string; header: string | null }[] = [];
        const server = Deno.serve(
          { port: 0, hostname: "127.0.0.1", onListen: () => {} },
          async (request) => {
            const { pathname, search } = new URL(request.url);
            seen.push({
              path: pathname + search,
              body: await request.text(),
              header: request.headers.get("x-test"),
            });
            if (pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 600));
            return Response.json({ ok: true }, { status: 201 });
          },
        );
        const worker = await startNet(database, (line) => logged.push(line));
        try {
          const base = `http://127.0.0.1:${server.addr.port}`;
          await sql.begin(async (inner) => {
            await inner`select net.http_post(${`${base}/never`})`;
            throw new Error("roll back");
          }).catch(() => {});
          const [sent] = await sql<{ id: string }[]>`
          select net.http_post(${`${base}/a`}, '{"n": 1}'::jsonb, '{"q": "ä b"}'::jsonb, '{"x-test": "yes"}'::jsonb) as id`;
          const [slow] = await sql<{ id: string }[]>`
          select net.http_get(${`${base}/slow`}, timeout_milliseconds := 100) as id`;
          const [dead] = await sql<{ id: string }[]>`
          select net.http_delete('http://127.0.0.1:1/') as id`;
          const answers = await eventually(async () => {
            const rows = await sql`select * from net._http_response order by id`;
            return rows.length === 3 && rows;
          });
          const of = (id?: string) => answers.find((answer) => answer["id"] === id);
          assert.equal(of(sent?.id)?.["status_code"], 201);
          assert.equal(of(sent?.id)?.["content"], '{"ok":true}');
          assert.equal(of(slow?.id)?.["timed_out"], true);
          assert.match(of(slow?.id)?.["error_msg"], /Timeout of 100 ms/);
          assert.equal(of(dead?.id)?.["timed_out"], false);
          assert.ok(of(dead?.id)?.["error_msg"]);
          assert.deepEqual(seen.filter(({ path }) => path !== "/slow"), [
            { path: "/a?q=%C3%A4%20b", body: '{"n": 1}', header: "yes" },
          ]);
        } finally {
          await worker.stop();
          await server.shutdown();
        }
      },
    );

    await t.step("the Vault gives secrets to postgres and not to a signed-in user", async () => {
      const [row] = await sql<{ id: string }[]>`select vault.create_secret('one', 'name') as id`;
      await sql`select vault.update_secret(${row?.id ?? ""}, 'two')`;
      const secrets = await sql`select name, decrypted_secret from vault.decrypted_secrets`;
      assert.deepEqual(secrets.map((one) => ({ ...one })), [{
        name: "name",
        decrypted_secret: "two",
      }]);
      for (const role of ["anon", "authenticated"]) {
        await sql.begin(async (inner) => {
          await inner.unsafe(`set local role ${role}`);
          await inner`select * from vault.decrypted_secrets`;
        }).then(
          () => assert.fail(`${role} read a secret`),
          (error) => assert.match(String(error), /permission denied/),
        );
      }
    });
  } finally {
    await test.stop();
  }
});
