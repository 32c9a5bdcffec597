import assert from "node:assert/strict";
import postgres from "postgres";
import { ROOT, run } from "../support/run.ts";
import { operator } from "../support/sandbox.ts";
import { eventually, signUp, sql, stack, stripe } from "../support/stack.ts";

interface Answer {
  status: number;
  ms: number;
  text: string;
  body: { status?: string; checks?: { check_name: string; status: string; hint: string }[] };
  headers: Headers;
}

async function ask(
  headers: Record<string, string> = {},
  { method = "GET" } = {},
): Promise<Answer> {
  const begun = performance.now();
  const response = await fetch(`${stack().api_url}/functions/v1/health`, { method, headers });
  const text = await response.text();
  const ms = performance.now() - begun;
  const body = text === "" ? {} : JSON.parse(text);
  return { status: response.status, ms, text, body, headers: response.headers };
}

const asOperator = () => ask({ apikey: stack().secret_key });

/** What this process said within five seconds it says again. */
const forgotten = () => new Promise((resolve) => setTimeout(resolve, 15_500));

/** Whatever other tests left behind is no failure while `work` runs, and its own cause is. */
async function withFailure(work: (db: postgres.Sql) => Promise<void>): Promise<void> {
  const db = sql({ max: 2 });
  await db`update billing.health_thresholds set fail = fail + 1000000000, warn = warn + 1000000000`;
  try {
    await work(db);
  } finally {
    await db`update billing.health_thresholds set fail = fail - 1000000000, warn = warn - 1000000000`;
    await db`delete from billing.health_thresholds where check_name = 'of_a_test'`;
    await db.end();
  }
}

/** A check without its function, which fails. */
const breakIt = (db: postgres.Sql) =>
  db`insert into billing.health_thresholds (check_name, check_function, unit, fail, hint)
    values ('of_a_test', 'check_of_a_test', 'tests', 1, 'The cause is secret.')`;

Deno.test("anybody learns whether all is well, and only the secret key what is not", async (t) => {
  await withFailure(async (db) => {
    const { token } = await signUp("monitor");
    const { publishable_key, secret_key } = stack();
    const anybody: [string, Record<string, string>][] = [
      ["a stranger", {}],
      ["the publishable key", { apikey: publishable_key }],
      ["a user", { apikey: publishable_key, authorization: `Bearer ${token}` }],
      ["a key that is not ours", { apikey: "sb_secret_of_somebody_else" }],
      ["the secret key in the wrong place", { authorization: `Bearer ${secret_key}` }],
    ];
    await forgotten();
    for (const [who, headers] of anybody) {
      await t.step(`${who}: well`, async () => {
        const { status, text, body, headers: answered } = await ask(headers);
        assert.equal(status, 200, text);
        assert.deepEqual(Object.keys(body), ["status"]);
        assert.ok(body.status === "ok" || body.status === "warn", text);
        assert.equal(answered.get("cache-control"), "no-store");
        assert.equal(answered.get("content-type"), "application/json");
      });
    }
    await breakIt(db);
    await t.step("the secret key sees a failure at once, with its reason", async () => {
      const { status, body } = await asOperator();
      assert.equal(status, 503);
      assert.equal(body.status, "fail");
      const first = body.checks?.[0];
      assert.equal(first?.check_name, "of_a_test");
      assert.equal(first?.status, "fail");
      assert.match(first?.hint ?? "", /cannot be computed/);
      assert.ok((body.checks?.length ?? 0) > 40);
    });
    await forgotten();
    for (const [who, headers] of anybody) {
      await t.step(`${who}: failing, without details`, async () => {
        const { status, text } = await ask(headers);
        assert.equal(status, 503);
        assert.equal(text, '{"status":"fail"}');
      });
    }
    await t.step("HEAD says the same without a body", async () => {
      const head = await ask({}, { method: "HEAD" });
      assert.deepEqual([head.status, head.text], [503, ""]);
      assert.deepEqual([(await ask({ apikey: secret_key }, { method: "HEAD" })).status], [503]);
    });
    await t.step("npm run health prints it and ends with 2", async () => {
      const outcome = await health([]);
      assert.equal(outcome.code, 2, outcome.stderr);
      assert.match(outcome.stdout, /✗ of_a_test/);
      assert.match(outcome.stdout, /The cause is secret|cannot be computed/);
      assert.match(outcome.stdout, /fail\. \d+ checks, \d+ warn, 1 fail\./);
    });
    await db`delete from billing.health_thresholds where check_name = 'of_a_test'`;
    await t.step("and well again: 0, with --all every check", async () => {
      assert.equal((await asOperator()).status, 200);
      const outcome = await health(["--all"]);
      assert.equal(outcome.code, 0, outcome.stdout);
      assert.match(outcome.stdout, /✓ inbox_lag/);
    });
  });
});

function health(args: string[]) {
  return run(Deno.execPath(), ["run", "-A", `${ROOT}local/operator/health.ts`, ...args], {
    env: { SUPABASE_URL: stack().api_url, SUPABASE_SECRET_KEY: stack().secret_key },
  });
}

Deno.test("nothing but looking is allowed", async () => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const { status, text } = await ask({ apikey: stack().secret_key }, { method });
    assert.equal(status, 405, text);
    assert.equal(JSON.parse(text).error.code, "method_not_allowed");
  }
});

