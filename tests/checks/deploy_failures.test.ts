import assert from "node:assert/strict";
import { eventually } from "../../local/testing.ts";
import { SECRETS, startWorld, type World, writeSecrets } from "../support/deploy.ts";
import { BRANCH_REF, REF } from "../support/management_shapes.ts";
import { mustRun, ROOT, run } from "../support/run.ts";

/** Deployments that are refused, and those that fail half way and are run again. In this order: the project fills up. */
let world: World;

Deno.test.beforeAll(async () => {
  world = await startWorld();
});
Deno.test.afterAll(async () => {
  await world.stop();
});

Deno.test("everything that is wrong is said at once, and nothing is written", async () => {
  const { STRIPE_WEBHOOK_SECRET: _, ...rest } = SECRETS;
  const envFile = `${world.root}/.env.incomplete`;
  await writeSecrets(envFile, { ...rest, SITE_URL: "http://chat.example.com" });
  const undo = await change(
    `${world.root}/supabase/functions/sync/index.ts`,
    (source) => `import "left-pad";\nimport "./nowhere.ts";\n${source}`,
  );
  const { output, error } = await world.run(`--env-file=${envFile}`);
  await undo();
  assert.match(output, /✗ secrets +STRIPE_WEBHOOK_SECRET is missing .*\n +SITE_URL: must be https/);
  assert.match(output, /✗ functions +supabase\/functions\/sync\/index\.ts: left-pad is not in/);
  assert.match(output, /sync: Module not found .*nowhere\.ts/);
  assert.match(error ?? "", /^2 of the checks failed\. Nothing was changed\.$/);
  await assertUntouched();
});

Deno.test("a wrong type, and a migration that fails on an empty database, are found before anything is written", async () => {
  const undo = await change(
    `${world.root}/supabase/functions/sync/index.ts`,
    (source) => `${source}\nexport const wrong: number = "text";\n`,
  );
  const bad = `${world.root}/supabase/migrations/20991231000000_bad.sql`;
  await Deno.writeTextFile(bad, "create table billing.bad (a no_such_type);\n");
  const { output, error } = await world.run();
  await Promise.all([undo(), Deno.remove(bad)]);
  assert.match(output, /✗ types +[^]*not assignable to type 'number'/);
  assert.match(output, /✗ proof +supabase db push failed[^]*no_such_type/);
  assert.match(error ?? "", /^2 of the checks failed/);
  await assertUntouched();
});

Deno.test("advice of the advisors about a migration is found before anything is written", async () => {
  const bad = `${world.root}/supabase/migrations/20991231000000_bad.sql`;
  await Deno.writeTextFile(bad, LOOSE);
  const { output, error } = await world.run();
  await Deno.remove(bad);
  assert.match(output, /✗ proof +The advisors are not content:\n[^]*function_search_path_mutable/);
  assert.ok(error);
  await assertUntouched();
});

