import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { readProjectConfig } from "../../local/config.ts";
import { exists } from "../../local/util.ts";
import { SECRETS, startWorld, type World, writeSecrets } from "../support/deploy.ts";
import { type Project, REF } from "../support/management_shapes.ts";
import { mustRun, ROOT } from "../support/run.ts";

/** The whole way: the official CLI against a stand-in of the Management API, the database's part against a real Postgres. */
let world: World;

Deno.test.beforeAll(async () => {
  world = await startWorld();
});
Deno.test.afterAll(async () => {
  await world.stop();
});

const STEPS = ["migrations", "secrets", "functions", "vault", "jobs", "advisors", "health"];

Deno.test("a dry run prints every step and sends not one request that would change something", async () => {
  const { output, error } = await world.run("--dry-run");
  assert.equal(error, null, output);
  for (const step of STEPS) assert.match(output, new RegExp(`^[→–] ${step} `, "m"));
  assert.match(output, /→ migrations +would apply \d+: /);
  assert.match(output, /→ functions +would upload \d+: /);
  assert.match(output, /Nothing was changed\./);
  assert.ok(world.api.requests.length > 0);
  assert.deepEqual(world.api.writes(), []);
  assert.deepEqual(await appliedVersions(), []);
  assertTold(output);
});

Deno.test("a deployment ends with everything there, and no secret was an argument or was printed", async () => {
  const watch = watchArguments();
  const { output, error } = await world.run();
  const seen = await watch.stop();
  assert.equal(error, null, output);
  assertTold(output);
  for (const command of ["secrets set --env-file", "db push", "db query", "functions deploy"]) {
    assert.ok(seen.some((line) => line.includes(command)), `${command} was not seen`);
  }
  for (const value of secretValues()) {
    assert.deepEqual(seen.filter((line) => line.includes(value)), [], "a secret was an argument");
  }
  assert.deepEqual(await appliedVersions(), localVersions());
  assert.deepEqual(Object.fromEntries(world.api.project.secrets), SECRETS);
  await assertFunctions(world.api.project);
  assert.deepEqual(await vault(), {
    project_url: world.api.url,
    secret_key: world.api.project.secretKey,
  });
  assert.ok((await activeJobs()).length > 10);
  assert.deepEqual(
    world.api.requests.filter(({ status }) => status >= 400),
    [],
    "the stand-in refused something",
  );
});

Deno.test("what was deployed is written down", async () => {
  const rows = await world.main`select version, fingerprint, functions from billing.deployments`;
  assert.equal(rows.length, 1);
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
  assert.equal(rows[0]?.["version"], version);
  assert.deepEqual(
    rows[0]?.["functions"],
    Object.fromEntries([...world.api.project.functions].map(([slug, one]) => [slug, one.version])),
  );
});

Deno.test("a second run changes nothing", async () => {
  world.api.forget();
  const before = await everything();
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  // Health is asked every time.
  for (const step of STEPS.filter((name) => name !== "health")) {
    assert.match(output, new RegExp(`^– ${step} +skipped: `, "m"));
  }
  assert.deepEqual(world.api.writes(), []);
  assert.deepEqual(await everything(), before);
});

Deno.test("what was changed by hand since is put right, and nothing else; a job that was switched off stays off", async () => {
  world.api.forget();
  const { project } = world.api;
  project.secrets.set("SITE_URL", "https://elsewhere.example.com");
  project.secrets.set("MY_OWN", "stays");
  const byHand = project.functions.get("checkout");
  assert.ok(byHand);
  project.functions.set("checkout", { ...byHand, version: byHand.version + 1 });
  project.secretKey = "sb_secret_rotated_0123456789";
  await world.main`select cron.unschedule('tollgate-reconcile')`;
  await world.main`
    select cron.alter_job(jobid, active := false) from cron.job where jobname = 'tollgate-notify'`;
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  assert.match(output, /done: 1 set$/m);
  assert.match(output, /functions +done: \d+ uploaded/);
  assert.match(output, /vault +done: secret_key stored/);
  assert.match(output, /jobs +done: 1 scheduled/);
  assert.match(output, /left as they are: tollgate-notify is switched off/);
  assert.deepEqual(Object.fromEntries(project.secrets), { ...SECRETS, MY_OWN: "stays" });
  assert.equal((await vault())["secret_key"], "sb_secret_rotated_0123456789");
  assert.ok(!output.includes("sb_secret_rotated_0123456789"));
  assert.ok((await activeJobs()).includes("tollgate-reconcile"));
  assert.ok(!(await activeJobs()).includes("tollgate-notify"));
});