Deno.test("strangers who ask a thousand times have the checks computed a few times", async () => {
  const db = sql({ max: 1 });
  const written = async () => {
    await db`select pg_stat_clear_snapshot()`;
    const [row] = await db<{ calls: string }[]>`
      select n_tup_upd + n_tup_ins as calls from pg_stat_user_tables where relname = 'health_answer'`;
    return Number(row?.calls);
  };
  try {
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const before = await written();
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask()));
      assert.ok(answers.every(({ status }) => status === 200 || status === 503));
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const computed = await written() - before;
    assert.ok(computed <= 6, `${computed} times`);
  } finally {
    await db.end();
  }
});

Deno.test("a database that hangs is a failure within five seconds", async () => {
  const db = sql({ max: 1 });
  await forgotten();
  try {
    await db.begin(async (transaction) => {
      await transaction`lock table billing.health_answer in access exclusive mode`;
      const callers: Record<string, string>[] = [{}, { apikey: stack().secret_key }];
      for (const headers of callers) {
        const { status, ms, body } = await ask(headers);
        assert.equal(status, 503);
        assert.equal(body.status, "fail");
        assert.ok(ms < 5_000, `${ms} ms`);
      }
    });
  } finally {
    await db.end();
  }
  await eventually(asOperator, ({ body }) => (body.checks?.length ?? 0) > 40);
});

/** What the function says to each key, in a project of its own settings. */
async function probed(
  keys: string[],
  settings: Record<string, string>,
): Promise<{ status: number; ms: number; text: string }[]> {
  const { api_url, publishable_key, secret_key, web_url } = stack();
  const probe = ["run", "-A", `${ROOT}tests/support/probe.ts`];
  const { code, stdout, stderr } = await run(Deno.execPath(), probe, {
    env: {
      SUPABASE_URL: api_url,
      SUPABASE_SECRET_KEY: secret_key,
      SUPABASE_PUBLISHABLE_KEY: publishable_key,
      SITE_URL: web_url,
      PROBE_KEYS: keys.join(","),
      ...settings,
    },
  });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.split("\n").findLast((line) => line.startsWith("[")) ?? "[]");
}

Deno.test("while the secret key is rotated the old and the new one are both the operator's", async () => {
  const keys = { default: stack().secret_key, next: "sb_secret_of_tomorrow" };
  const answers = await probed([...Object.values(keys), "sb_secret_of_yesterday", ""], {
    SUPABASE_SECRET_KEYS: JSON.stringify(keys),
  });
  assert.deepEqual(answers.map(({ text }) => "checks" in JSON.parse(text)), [
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("a database that is away is a failure within five seconds", async (t) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const check = async () => {
    const [operator, stranger] = await probed([stack().secret_key, ""], {
      SUPABASE_URL: `http://127.0.0.1:${port}`,
    });
    for (const answer of [operator, stranger]) {
      assert.equal(answer?.status, 503);
      assert.ok((answer?.ms ?? Infinity) < 5_000, `${answer?.ms} ms`);
    }
    assert.deepEqual(JSON.parse(operator?.text ?? ""), {
      status: "fail",
      error: "The database does not answer.",
    });
    assert.equal(stranger?.text, '{"status":"fail"}');
  };
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  await t.step("it takes the call and says nothing", check);
  for (const connection of connections) connection.close();
  listener.close();
  await accepting.catch(() => {});
  await t.step("nobody is there", check);
});

Deno.test("a price that Stripe has not, or at another amount, is found by reconcile", async (t) => {
  const db = sql({ max: 1 });
  const found = async () => {
    await eventually(
      () => operator("reconcile"),
      ({ body }) => (body as { finished?: boolean }).finished === true,
    );
    const rows = await db<{ lookup_key: string; verdict: string }[]>`
      select r.lookup_key, c.verdict from public.catalogue_rows() r
      left join billing.catalogue_checks c on c.lookup_key = r.lookup_key
      where c.verdict is distinct from 'equal'`;
    return rows.map(({ lookup_key, verdict }) => [lookup_key, verdict]);
  };
  const [price] = (await stripe().prices.list({ lookup_keys: ["pro_yearly"] })).data;
  assert.ok(price);
  try {
    await t.step("Stripe has all that is sold", async () => assert.deepEqual(await found(), []));
    await t.step("not any more", async () => {
      await stripe().prices.update(price.id, { active: false });
      assert.deepEqual(await found(), [["pro_yearly", "missing"]]);
      const { body } = await asOperator();
      const check = body.checks?.find(({ check_name }) => check_name === "catalogue");
      assert.match(check?.hint ?? "", /^pro_yearly missing; /);
    });
    await stripe().prices.update(price.id, { active: true });
    await t.step("at another amount", async () => {
      await db`update public.credit_packs set price_minor = price_minor + 1 where lookup_key = 'credits_10'`;
      assert.deepEqual(await found(), [["credits_10", "differs"]]);
    });
  } finally {
    await stripe().prices.update(price.id, { active: true });
    await db`update public.credit_packs set price_minor = 1000 where lookup_key = 'credits_10'`;
    await db.end();
  }
});
