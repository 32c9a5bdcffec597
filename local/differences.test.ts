/**
 * What docs/local.md says of the embedded platform and hosted Supabase, where no other test shows it. A step that fails may be good
 * news: then the difference is gone, and so should its line be.
 */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { decodeProtectedHeader } from "jose";
import { startApi } from "./api.ts";
import { readProjectConfig } from "./config.ts";
import { startCron } from "./cron.ts";
import type { Functions } from "./functions.ts";
import { startGateway } from "./gateway.ts";
import { reservePorts } from "./ports.ts";
import { JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY } from "./stack_options.ts";
import { eventually, startTestDatabase } from "./testing.ts";
import { KEY_ID, Tokens } from "./tokens.ts";

/** A function that never answers: the gateway has given up on it. */
const late: Functions = {
  names: () => ["late"],
  fetch: () => Promise.reject(new DOMException("too late", "TimeoutError")),
  stop: () => Promise.resolve(),
};

/** What the console is told meanwhile, whichever of its doors it comes by. */
async function whilePrinting(work: () => Promise<unknown>): Promise<string> {
  const { log, info, warn } = console;
  let text = "";
  console.log = console.info = console.warn = (...values: unknown[]) => {
    text += `${values.join(" ")}\n`;
  };
  try {
    await work();
  } finally {
    Object.assign(console, { log, info, warn });
  }
  return text;
}

async function startPlatform() {
  const test = await startTestDatabase();
  const reserved = await reservePorts();
  const url = `http://127.0.0.1:${reserved.ports.api}`;
  const config = await readProjectConfig();
  const api = await startApi({
    database: test.database,
    config,
    jwtSecret: JWT_SECRET,
    publishableKey: PUBLISHABLE_KEY,
    secretKey: SECRET_KEY,
    apiUrl: url,
    siteUrl: "http://127.0.0.1:3000",
    log: () => {},
  });
  const gateway = startGateway({
    port: reserved.ports.api,
    api,
    config: { ...config, functions: { late: { enabled: true, verify_jwt: false } } },
    functions: late,
    tokens: new Tokens(JWT_SECRET),
    log: () => {},
  });
  return {
    test,
    url,
    stop: async () => {
      await gateway.stop();
      await api.stop();
      reserved.release();
      await test.stop();
    },
  };
}