Deno.test("a changed function is uploaded, and what no import reaches is no change", async () => {
  const path = `${world.root}/supabase/functions/sync/index.ts`;
  await Deno.writeTextFile(`${world.root}/supabase/functions/_shared/notes.md`, "a note");
  const { output: unchanged } = await world.run("--dry-run");
  assert.match(unchanged, /functions +skipped/);
  await Deno.writeTextFile(path, "// changed\n", { append: true });
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  assert.match(output, /functions +done/);
  const uploaded = world.api.project.files.get("sync")?.get("supabase/functions/sync/index.ts");
  assert.match(uploaded ?? "", /changed/);
});

Deno.test("with the project's reference alone, SQL and advisors go through the Management API too", async () => {
  world.api.forget();
  await world.main`delete from vault.secrets where name = 'secret_key'`;
  const { output, error } = await world.runByReference();
  assert.equal(error, null, output);
  assert.match(output, /vault +done: secret_key stored/);
  assert.equal((await vault())["secret_key"], world.api.project.secretKey);
  const paths = world.api.requests.map(({ path }) => path);
  assert.ok(paths.includes(`/v1/projects/${REF}/database/query`));
  assert.ok(paths.includes(`/v1/projects/${REF}/advisors/security`));
  assertTold(output);
});

Deno.test("what the project's own advisors warn of is told, an error ends the deployment", async () => {
  const lint = { name: "auth_leaked_password_protection", title: "Leaked passwords", detail: "x" };
  world.api.project.lints = [{ ...lint, level: "WARN", ...LINT_REST }];
  const { output } = await world.runByReference();
  assert.match(
    output,
    /advisors +skipped: 1 to look at\n +warn auth_leaked_password_protection: x/,
  );
  world.api.project.lints = [{ ...lint, level: "ERROR", ...LINT_REST }];
  const { error } = await world.runByReference();
  assert.match(error ?? "", /Stopped at advisors/);
  world.api.project.lints = [];
});

Deno.test("a preview branch gets a deployment of its own, found by its name, and production is not touched", async () => {
  world.api.forget();
  const { branch, project } = world.api;
  const before = await everything();
  const envFile = `${world.root}/.env.preview`;
  await writeSecrets(envFile, {
    ...SECRETS,
    STRIPE_SECRET_KEY: "sk_test_this_is_the_key_of_nobody",
    SITE_URL: "http://localhost:3000",
    // Of production: a branch must get neither.
    SUPABASE_SECRET_KEY: project.secretKey,
    SUPABASE_URL: "https://production.example.com",
    SUPABASE_DB_URL: `${world.urls.main}?sslmode=disable`,
  });
  const { output, error } = await world.runByReference(
    "--branch=feature-x",
    `--env-file=${envFile}`,
    `--db-url=${world.urls.branch}?sslmode=disable`,
  );
  assert.equal(error, null, output);
  assert.equal(branch.secrets.get("SITE_URL"), "http://localhost:3000");
  await assertFunctions(branch);
  const rows = await world.branch<{ name: string; value: string }[]>`
    select name, decrypted_secret as value from vault.decrypted_secrets order by name`;
  assert.deepEqual(rows.map(({ value }) => value), [world.api.url, branch.secretKey]);
  assert.deepEqual(await everything(), before);
});

Deno.test("at the end the function health is asked, and what it finds wrong is told", async () => {
  const functions = `${world.root}/supabase/functions`;
  if (!(await exists(`${functions}/health/index.ts`))) {
    await Deno.mkdir(`${functions}/health`);
    await Deno.writeTextFile(`${functions}/health/index.ts`, "export default {};\n");
    await Deno.writeTextFile(
      `${world.root}/supabase/config.toml`,
      '\n[functions.health]\nverify_jwt = false\nimport_map = "./functions/deno.json"\n',
      { append: true },
    );
  }
  const { output, error } = await world.run();
  assert.equal(error, null, output);
  assert.match(output, /✓ health +done: health says ok/);
  const vault = { check_name: "vault_secrets", status: "fail", hint: "Store them." };
  world.api.project.health = { status: 503, body: { status: "fail", checks: [vault] } };
  const failing = await world.run();
  assert.match(
    failing.output,
    /✗ health +It is deployed, but health says fail\n +fail vault_secrets: Store them\./,
  );
  assert.match(failing.error ?? "", /Stopped at health\. Done: .*jobs, advisors\./);
});