Deno.test("a function that config.toml does not declare is not deployed with the default of verify_jwt", async () => {
  const folder = `${world.root}/supabase/functions/unknown`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/index.ts`, "export default {};\n");
  const { output, error } = await world.run();
  await Deno.remove(folder, { recursive: true });
  assert.match(output, /✗ functions +Not in config\.toml.*: unknown\./);
  assert.ok(error);
  await assertUntouched();
});

Deno.test("who cannot be asked has to say --yes", async () => {
  const { error } = await world.run("--no-yes");
  assert.match(error ?? "", /say --yes/);
  await assertUntouched();
});

Deno.test("a project that is not there, a branch that is not there, not ready or production itself are refused", async () => {
  const refusals: [string[], RegExp][] = [
    [["--project-ref=zzzzzzzzzzzzzzzzzzzz"], /no project zzzzzzzzzzzzzzzzzzzz/],
    [["--branch=nobody"], /has no branch nobody; it has feature-x, unborn/],
    [["--branch=unborn"], /still making branch unborn \(CREATING_PROJECT\)/],
    [["--branch=main"], /main is production itself/],
  ];
  for (const [args, reason] of refusals) {
    const { output, error } = await world.run(...args);
    assert.match(output, reason);
    assert.match(error ?? "", /Nothing was changed/);
  }
  await assertUntouched();
});

Deno.test("a preview takes no live key of Stripe, whether it was named or given by its reference", async () => {
  const url = `--db-url=${world.urls.branch}?sslmode=disable`;
  for (const arg of ["--branch=feature-x", `--project-ref=${BRANCH_REF}`]) {
    const { output, error } = await world.runByReference(arg, url);
    assert.match(output, /STRIPE_SECRET_KEY: is a live key, and this is a preview/);
    assert.ok(error);
  }
  assert.equal(world.api.branch.secrets.size, 0);
  await assertUntouched();
});

Deno.test("secrets in a file that git keeps are refused", async () => {
  const folder = await Deno.makeTempDir({ prefix: "tollgate-tracked-" });
  await writeSecrets(`${folder}/secrets`, SECRETS);
  await mustRun("git", ["-C", folder, "init", "-q"]);
  await mustRun("git", ["-C", folder, "add", "secrets"]);
  const { error } = await world.run(`--env-file=${folder}/secrets`);
  await Deno.remove(folder, { recursive: true });
  assert.match(error ?? "", /is tracked by git/);
  await assertUntouched();
});

Deno.test("an access token that is refused is named, and not shown", async () => {
  const body = '{"message":"Unauthorized"}';
  world.api.fail({ method: "GET", path: /^\/v1\/projects$/, status: 401, times: 20, body });
  const { output, error } = await world.run();
  world.api.forget();
  assert.match(output, /✗ project +.*The access token is not valid \(any more\)/);
  assert.ok(error && !output.includes(world.api.token));
  await assertUntouched();
});

Deno.test("a migration the project refuses: what was applied stays, and the next run goes on there", async () => {
  // Somebody made a table of that name by hand; on an empty database all is well.
  await world.main`create table public.sellers (a integer)`;
  const first = await world.run();
  assert.match(
    first.output,
    /✗ migrations +supabase db push failed[^]*relation "sellers" already exists/,
  );
  assert.match(first.error ?? "", /Stopped at migrations\. Run it again/);
  assert.deepEqual([world.api.project.secrets.size, world.api.writes().length], [0, 0]);
  const applied = await count();
  assert.ok(applied > 20);
  await world.main`drop table public.sellers`;
  world.api.fail({ method: "POST", path: /\/secrets$/, status: 500, times: 20, body: ECHO });
  const second = await world.run();
  world.api.forget();
  assert.match(second.output, new RegExp(`history +${applied} applied and unchanged`));
  assert.match(second.output, /✓ migrations +done/);
  assert.match(second.output, /✗ secrets +supabase secrets set failed[^]*cannot store \*\*\*/);
  assert.match(second.error ?? "", /Stopped at secrets\. Done: migrations\./);
  assert.ok(!second.output.includes(SECRETS.STRIPE_SECRET_KEY), "the API's echo was printed");
  assert.equal(world.api.project.functions.size, 0);
});

Deno.test("functions that are refused half way: the official CLI makes those before live, nothing is called done, and the next run goes on there", async () => {
  world.api.fail({ method: "POST", path: /functions\/deploy$/, status: 403, after: 5, times: 50 });
  const { output, error } = await world.run();
  world.api.forget();
  assert.match(output, /– migrations +skipped/);
  assert.match(output, /✓ secrets +done/);
  assert.match(output, /✗ functions +supabase functions deploy failed\. The access token may not/);
  assert.match(error ?? "", /Stopped at functions\. Done: migrations, secrets\./);
  assert.equal(world.api.project.functions.size, 5);
  assert.deepEqual([...await world.main`select * from billing.deployments`], []);
  const { output: next } = await world.run("--dry-run");
  assert.match(next, /– secrets +skipped/);
  assert.match(next, /→ functions +would upload \d+: audit-check/);
});

Deno.test("killed in the middle of the functions: the next run goes on there and ends with everything", async () => {
  world.api.forget();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}local/operator/deploy/main.ts`, ...world.flags(), "--yes"],
    env: world.environment(),
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually(
    () => Promise.resolve(world.api.writes().some((one) => one.endsWith("/functions/deploy"))),
    180_000,
  );
  child.kill("SIGKILL");
  assert.equal((await child.status).success, false);
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  assert.match(output, /– secrets +skipped/);
  assert.match(output, /✓ functions +done/);
  assert.match(output, /✓ vault +done/);
  const [last] = await world.main<{ functions: Record<string, number> }[]>`
    select functions from billing.deployments order by id desc limit 1`;
  for (const [slug, { version }] of world.api.project.functions) {
    assert.equal(last?.functions[slug], version, slug);
  }
});

Deno.test("a limit of calls that passes is waited for by the CLI itself", async () => {
  world.api.forget();
  world.api.project.secrets.clear();
  world.api.fail({ method: "GET", path: /\/secrets$/, status: 429, times: 1 });
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  assert.match(output, /✓ secrets +done: 5 set/);
});

Deno.test("secrets that Supabase keeps otherwise than given are an error, unless its digests mean something else", async () => {
  const { project } = world.api;
  const sha256 = project.digest;
  project.secrets.clear();
  project.digest = (value) => sha256(value.startsWith("whsec_") ? `${value} ` : value);
  const first = await world.run();
  assert.match(first.output, /✗ secrets +Supabase did not keep STRIPE_WEBHOOK_SECRET\./);
  project.digest = () => "***";
  const second = await world.run();
  project.digest = sha256;
  assert.equal(second.error, null, second.output);
  assert.match(second.output, /✓ secrets +done: 5 set\n +what the project shows of them is not/);
});