Deno.test("where the embedded platform differs from hosted Supabase", async (t) => {
  const { test, url, stop } = await startPlatform();
  const { sql } = test;
  const anybody = createClient(url, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const status = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}${path}`, {
      ...init,
      headers: { apikey: SECRET_KEY, "content-type": "application/json" },
    });
    await response.body?.cancel();
    return response.status;
  };
  await sql`create function public.timeout() returns text language sql as
    $$ select current_setting('statement_timeout') $$`;
  await sql`create function public.kind(p_value jsonb) returns text language sql as
    $$ select jsonb_typeof(p_value) $$`;
  await sql`create table public.moments (at timestamptz not null)`;
  await sql`insert into public.moments values ('2026-11-22T12:40:29.80Z')`;
  try {
    await t.step("roles: authenticator inherits, REST and Auth connect as theirs", async () => {
      const rows = await sql<{ rolname: string; rolinherit: boolean }[]>`
        select rolname, rolinherit from pg_roles where rolname in ('anon', 'authenticator') order by 1`;
      assert.deepEqual(rows.map((row) => ({ ...row })), [
        { rolname: "anon", rolinherit: false },
        { rolname: "authenticator", rolinherit: true },
      ]);
      await anybody.from("moments").select();
      const connected = await sql<{ usename: string; application_name: string }[]>`
        select distinct usename, application_name from pg_stat_activity where application_name ~ '^tollgate'`;
      assert.ok(connected.every((one) => one.application_name === `tollgate ${one.usename}`));
      assert.ok(connected.some(({ usename }) => usename === "authenticator"));
    });

    await t.step("grants: what is new in public is everybody's by default, as there", async () => {
      const [row] = await sql<{ reads: boolean; writes: boolean; runs: boolean }[]>`
        select has_table_privilege('anon', 'public.moments', 'select') as reads,
          has_table_privilege('authenticated', 'public.moments', 'insert') as writes,
          has_function_privilege('anon', 'public.timeout()', 'execute') as runs`;
      assert.deepEqual({ ...row }, { reads: true, writes: true, runs: true });
    });

    await t.step("tokens: HS256 with our kid, and no public key", async () => {
      const { data } = await anybody.auth.signUp({
        email: "a@example.com",
        password: "a password",
      });
      const { alg, kid } = decodeProtectedHeader(data.session?.access_token ?? "");
      assert.deepEqual([alg, kid], ["HS256", KEY_ID]);
      const keys = await (await fetch(`${url}/auth/v1/.well-known/jwks.json`)).json();
      assert.deepEqual(keys, { keys: [] });
    });

    await t.step(
      "REST: times are not ISO, and only authenticator's time-out is in force",
      async () => {
        const { data: moments } = await anybody.from("moments").select();
        assert.match(String(moments?.[0]?.at), /^2026-11-22 12:40:29\.80*\+00$/);
        const { data: timeout } = await anybody.rpc("timeout");
        assert.equal(timeout, "8s", "anon's own is 3s");
      },
    );

    await t.step(
      "REST: a string for jsonb that looks like JSON is what it looks like",
      async () => {
        assert.equal((await anybody.rpc("kind", { p_value: "5" })).data, "number");
        assert.equal((await anybody.rpc("kind", { p_value: "five" })).data, "string");
      },
    );

    await t.step("Auth: no admin API, no factors, no SSO", async () => {
      const operator = createClient(url, SECRET_KEY, { auth: { persistSession: false } });
      assert.ok((await operator.auth.admin.listUsers()).error, "there it lists everybody");
      assert.ok((await anybody.auth.mfa.enroll({ factorType: "totp" })).error);
      assert.ok((await anybody.auth.signInWithSSO({ domain: "example.com" })).error);
    });

    await t.step(
      "Auth: its e-mails are printed in the terminal, and it limits nobody",
      async () => {
        const printed = await whilePrinting(() =>
          anybody.auth.resetPasswordForEmail("a@example.com")
        );
        assert.match(printed, /To: a@example\.com[\s\S]*\/auth\/v1\/verify\?token=/);
        const attempts = Array.from(
          { length: 40 },
          () =>
            status("/auth/v1/token?grant_type=password", {
              method: "POST",
              body: JSON.stringify({ email: "nobody@example.com", password: "a password" }),
            }),
        );
        assert.deepEqual([...new Set(await Promise.all(attempts))], [400], "config.toml allows 30");
      },
    );

    await t.step("Postgres: 17 as there, without TLS and without replication", async () => {
      const [row] = await sql<{ version: string; ssl: string; wal_level: string }[]>`
        select current_setting('server_version') as version, current_setting('ssl') as ssl,
          current_setting('wal_level') as wal_level`;
      assert.match(row?.version ?? "", /^17\./);
      assert.deepEqual([row?.ssl, row?.wal_level], ["off", "minimal"]);
    });

    await t.step("not there: Storage, Realtime, GraphQL, statistics of statements", async () => {
      for (const path of ["/storage/v1/bucket", "/realtime/v1/websocket", "/graphql/v1"]) {
        assert.equal(await status(path), 404, path);
      }
      await assert.rejects(sql`select from pg_stat_statements`, /does not exist/);
    });

    await t.step(
      "functions: one that takes too long is answered with 504 by the gateway",
      async () => {
        assert.equal(await status("/functions/v1/late", { method: "POST" }), 504);
      },
    );

    await t.step(
      "the Vault encrypts nothing, and what pg_net keeps is gone after a crash",
      async () => {
        await sql`create extension if not exists pg_net with schema extensions`;
        await sql`select vault.create_secret('plain', 'difference')`;
        const [secret] = await sql<{ secret: string }[]>`
        select secret from vault.secrets where name = 'difference'`;
        assert.equal(atob(secret?.secret ?? ""), "plain");
        const tables = await sql<{ relpersistence: string }[]>`
        select distinct relpersistence::text from pg_class
        where relname in ('http_request_queue', '_http_response')`;
        assert.deepEqual(tables.map((table) => table.relpersistence), ["u"]);
      },
    );

    await t.step(
      "pg_cron: a run that is due while the one before still goes starts when that has ended",
      async () => {
        await sql`create extension if not exists pg_cron with schema pg_catalog`;
        const worker = await startCron(test.database, () => {});
        try {
          await sql`select cron.schedule('slow', '1 second', 'select pg_sleep(1.5)')`;
          const runs = await eventually(async () => {
            const rows = await sql<{ start_time: Date; end_time: Date }[]>`
            select start_time, end_time from cron.job_run_details
            where status = 'succeeded' order by start_time`;
            return rows.length >= 2 && rows;
          }, 20_000);
          assert.ok(
            runs.every(({ start_time }, index) =>
              index === 0 || start_time >= (runs[index - 1]?.end_time ?? new Date())
            ),
          );
        } finally {
          await sql`select cron.unschedule('slow')`;
          await worker.stop();
        }
      },
    );
  } finally {
    await stop();
  }
});