Deno.test("the door of npm knows the command", async () => {
  const help = await mustRun("node", [`${ROOT}local/bootstrap.mjs`, "deploy", "--help"]);
  for (const flag of ["--dry-run", "--env-file", "--branch", "--db-url", "--project-ref"]) {
    assert.ok(help.includes(flag), flag);
  }
});

const LINT_REST = {
  facing: "EXTERNAL",
  categories: ["SECURITY"],
  description: "",
  remediation: "https://supabase.com/docs",
  cache_key: "x",
};

function secretValues(): string[] {
  return [
    SECRETS.STRIPE_SECRET_KEY,
    ...SECRETS.STRIPE_WEBHOOK_SECRET.split(","),
    SECRETS.SMTP_URL,
    world.api.token,
    world.api.project.secretKey,
    world.api.branch.secretKey,
    `:${new URL(world.urls.main).password}@`,
  ];
}

/** A person is told names, and never a value. */
function assertTold(output: string): void {
  assert.match(output, /STRIPE_SECRET_KEY/);
  for (const value of secretValues()) assert.ok(!output.includes(value), "a secret was printed");
}

/** Looks at the arguments of every process of the machine, as any user may. */
function watchArguments() {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of readdirSync("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        // Others may deploy, or test, on this machine at the same time.
        if (line.includes(world.root)) seen.add(line);
      } catch {
        // It ended meanwhile.
      }
    }
  }, 10);
  return {
    stop: () => {
      clearInterval(timer);
      return Promise.resolve([...seen]);
    },
  };
}

async function assertFunctions(project: Project): Promise<void> {
  const { functions } = await readProjectConfig(`${ROOT}supabase`);
  assert.deepEqual([...project.functions.keys()].toSorted(), Object.keys(functions).toSorted());
  for (const [slug, one] of project.functions) {
    assert.equal(one.verify_jwt, functions[slug]?.verify_jwt, slug);
    assert.equal(one.status, "ACTIVE");
    assert.equal(one.entrypoint_path, `supabase/functions/${slug}/index.ts`);
    assert.equal(one.import_map_path, "supabase/functions/deno.json");
    const files = project.files.get(slug);
    assert.equal(
      files?.get("supabase/functions/deno.json"),
      readFileSync(`${ROOT}supabase/functions/deno.json`, "utf8"),
    );
    assert.ok(![...files?.keys() ?? []].some((path) => /\.test\.ts$|\.env/.test(path)), slug);
  }
}

function localVersions(): string[] {
  return readdirSync(`${ROOT}supabase/migrations`).map((name) => name.slice(0, 14)).toSorted();
}

async function appliedVersions(): Promise<string[]> {
  const [table] = await world.main`
    select to_regclass('supabase_migrations.schema_migrations') is not null as there`;
  if (!table?.["there"]) return [];
  const rows = await world.main<{ version: string }[]>`
    select version from supabase_migrations.schema_migrations order by version`;
  return rows.map(({ version }) => version);
}

async function vault(): Promise<Record<string, string>> {
  const rows = await world.main<{ name: string; value: string }[]>`
    select name, decrypted_secret as value from vault.decrypted_secrets`;
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

async function activeJobs(): Promise<string[]> {
  const rows = await world.main<{ jobname: string }[]>`
    select jobname from cron.job where jobname like 'tollgate-%' and active`;
  return rows.map(({ jobname }) => jobname);
}

/** All that a deployment may write, as it is. */
async function everything() {
  const { project } = world.api;
  return {
    secrets: Object.fromEntries(project.secrets),
    functions: [...project.functions.values()],
    vault: await world.main`select name, decrypted_secret, updated_at from vault.decrypted_secrets`,
    jobs: await world.main`select * from cron.job order by jobid`,
    history: await appliedVersions(),
    deployments: await world.main`select * from billing.deployments order by id`,
  };
}
