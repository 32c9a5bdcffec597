import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { startStripeSandbox, type StripeSandbox } from "../../local/stripe/server.ts";
import { everything, secretOf } from "../../local/stripe_setup/testing.ts";
import { stripeClient } from "../../local/stripe_setup/mod.ts";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { mustRun, type Outcome, ROOT, run } from "../support/run.ts";
import { customerOf, priceOf, quiet } from "../support/sandbox.ts";
import { eventually, type Person, request, signUp, sql, stack, stripe } from "../support/stack.ts";
import { entitlements } from "../support/subscription.ts";

const TEST_KEY = "sk_test_operator0001";
const LIVE_KEY = "sk_live_operator0001";
const HOOK = "https://project.example/functions/v1/stripe-webhook";

/** `npm run stripe:setup`, for the project of this run. */
async function setup(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  const { api_url, secret_key } = stack();
  return await run("node", ["local/bootstrap.mjs", "stripe:setup", ...args], {
    env: {
      SUPABASE_URL: api_url,
      SUPABASE_SECRET_KEY: secret_key,
      STRIPE_WEBHOOK_SECRET: "",
      ...env,
    },
  });
}

async function withAccount(
  secretKey: string,
  work: (
    account: { sandbox: StripeSandbox; dataDir: string; env: Record<string, string> },
  ) => Promise<void>,
): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-account-" });
  const sandbox = await startStripeSandbox({ port: 0, dataDir, secretKey });
  try {
    const env = { STRIPE_SECRET_KEY: secretKey, STRIPE_API_BASE: sandbox.url };
    await work({ sandbox, dataDir, env });
  } finally {
    await sandbox.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test("an empty account is set up in one run; its secrets are printed once and stand in no file", () =>
  withAccount(TEST_KEY, async ({ sandbox, dataDir, env }) => {
    const before = everything(dataDir);
    const dry = await setup(env, "--dry-run", `--webhook-url=${HOOK}`);
    assert.equal(dry.code, 2, dry.stderr);
    assert.ok(dry.stdout.startsWith(`Stripe: test account of sk_test_…0001 at ${sandbox.url}\n`));
    assert.match(dry.stdout, /\+ price +pro_monthly +\$15\.00 a month, €14\.00, £12\.00/);
    assert.match(dry.stdout, /\+ webhook +connect/);
    assert.doesNotMatch(dry.stdout, /whsec_/);
    assert.deepEqual(everything(dataDir), before);

    const first = await setup(env, `--webhook-url=${HOOK}`);
    assert.equal(first.code, 0, first.stderr);
    const line = /secrets set STRIPE_WEBHOOK_SECRET='([^']+)'/.exec(first.stdout)?.[1] ?? "";
    const printed = line.split(",");
    assert.equal(printed.length, 4);
    const client = stripeClient(TEST_KEY, sandbox.url);
    const endpoints = [
      ...(await client.webhookEndpoints.list()).data,
      ...(await client.v2.core.eventDestinations.list()).data,
    ];
    const secrets = endpoints.map(({ id }) => secretOf(dataDir, id));
    assert.deepEqual(printed.toSorted(), secrets.toSorted());
    await nowhere([...secrets, TEST_KEY]);

    const after = everything(dataDir);
    for (const args of [["--dry-run"], []]) {
      const again = await setup(env, `--webhook-url=${HOOK}`, ...args);
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout, /Nothing to do/);
      assert.doesNotMatch(again.stdout, /whsec_/);
    }
    assert.deepEqual(everything(dataDir)["objects"], after["objects"]);
    // Of one that is new alone, the others' secrets are not forgotten.
    const connect = endpoints.find(({ metadata }) => metadata?.["tollgate"] === "connect");
    await client.webhookEndpoints.del(connect?.id ?? "");
    const kept = { ...env, STRIPE_WEBHOOK_SECRET: line };
    const third = await setup(kept, `--webhook-url=${HOOK}`);
    assert.ok(third.stdout.includes(`STRIPE_WEBHOOK_SECRET='${line},whsec_`), third.stdout);
  }));

/** No file that git would take has any of these. */
async function nowhere(secrets: string[]): Promise<void> {
  const list = await mustRun("git", [
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
  ]);
  const files = list.split("\0").filter((path) => path !== "");
  assert.ok(files.length > 300);
  const has = (path: string) => {
    try {
      const text = readFileSync(`${ROOT}${path}`, "utf8");
      // This file names the key it makes up.
      return secrets.some((secret) =>
        text.includes(secret) && !(secret === TEST_KEY && path.endsWith("stripe_setup.test.ts"))
      );
    } catch {
      return false;
    }
  };
  assert.deepEqual(files.filter(has), []);
}