Deno.test("a migration that was edited after it was applied, one from elsewhere and one that comes too late are refused", async () => {
  world.api.forget();
  const folder = `${world.root}/supabase/migrations`;
  const edited = `${folder}/20261122120000_settings.sql`;
  const source = await Deno.readTextFile(edited);
  await Deno.writeTextFile(edited, source.replace("'7'", "'14'"));
  const first = await world.run();
  await Deno.writeTextFile(edited, source);
  assert.match(
    first.output,
    /✗ history +Edited after they were applied: 20261122120000_settings\.sql/,
  );
  await world.main`
    insert into supabase_migrations.schema_migrations (version, name, statements)
    values ('20991231000000', 'theirs', '{select 1}')`;
  const second = await world.run();
  await world.main`delete from supabase_migrations.schema_migrations where name = 'theirs'`;
  assert.match(
    second.output,
    /✗ history +The project has migrations that this checkout does not: 20991231000000_theirs/,
  );
  const late = `${folder}/20261122120001_late.sql`;
  await Deno.writeTextFile(late, "select 1;\n");
  const third = await world.run();
  await Deno.remove(late);
  assert.match(
    third.output,
    /✗ history +Older than what is applied already .*: 20261122120001_late\.sql/,
  );
  for (const { error } of [first, second, third]) assert.match(error ?? "", /Nothing was changed/);
  assert.deepEqual(world.api.writes(), []);
});

Deno.test("by the reference alone the CLI finds its own way to the database, and says so when there is none", async () => {
  await world.main`delete from supabase_migrations.schema_migrations
    where version = (select max(version) from supabase_migrations.schema_migrations)`;
  const { output, error } = await world.runByReference();
  assert.match(output, /✗ migrations +supabase db push failed/);
  assert.match(error ?? "", /Stopped at migrations/);
  assert.ok(
    world.api.requests.some(({ path }) => path === `/v1/projects/${REF}/config/database/pooler`),
  );
});

Deno.test("what the command line does not understand is refused with its usage", async () => {
  const outcomes = await Promise.all([["--production"], ["--dry-run", "--yes"], ["--branch="]].map(
    (args) => run(Deno.execPath(), ["run", "-A", `${ROOT}local/operator/deploy/main.ts`, ...args]),
  ));
  for (const { code, stderr } of outcomes) {
    assert.equal(code, 1);
    assert.match(stderr, /^✗ /);
  }
  assert.match(outcomes[0]?.stderr ?? "", /npm run deploy -- \[--dry-run/);
});

Deno.test("a file of secrets that is not there is our own sentence, also through npm: Node takes the flag for its own", async () => {
  for (const flags of [["--env-file", "no-such.env"], ["--env-file=no-such.env"]]) {
    const { code, stdout, stderr } = await run(
      "npm",
      ["run", "--silent", "deploy", "--", ...flags, "--dry-run"],
    );
    assert.equal(code, 1, stdout + stderr);
    assert.match(stderr, /^✗ .*no-such\.env is not there\.$/m);
  }
});

Deno.test("every script of package.json is handed to a command that there is, with flags that are not Node's", async () => {
  const { scripts } = JSON.parse(await Deno.readTextFile(`${ROOT}package.json`));
  const door = await Deno.readTextFile(`${ROOT}local/bootstrap.mjs`);
  const ours = Object.entries<string>(scripts).filter(([, line]) => line.includes("bootstrap.mjs"));
  assert.ok(ours.length > 10);
  for (const [name, line] of ours) {
    assert.equal(line, `node -- local/bootstrap.mjs ${name}`);
    assert.match(door, new RegExp(`^ {2}"?${name}"?: \\[`, "m"));
  }
});

/** A function whose search path is whoever calls it's. */
const LOOSE = "create function public.loose() returns integer language sql as 'select 1';\n";
/** A fault that repeats what it was sent. */
const ECHO = JSON.stringify({ message: `cannot store ${SECRETS.STRIPE_SECRET_KEY}` });

/** Changes a file; gives what undoes it. */
async function change(path: string, how: (text: string) => string): Promise<() => Promise<void>> {
  const before = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, how(before));
  return () => Deno.writeTextFile(path, before);
}

async function assertUntouched(): Promise<void> {
  assert.deepEqual(world.api.writes(), []);
  const [row] = await world.main<{ there: boolean }[]>`
    select to_regclass('supabase_migrations.schema_migrations') is not null as there`;
  assert.equal(row?.there, false);
}

async function count(): Promise<number> {
  const [row] = await world.main<{ count: number }[]>`
    select count(*)::integer as count from supabase_migrations.schema_migrations`;
  return row?.count ?? 0;
}
