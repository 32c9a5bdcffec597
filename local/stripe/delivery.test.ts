import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { startStripeSandbox } from "./server.ts";
import {
  client,
  customerWithCard,
  eventually,
  KEY,
  monthlyPrice,
  receiver,
  withSandbox,
} from "./testing.ts";

Deno.test("a failing endpoint is tried again with back-off, logged, and can be sent to again", () =>
  withSandbox(async ({ stripe, url }) => {
    let secret = "";
    const hook = await receiver(() => secret);
    const endpoint = await stripe.webhookEndpoints.create({
      url: hook.url,
      enabled_events: ["customer.created"],
    });
    const away = await stripe.webhookEndpoints.create({
      url: "http://example.com/hook",
      enabled_events: ["*"],
    });
    secret = endpoint.secret ?? "";
    hook.answers.push(500, 302);
    const customer = await stripe.customers.create({ name: "Ada" });
    const event = await eventually("the event", () => Promise.resolve(hook.events[0]));
    assert.ok(event.type === "customer.created" && event.data.object.id === customer.id);
    const deliveries = async () => (await (await fetch(`${url}/_sandbox/deliveries`)).json()).data;
    const log = await eventually("the log", async () => {
      const rows = await deliveries();
      const mine = rows.find((row: { webhook_endpoint: string }) =>
        row.webhook_endpoint === endpoint.id
      );
      return mine.state === "delivered" && rows;
    });
    const of = (id: string) =>
      log.find((row: { webhook_endpoint: string }) => row.webhook_endpoint === id);
    assert.deepEqual(of(endpoint.id).log.map((row: { status: number }) => row.status), [
      500,
      302,
      200,
    ]);
    assert.equal(of(away.id).state, "failed");
    assert.match(of(away.id).log[0].error, /never sends anything elsewhere/);
    await stripe.webhookEndpoints.del(away.id);
    const resent = await fetch(`${url}/_sandbox/events/${event.id}/resend`, { method: "POST" });
    assert.deepEqual(await resent.json(), { queued: 1 });
    await eventually("the second delivery", () => Promise.resolve(hook.events.length === 2));
    assert.equal(hook.events[1]?.id, event.id);
    const forged = client(1).webhooks.constructEventAsync(
      hook.bodies[0]?.body ?? "",
      hook.bodies[0]?.signature ?? "",
      "whsec_other",
    );
    await assert.rejects(forged);
    await hook.close();
  }, { deliveryBackoff: [0.02, 0.02, 0.02] }));

Deno.test("state, keys and undelivered events survive a restart", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-stripe-" });
  const options = { port: 0, dataDir, secretKey: KEY };
  const first = await startStripeSandbox({ ...options, deliveryBackoff: [1] });
  let stripe = client(first.port);
  let secret = "";
  const hook = await receiver(() => secret);
  secret =
    (await stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ["*"] })).secret ?? "";
  hook.answers.push(503);
  const made = await stripe.customers.create({ name: "Ada" }, { idempotencyKey: "once" });
  await eventually("the first attempt", () => Promise.resolve(hook.bodies.length === 1));
  await first.stop();
  const second = await startStripeSandbox(options);
  stripe = client(second.port);
  assert.equal(
    (await stripe.customers.create({ name: "Ada" }, { idempotencyKey: "once" })).id,
    made.id,
  );
  assert.equal((await stripe.customers.list()).data.length, 1);
  await eventually(
    "the delivery after the restart",
    () => Promise.resolve(hook.events.length === 1),
  );
  await second.stop();
  await hook.close();
  await Deno.remove(dataDir, { recursive: true });
});

Deno.test("kill -9 in the middle loses nothing that was answered", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-stripe-" });
  const server = fileURLToPath(new URL("./server.ts", import.meta.url));
  const port = await freePort();
  const start = () =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        server,
        "--port",
        String(port),
        "--data-dir",
        dataDir,
        "--secret-key",
        KEY,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
  const stripe = client(port);
  let child = start();
  const up = () => stripe.customers.list().then(() => true, () => false);
  await eventually("the server is up", up);
  const ids: string[] = [];
  const writer = (async () => {
    for (let i = 0; i < 500; i += 1) ids.push((await stripe.customers.create({ name: `${i}` })).id);
  })().catch(() => {});
  await eventually("some customers", () => Promise.resolve(ids.length > 20));
  child.kill("SIGKILL");
  await child.status;
  await writer;
  child = start();
  await eventually("the server is up again", up);
  const kept = new Set<string>();
  for await (const customer of stripe.customers.list({ limit: 100 })) kept.add(customer.id);
  assert.deepEqual(ids.filter((id) => !kept.has(id)), []);
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await Deno.remove(dataDir, { recursive: true });
});

async function freePort(): Promise<number> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return await Promise.resolve(port);
}

Deno.test("the sandbox's own time moves forward: a customer without a test clock renews and ends", () =>
  withSandbox(async ({ stripe, url }) => {
    const price = await monthlyPrice(stripe);
    const { customer } = await customerWithCard(stripe);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const end = sub.items.data[0]?.current_period_end ?? 0;
    const move = async (body: Record<string, number>) => {
      const answer = await fetch(`${url}/_sandbox/clock`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: await answer.json() };
    };
    assert.equal((await move({ to: end + 7200 })).body.now, end + 7200);
    assert.equal((await stripe.invoices.list({ status: "paid" })).data.length, 2);
    await stripe.subscriptions.update(sub.id, { cancel_at_period_end: true });
    await move({ seconds: 32 * 86_400 });
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "canceled");
    assert.equal((await move({ seconds: -1 })).status, 400);
    assert.equal((await move({ to: end })).status, 400);
  }));