Deno.test("a live account is set up only when it is meant", () =>
  withAccount(LIVE_KEY, async ({ dataDir, env }) => {
    const before = everything(dataDir);
    for (const key of [LIVE_KEY, LIVE_KEY.replace("sk_", "rk_")]) {
      const refused = await setup({ ...env, STRIPE_SECRET_KEY: key }, `--webhook-url=${HOOK}`);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /is a live key\. Say --live/);
      assert.doesNotMatch(refused.stdout + refused.stderr, new RegExp(key));
    }
    assert.deepEqual(everything(dataDir), before);
    // Meant for Stripe itself, and not for whoever else speaks its API.
    for (const args of [["--live"], ["--live", "--dry-run"]]) {
      const elsewhere = await setup(env, ...args, `--webhook-url=${HOOK}`);
      assert.equal(elsewhere.code, 1, elsewhere.stdout);
      assert.match(elsewhere.stderr, /STRIPE_API_BASE \(http:\S+\) is not Stripe itself: unset it/);
    }
    assert.deepEqual(everything(dataDir), before);
  }));

Deno.test("whatever is not clear is refused before anything is asked of Stripe", () =>
  withAccount(TEST_KEY, async ({ dataDir, env }) => {
    const before = everything(dataDir);
    const refusals: [Record<string, string>, string[], RegExp][] = [
      [env, ["--live"], /--live is for a live key/],
      [{ ...env, STRIPE_SECRET_KEY: "" }, [], /STRIPE_SECRET_KEY is not set/],
      [{ ...env, STRIPE_SECRET_KEY: "pk_test_1" }, [], /no secret key of Stripe's/],
      [env, ["--yes"], /--yes/],
      [{ ...env, STRIPE_API_BASE: "elsewhere" }, [], /STRIPE_API_BASE is no URL/],
      [env, ["--webhook-url=http://project.example/hook"], /by https only/],
      [env, ["--webhook-url=hook"], /no address/],
      [{ ...env, SUPABASE_SECRET_KEY: "sb_secret_wrong" }, [], /did not answer its catalogue/],
      [{ ...env, STRIPE_SECRET_KEY: "sk_test_another0001" }, [], /Stripe refused: Invalid API Key/],
    ];
    for (const [settings, args, words] of refusals) {
      const refused = await setup(settings, ...args);
      assert.equal(refused.code, 1, `${args}: ${refused.stdout}${refused.stderr}`);
      assert.match(refused.stderr, words);
      assert.doesNotMatch(refused.stderr, /\n\s+at /, "a sentence, not a stack");
    }
    assert.deepEqual(everything(dataDir), before);
  }));

Deno.test("a run that only looked, or could not connect, does not say that something was done", async () => {
  // Nobody answers at port 9.
  const env = { STRIPE_SECRET_KEY: TEST_KEY, STRIPE_API_BASE: "http://127.0.0.1:9" };
  for (const args of [["--dry-run"], []]) {
    const { code, stdout, stderr } = await setup(env, `--webhook-url=${HOOK}`, ...args);
    assert.equal(code, 1, stdout);
    assert.match(stderr, /^✗ Stripe cannot be reached: .* Nothing was changed\.$/m);
    assert.doesNotMatch(stderr, /What was done stays/);
  }
});

Deno.test("what was done before Stripe refused stays, and that is said", () =>
  withAccount(TEST_KEY, async ({ sandbox, env }) => {
    const client = stripeClient(TEST_KEY, sandbox.url);
    for (let n = 0; n < 16; n++) {
      await client.webhookEndpoints.create({ url: `${HOOK}/${n}`, enabled_events: ["*"] });
    }
    const { code, stderr } = await setup(env, `--webhook-url=${HOOK}`);
    assert.equal(code, 1);
    assert.match(stderr, /Stripe refused: .*maximum of 16.* What was done stays; start again/);
  }));

Deno.test("the account of Stripe itself gets no endpoint that would deliver to this machine", async () => {
  // Nobody answers there; the refusal shows how far it came. Without an API base it would be Stripe's own.
  const { api_url } = stack();
  const local = await setup({
    STRIPE_SECRET_KEY: LIVE_KEY,
    STRIPE_API_BASE: "",
    SUPABASE_URL: api_url,
  }, "--live");
  assert.equal(local.code, 1);
  assert.match(local.stderr, /cannot deliver to this machine/);
  assert.match(local.stdout, /^Stripe: LIVE account of sk_live_…0001\n/);
  assert.doesNotMatch(local.stdout + local.stderr, new RegExp(LIVE_KEY));
});

Deno.test("without a key and a project it is the running stack with its sandbox, and it says so", async () => {
  const env = {
    STRIPE_SECRET_KEY: "",
    STRIPE_API_BASE: "",
    SUPABASE_URL: "",
    SUPABASE_SECRET_KEY: "",
    TOLLGATE_DATA_DIR: dirname(Deno.env.get("TEST_STACK") ?? ""),
  };
  const here = await setup(env, "--dry-run");
  // Other tests may have left rows of their own.
  assert.ok([0, 2].includes(here.code), here.stderr);
  const { stripe_url, api_url } = stack();
  const head = `Stripe: the sandbox of the running stack at ${stripe_url}, since STRIPE_SECRET_KEY`;
  assert.ok(here.stdout.startsWith(head), here.stdout);
  assert.ok(here.stdout.includes(`Catalogue of ${api_url}\n`));
  const refusals: [Record<string, string>, string[]][] = [
    [env, ["--live"]],
    [{ ...env, SUPABASE_URL: api_url }, []],
    [{ ...env, TOLLGATE_DATA_DIR: "/nowhere" }, []],
  ];
  for (const [settings, args] of refusals) {
    const refused = await setup(settings, "--dry-run", ...args);
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stderr, /STRIPE_SECRET_KEY is not set/);
  }
});

