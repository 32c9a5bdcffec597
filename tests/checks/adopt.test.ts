/**
 * A foreign project with Tollgate in it, over HTTP: its own table behind the gate through the API, our functions from its own
 * folder, Stripe's sandbox, and a plan that is paid for. The parts are those of the local platform, on its files.
 */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { adopt, supabase, withForeignProject } from "../../local/operator/adopt/testing.ts";
import { startApi } from "../../local/api.ts";
import { parseProjectConfig } from "../../local/config.ts";
import { startFunctions } from "../../local/functions.ts";
import { startGateway } from "../../local/gateway.ts";
import { startTestDatabase } from "../../local/testing.ts";
import { JWT_SECRET, PUBLISHABLE_KEY, SANDBOX_KEY, SECRET_KEY } from "../../local/stack_options.ts";
import { startStripeSandbox } from "../../local/stripe/server.ts";
import { stripeClient } from "../../local/stripe_setup/mod.ts";
import { Tokens } from "../../local/tokens.ts";
import { NODE_MODULES } from "../../local/paths.ts";
import { launchBrowser, visitor } from "../support/browser.ts";
import { CARDS, pay } from "../support/hosted.ts";
import { mustRun, ROOT } from "../support/run.ts";

const PASSWORD = "correct horse battery staple";

Deno.test("an adopted Tollgate works over HTTP, from the foreign project's own files", async (t) => {
  await withForeignProject(async (root) => {
    assert.equal((await adopt(root, "--prefix=tollgate-")).code, 0);
    await Deno.symlink(NODE_MODULES, `${root}/node_modules`);
    const config = parseProjectConfig(await Deno.readTextFile(`${root}/supabase/config.toml`));
    assert.deepEqual(config.api.schemas, ["public", "app", "tollgate"]);

    await t.step("its functions type-check, ours with theirs", async () => {
      await Deno.writeTextFile(`${root}/deno.json`, '{"nodeModulesDir":"manual"}');
      await Deno.copyFile("package.json", `${root}/package.json`);
      const functions = Object.keys(config.functions).map((name) =>
        `${root}/supabase/functions/${name}/index.ts`
      );
      assert.ok(functions.length > 10);
      await mustRun(Deno.execPath(), ["check", "--quiet", ...functions], { timeoutMs: 300_000 });
    });

    const stops: (() => Promise<unknown>)[] = [];
    try {
      const started = await startAll(root, config, stops);
      await journey(t, started);
      await t.step("its own client shows it, from the surface in web/", () => inBrowser(started));
    } finally {
      for (const stop of stops.reverse()) await stop();
    }
  });
});

type Started = Awaited<ReturnType<typeof startAll>>;

async function startAll(
  root: string,
  config: ReturnType<typeof parseProjectConfig>,
  stops: (() => Promise<unknown>)[],
) {
  const test = await startTestDatabase();
  stops.push(test.stop);
  const pushed = await supabase(root, test.database.url, "db", "push", "--yes");
  assert.equal(pushed.code, 0, pushed.text);
  const sandbox = await startStripeSandbox({
    port: 0,
    dataDir: test.dataDir,
    secretKey: SANDBOX_KEY,
  });
  stops.push(() => sandbox.stop());
  const [port, sitePort] = [freePort(), freePort()];
  const siteUrl = `http://127.0.0.1:${sitePort}`;
  const apiUrl = `http://127.0.0.1:${port}`;
  const printed: string[] = [];
  const log = (line: string) => void printed.push(line);
  const tokens = new Tokens(JWT_SECRET);
  const functions = await startFunctions({
    folder: `${root}/supabase/functions`,
    dataDir: test.dataDir,
    watch: false,
    log,
    network: [`127.0.0.1:${port}`, `127.0.0.1:${sandbox.port}`],
    env: {
      SUPABASE_URL: apiUrl,
      SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE_KEY,
      SUPABASE_SECRET_KEY: SECRET_KEY,
      SUPABASE_JWKS: tokens.privateJwks,
      STRIPE_SECRET_KEY: SANDBOX_KEY,
      STRIPE_WEBHOOK_SECRET: "whsec_x",
      STRIPE_API_BASE: sandbox.url,
      SITE_URL: siteUrl,
    },
  }, test.supervisor);
  stops.push(() => functions.stop());
  const api = await startApi({
    database: test.database,
    config,
    jwtSecret: JWT_SECRET,
    publishableKey: PUBLISHABLE_KEY,
    secretKey: SECRET_KEY,
    apiUrl,
    siteUrl,
    log,
  });
  stops.push(() => api.stop());
  const gateway = startGateway({ port, api, config, functions, tokens, log });
  stops.push(() => gateway.stop());
  const stripe = stripeClient(SANDBOX_KEY, sandbox.url);
  return { apiUrl, sitePort, siteUrl, sql: test.sql, stripe, printed };
}

