import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { problemsWith, SETTING_NAMES } from "../../../supabase/functions/_shared/env.ts";
import { OperatorError } from "../project.ts";
import { checkSameProject, literal, splitDatabaseUrl } from "./database.ts";
import { type Applied, type Migration, pendingMigrations } from "./history.ts";
import { redactor } from "./redact.ts";
import { problemsWithSecrets, readSettings } from "./settings.ts";
import { line } from "./steps/secrets.ts";
import { healthStep } from "./steps/health.ts";
import { readOptions } from "./options.ts";
import { findTarget, otherProject } from "./target.ts";

const SECRETS = {
  STRIPE_SECRET_KEY: "sk_test_abc",
  STRIPE_WEBHOOK_SECRET: "whsec_abc",
  SITE_URL: "https://chat.example.com",
};

Deno.test("what the functions would refuse is refused before it is set, by name and not by value", () => {
  const preview = { preview: false, beforeStripe: false };
  assert.deepEqual(problemsWithSecrets(SECRETS, preview), []);
  const cases: [Record<string, string>, RegExp][] = [
    [{ STRIPE_SECRET_KEY: "" }, /^STRIPE_SECRET_KEY is missing \(environment or --env-file\)$/],
    [{ STRIPE_SECRET_KEY: "pk_live_abc" }, /^STRIPE_SECRET_KEY: must be a Stripe secret key$/],
    [{ STRIPE_WEBHOOK_SECRET: "whsec_a,nonsense" }, /^STRIPE_WEBHOOK_SECRET.*whsec_$/],
    [{ SITE_URL: "http://chat.example.com" }, /^SITE_URL: must be https$/],
    [{ SITE_URL: "http://localhost:3000" }, /^SITE_URL: must be https$/],
    [{ ALLOWED_ORIGINS: "https://a.test,http://b.test" }, /^ALLOWED_ORIGINS: must be https$/],
    [{ SMTP_URL: "smtps://u:p@smtp.example.com:465" }, /^EMAIL_FROM is missing \(/],
    [{ EMAIL_FROM: "a@example.com" }, /^SMTP_URL is missing \(/],
    [{ STRIPE_API_BASE: "http://127.0.0.1:12111" }, /^STRIPE_API_BASE: is this machine/],
    [{ CLIENT_ADDRESS_HEADER: "x y" }, /^CLIENT_ADDRESS_HEADER: /],
  ];
  for (const [change, reason] of cases) {
    const problems = problemsWithSecrets({ ...SECRETS, ...change }, preview);
    assert.equal(problems.length, 1, problems.join());
    assert.match(problems[0] ?? "", reason);
    for (const value of Object.values(change).filter(Boolean)) {
      assert.ok(!problems.join().includes(value));
    }
  }
});

Deno.test("a preview may serve its web client from a developer's machine, and takes no live key", () => {
  const preview = { preview: true, beforeStripe: false };
  const local = { ...SECRETS, SITE_URL: "http://localhost:3000" };
  assert.deepEqual(problemsWithSecrets(local, preview), []);
  const live = { ...SECRETS, STRIPE_SECRET_KEY: "rk_live_abc" };
  assert.match(problemsWithSecrets(live, preview).join(), /live key/);
  assert.deepEqual(problemsWithSecrets(live, { ...preview, preview: false }), []);
});

Deno.test("before Stripe's side is made its webhooks have no secret yet; a wrong one is refused all the same", () => {
  const first = { preview: false, beforeStripe: true };
  const { STRIPE_WEBHOOK_SECRET: _, ...rest } = SECRETS;
  assert.deepEqual(problemsWithSecrets(rest, first), []);
  assert.equal(problemsWithSecrets(rest, { ...first, beforeStripe: false }).length, 1);
  const wrong = { ...rest, STRIPE_WEBHOOK_SECRET: "nonsense" };
  assert.equal(problemsWithSecrets(wrong, first).length, 1);
});

Deno.test("what was not given is called missing, each once", () => {
  assert.deepEqual(
    problemsWithSecrets({}, { preview: false, beforeStripe: false }).toSorted(),
    ["SITE_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"]
      .map((name) => `${name} is missing (environment or --env-file)`),
  );
});

Deno.test("every setting of the functions is asked for", () => {
  assert.ok(["STRIPE_SECRET_KEY", "SITE_URL", "ALLOWED_ORIGINS", "SMTP_URL", "EMAIL_FROM"]
    .every((name) => SETTING_NAMES.includes(name)));
  assert.deepEqual(problemsWith({}).map((problem) => problem.split(":")[0]).toSorted(), [
    "SITE_URL",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
  ]);
});

Deno.test("secrets come from the file alone when there is one; access from the environment first", async () => {
  const file = await Deno.makeTempFile({ prefix: "tollgate-env-" });
  await Deno.writeTextFile(
    file,
    [
      "STRIPE_SECRET_KEY=sk_live_file",
      "SITE_URL='https://a.test'",
      "MY_OWN=one",
      "EMPTY=",
      "VITE_SUPABASE_URL=https://x.test",
      "TOLLGATE_DEBUG=1",
      "SUPABASE_SECRET_KEY=sb_secret_file",
      "SUPABASE_DB_PASSWORD=of-the-file",
    ].join("\n"),
  );
  const shell = {
    STRIPE_SECRET_KEY: "sk_test_shell",
    SMTP_URL: "smtps://shell",
    SUPABASE_DB_PASSWORD: "of-the-shell",
    HOME: "/nowhere",
  };
  const { secrets, access } = await readSettings(file, shell);
  assert.deepEqual(secrets, {
    STRIPE_SECRET_KEY: "sk_live_file",
    SITE_URL: "https://a.test",
    MY_OWN: "one",
  });
  assert.deepEqual([access.secretKey, access.dbPassword], ["sb_secret_file", "of-the-shell"]);
  assert.deepEqual((await readSettings(null, shell)).secrets, {
    STRIPE_SECRET_KEY: "sk_test_shell",
    SMTP_URL: "smtps://shell",
  });
  await Deno.remove(file);
  await assert.rejects(readSettings(file, shell), OperatorError);
});

Deno.test("a database's password leaves its URL, and a URL of another project is refused", () => {
  assert.deepEqual(splitDatabaseUrl("postgresql://postgres:p%40ss@db.example.com:5432/postgres"), {
    remote: "postgresql://postgres@db.example.com:5432/postgres",
    env: { PGPASSWORD: "p@ss" },
  });
  assert.throws(() => splitDatabaseUrl("postgresql://u@h/db?password=x"), OperatorError);
  assert.throws(() => splitDatabaseUrl("mysql://u@h/db"), OperatorError);
  const [ref, other] = ["abcdefghijklmnopqrst", "zzzzzzzzzzzzzzzzzzzz"];
  for (
    const url of [
      `postgresql://postgres@db.${other}.supabase.co:5432/postgres`,
      `postgresql://postgres.${other}@aws-0-eu-central-1.pooler.supabase.com:5432/postgres`,
    ]
  ) {
    assert.throws(() => checkSameProject(url, ref), /belongs to project zzz/);
    checkSameProject(url.replace(other, ref), ref);
  }
  checkSameProject("postgresql://postgres@127.0.0.1:5432/postgres", ref);
});

Deno.test("the address of another project, left over in somebody's shell, is refused by both names", async () => {
  const [ref, other] = ["abcdefghijklmnopqrst", "zzzzzzzzzzzzzzzzzzzz"];
  const cli = {
    run: () => Promise.reject(new Error("not asked for")),
    json: () => Promise.resolve([{ ref, name: "chat", status: "ACTIVE_HEALTHY" }]),
  };
  const find = async (url: string | undefined, ...args: string[]) => {
    const options = readOptions([`--project-ref=${ref}`, ...args]);
    assert.ok(options);
    const { access } = await readSettings(null, url === undefined ? {} : { SUPABASE_URL: url });
    return (await findTarget(cli, options, access)).url;
  };
  await assert.rejects(find(`https://${other}.supabase.co/`), (error) => {
    assert.ok(error instanceof OperatorError);
    for (const part of [ref, other, "unset", "--project-url"]) {
      assert.ok(error.message.includes(part), error.message);
    }
    return true;
  });
  await assert.rejects(find(undefined, `--project-url=https://${other}.supabase.co`), /belongs to/);
  const own = `https://${ref}.supabase.co`;
  assert.equal(await find(undefined), own);
  assert.equal(await find(`${own}/`), own);
  assert.equal(await find("https://api.example.com"), "https://api.example.com");
  assert.equal(await find(`https://${other}.supabase.co`, `--project-url=${own}`), own);
  // Then the key beside it is not taken either.
  assert.equal(otherProject(`https://${other}.supabase.co`, ref), other);
  assert.equal(otherProject("", ref), null);
});

Deno.test("a value is handed to the CLI as it is, or not at all", () => {
  assert.equal(line(["A", "a$b #c"]), "A='a$b #c'\n");
  assert.equal(line(["A", "it's"]), "A=`it's`\n");
  assert.equal(line(["A", "it's `x`"]), 'A="it\'s `x`"\n');
  assert.throws(() => line(["A", 'it\'s `x` "y"']), /A has characters/);
  assert.throws(() => line(["A", "it's `x` \\n"]), /A has characters/);
});

Deno.test("a text becomes a literal whatever is in it", () => {
  assert.equal(literal("it's"), "'it''s'");
  assert.equal(literal("a\\'; drop"), "E'a\\\\''; drop'");
  assert.throws(() => literal("\0"), OperatorError);
});

Deno.test("secrets are taken out of every text, also in the form of a URL and when they are learned later", () => {
  const redact = redactor(["p@ssword", undefined, "short"]);
  redact.learn("sb_secret_later");
  assert.equal(redact("p@ssword p%40ssword short sb_secret_later"), "*** *** short ***");
});

Deno.test("a history is the checkout's beginning, statement by statement; line ends of Windows are no edit", () => {
  const local = [
    migration(
      "20260101000000",
      "one",
      "create table a (x text default 'é😀;');\n-- why\nselect 1;\n",
    ),
    migration("20260102000000", "two", "select 2;\n"),
  ];
  const one = applied("20260101000000", "one", [
    "create table a (x text default 'é😀;')",
    "-- why\nselect 1",
  ]);
  assert.deepEqual(pendingMigrations(local, []), local);
  assert.deepEqual(pendingMigrations(local, [one]), [local[1]]);
  const cases: [Applied[], RegExp][] = [
    [[applied("20260101000000", "one", ["create table a (x text)"])], /Edited/],
    [[{ ...one, statements: one.statements.slice(0, 1) }], /Edited/],
    [[{ ...one, name: "renamed" }], /Edited.*20260101000000_one\.sql/],
    [[applied("20260102000000", "two", ["select 2"])], /Older than.*20260101000000_one\.sql/],
    [[one, applied("20260103000000", "three", [])], /this checkout does not: 20260103000000_three/],
  ];
  for (const [history, reason] of cases) {
    assert.throws(() => pendingMigrations(local, history), reason);
  }
  // Repaired by hand: nothing to compare with.
  assert.deepEqual(pendingMigrations(local, [{ ...one, statements: [] }]), [local[1]]);
});

Deno.test("health is asked until it is content, with the key; what it says is told", async () => {
  const answers = [
    new Response("booting", { status: 502 }),
    Response.json(
      { status: "fail", checks: [{ check_name: "vault", status: "fail", hint: "look" }] },
      { status: 503 },
    ),
    Response.json({ status: "warn", checks: [{ check_name: "cron:x", status: "warn" }] }),
  ];
  const keys: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    keys.push(request.headers.get("apikey"));
    return (answers.length > 1 ? answers.shift() : answers[0])?.clone() ?? new Response();
  });
  const options = {
    url: `http://127.0.0.1:${server.addr.port}`,
    secretKey: () => Promise.resolve("sb_secret_x"),
    timeoutMs: 2_000,
    everyMs: 10,
  };
  try {
    const plan = await healthStep(["health"], options).plan();
    assert.ok("apply" in plan);
    assert.match(await plan.apply(), /^health says warn\nwarn cron:x$/);
    assert.deepEqual(keys, Array(3).fill("sb_secret_x"));
    answers[0] = Response.json(
      { status: "fail", checks: [{ check_name: "vault", status: "fail", hint: "look" }] },
      { status: 503 },
    );
    const failing = await healthStep(["health"], { ...options, timeoutMs: 50 }).plan();
    assert.ok("apply" in failing);
    await assert.rejects(failing.apply(), /It is deployed, but health says fail\nfail vault: look/);
    assert.ok("nothing" in await healthStep(["sync"], options).plan());
  } finally {
    await server.shutdown();
  }
  const gone = await healthStep(["health"], { ...options, timeoutMs: 50 }).plan();
  assert.ok("apply" in gone);
  await assert.rejects(gone.apply(), /cannot be reached/);
});

function migration(version: string, name: string, text: string): Migration {
  return { version, name, text };
}

function applied(version: string, name: string, statements: string[]): Applied {
  return {
    version,
    name,
    statements: statements.map((text) => ({
      length: Array.from(text).length,
      md5: createHash("md5").update(text).digest("hex"),
    })),
  };
}