async function checkout(person: Person) {
  return await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: "pro_monthly" },
  });
}

Deno.test("a dearer price is sold from the next run on, and who has the old one goes on paying it", async () => {
  const env = {
    STRIPE_SECRET_KEY: "sk_test_tollgate_sandbox",
    STRIPE_API_BASE: stack().stripe_url,
  };
  // Other tests may have left rows of their own. Without a project named, it is the one that runs, by its data directory.
  const first = await setup({
    ...env,
    SUPABASE_URL: "",
    SUPABASE_SECRET_KEY: "",
    TOLLGATE_DATA_DIR: dirname(Deno.env.get("TEST_STACK") ?? ""),
  });
  assert.equal(first.code, 0, first.stderr);
  assert.ok(first.stdout.includes(`Catalogue of ${stack().api_url}\n`));
  const oldPrice = await priceOf("pro_monthly");
  const now = Math.floor(Date.now() / 1000);
  const clock = await stripe().testHelpers.testClocks.create({ frozen_time: now });
  const ada = await signUp("ada");
  const customer = await customerOf(ada, { clock: clock.id });
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: oldPrice }],
  });
  await eventually(() => entitlements(ada), ({ source }) => source === "subscription");

  const db = sql({ max: 1 });
  const reprice = (amount: number) =>
    db`update public.prices set unit_amount_minor = ${amount} where lookup_key = 'pro_monthly'`;
  try {
    await reprice(1900);
    const grace = await signUp("grace");
    // Row and price disagree until the set-up has run.
    assert.equal((await checkout(grace)).status, 503);
    const dry = await setup(env, "--dry-run");
    assert.equal(dry.code, 2, dry.stderr);
    assert.match(dry.stdout, /± price +pro_monthly +\$15\.00 a month.* → \$19\.00 a month/);
    assert.equal(await priceOf("pro_monthly"), oldPrice);
    assert.equal((await setup(env)).code, 0);

    const newPrice = await priceOf("pro_monthly");
    assert.notEqual(newPrice, oldPrice);
    const opened = await checkout(grace);
    assert.equal(opened.status, 200, opened.text);
    mustLeave(await pay(String(Object(opened.body).url), CARDS.success));
    await eventually(() => entitlements(grace), ({ source }) => source === "subscription");
    const { data } = await grace.client.from("invoices").select("total_minor");
    assert.deepEqual(data, [{ total_minor: 1900 }]);

    await stripe().testHelpers.testClocks.advance(clock.id, { frozen_time: now + 32 * 86_400 });
    const paid = await eventually(
      () => stripe().invoices.list({ customer, status: "paid" }),
      ({ data }) => data.length === 2,
    );
    assert.deepEqual(paid.data.map(({ total }) => total), [1500, 1500]);
    const present = await stripe().subscriptions.retrieve(subscription.id);
    assert.deepEqual(present.items.data.map(({ price }) => price.id), [oldPrice]);
    await quiet();
    // The old price has lost the key, and its subscriber has not lost the plan.
    const access = await entitlements(ada);
    assert.deepEqual(
      [access.plan.id, access.subscription?.price_lookup_key],
      ["pro", "pro_monthly"],
    );
  } finally {
    await reprice(1500);
    await db.end();
    const back = await setup(env);
    assert.match(back.stdout, /→ price +pro_monthly/);
  }
  assert.equal(await priceOf("pro_monthly"), oldPrice);
});