async function journey(t: Deno.TestContext, { apiUrl, sql, stripe, printed }: Started) {
  await sql`select billing.attach_quota('app.chat_messages', 'writer', 'message', 'speaker = ''person''')`;
  const client = createClient(apiUrl, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await client.auth.signUp({
    email: "ada@parley.test",
    password: PASSWORD,
  });
  assert.equal(error, null);
  const id = data.user?.id ?? "";
  const say = () => client.schema("app").from("chat_messages").insert({ words: "hello" });

  await t.step("the day's messages of its own table, and not one more", async () => {
    for (let n = 0; n < 50; n++) assert.equal((await say()).error, null);
    const refused = await say();
    assert.equal(refused.status, 429);
    assert.equal(refused.error?.code, "message_quota_exceeded");
    const stranger = await client.schema("app").from("chat_messages")
      .insert({ words: "x", writer: crypto.randomUUID() });
    assert.equal(stranger.status, 403);
  });

  await t.step("what is used is told by our schema, and its own names are its own", async () => {
    const usage = await client.schema("tollgate").rpc("my_usage");
    assert.deepEqual(
      usage.data?.find(({ metric }: { metric: string }) => metric === "message")?.used,
      50,
    );
    assert.equal((await client.rpc("my_entitlements")).data, "gold");
  });

  await t.step("a plan is bought, by our functions in its folder", async () => {
    const [price] = await sql<{ amount: number; currency: string }[]>`
      select unit_amount_minor::int as amount, currency from tollgate.prices where lookup_key = 'pro_monthly'`;
    const product = await stripe.products.create({ name: "Pro" });
    await stripe.prices.create({
      product: product.id,
      lookup_key: "pro_monthly",
      currency: price?.currency ?? "",
      unit_amount: price?.amount ?? 0,
      recurring: { interval: "month" },
    });
    const checkout = await client.functions.invoke("tollgate-checkout", {
      body: { lookup_key: "pro_monthly" },
    });
    assert.equal(checkout.error, null, printed.join("\n"));
    const left = await pay(checkout.data.url, CARDS.success);
    assert.ok("leftTo" in left, JSON.stringify(left));
    const synced = await client.functions.invoke("tollgate-sync", { body: {} });
    assert.equal(synced.error, null, printed.join("\n"));
    assert.equal(synced.data.entitlements.plan.id, "pro");
    const [row] = await sql<{ plan: string }[]>`
      select plan_id as plan from tollgate.entitlements where user_id = ${id}`;
    assert.equal(row?.plan, "pro");
  });

  await t.step("and its messages go on", async () => {
    for (let n = 0; n < 3; n++) assert.equal((await say()).error, null);
  });
}

/** The foreign client, built by Vite and served from its own origin, in front of somebody with a plan they pay for. */
async function inBrowser({ apiUrl, sitePort, siteUrl, sql }: Started): Promise<void> {
  const outDir = await Deno.makeTempDir({ prefix: "tollgate-foreign-web-" });
  const script = `
    import { build } from "vite";
    import react from "@vitejs/plugin-react";
    import tailwindcss from "@tailwindcss/vite";
    await build({ root: ${
    JSON.stringify(`${ROOT}web/examples/parley`)
  }, configFile: false, logLevel: "error",
      plugins: [react(), tailwindcss()], build: { outDir: ${
    JSON.stringify(outDir)
  }, emptyOutDir: true } });`;
  await mustRun("node", ["--input-type=module", "--eval", script], {
    timeoutMs: 120_000,
    env: { VITE_SUPABASE_URL: apiUrl, VITE_SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE_KEY },
  });
  const site = Deno.serve(
    { port: sitePort, hostname: "127.0.0.1", onListen: () => {} },
    async ({ url }) => {
      const { pathname } = new URL(url);
      const path = pathname.startsWith("/assets/") ? pathname : "/index.html";
      const type = path.endsWith(".js")
        ? "text/javascript"
        : path.endsWith(".css")
        ? "text/css"
        : "text/html";
      return new Response(await Deno.readFile(outDir + path), {
        headers: { "content-type": type },
      });
    },
  );
  const browser = await launchBrowser();
  try {
    const { page, problems } = await visitor(browser);
    await page.goto(siteUrl);
    await page.getByLabel("E-mail").fill("ada@parley.test");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Come in" }).click();
    await page.getByRole("heading", { name: "Parley on Pro" }).waitFor();
    const meter = page.getByRole("meter", { name: "Messages today" });
    await meter.waitFor();
    assert.equal(await meter.getAttribute("aria-valuetext"), "53 of 500 used");
    await page.getByRole("button", { name: "Speak" }).click();
    await page.getByText("said", { exact: true }).waitFor();
    await page.waitForFunction(
      `document.querySelector('[role=meter]').ariaValueText === "54 of 500 used"`,
    );
    await sql`update billing.usage_counters set used = 500 where metric_id = 'message'`;
    await page.getByRole("button", { name: "Speak" }).click();
    await page.getByText("message_quota_exceeded").waitFor();
    await page.getByRole("region", { name: "Limit reached" }).waitFor();
    await page.getByRole("button", { name: /Upgrade to Business · / }).click();
    await page.getByRole("dialog").getByText("Business").first().waitFor();
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    await site.shutdown();
    await Deno.remove(outDir, { recursive: true });
  }
}

function freePort(): number {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  return port;
}
