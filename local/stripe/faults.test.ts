import assert from "node:assert/strict";
import Stripe from "stripe";
import {
  customerWithCard,
  eventually,
  type Fixture,
  KEY,
  monthlyPrice,
  type Receiver,
  receiver,
  refusal,
  withSandbox,
} from "./testing.ts";

async function control(url: string, path: string, body?: unknown, method = "POST") {
  const answer = await fetch(`${url}/_sandbox/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() };
}
const get = async (url: string, path: string) => (await control(url, path, undefined, "GET")).body;

Deno.test("another site's page moves no clock, makes no fault and reads nothing by another name", () =>
  withSandbox(async ({ url }) => {
    const now = (await get(url, "clock")).now;
    const hostile: Record<string, string>[] = [
      { origin: "https://evil.test" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site", "content-type": "text/plain" },
    ];
    const doors: [string, unknown][] = [
      ["clock", { seconds: 60 }],
      ["faults", { kind: "status", status: 500, match: { path: "/v1/" }, times: 9 }],
      ["delivery", { mode: "hold" }],
      ["delivery/discard", { all: true }],
    ];
    for (const headers of hostile) {
      for (const [path, body] of doors) {
        const answer = await fetch(`${url}/_sandbox/${path}`, {
          method: "POST",
          headers,
          body: JSON.stringify(body),
        });
        assert.equal(answer.status, 403, `${path}: ${await answer.text()}`);
      }
    }
    assert.deepEqual((await get(url, "faults")).data, []);
    assert.equal((await get(url, "delivery")).mode, "normal");
    assert.ok((await get(url, "clock")).now - now < 30);
    const { hostname, port } = new URL(url);
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const host = `rebound.evil.test:${port}`;
    await connection.write(new TextEncoder().encode(
      `GET /_sandbox/deliveries HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    ));
    const buffer = new Uint8Array(1_000);
    const read = await connection.read(buffer);
    assert.match(new TextDecoder().decode(buffer.subarray(0, read ?? 0)), /^HTTP\/1\.1 421/);
  }));

Deno.test("a status fault answers in Stripe's shape, so often, where it fits, and does nothing", () =>
  withSandbox(async ({ stripe, url }) => {
    const match = { method: "POST", path: "/v1/customers" };
    const { body } = await control(url, "faults", { kind: "status", status: 429, match, times: 2 });
    const limited = await refusal(stripe.customers.create({}));
    assert.ok(limited instanceof Stripe.errors.StripeRateLimitError);
    assert.deepEqual([limited.statusCode, limited.code], [429, "rate_limit"]);
    assert.equal((await stripe.customers.list()).data.length, 0);
    await refusal(stripe.customers.create({}));
    await stripe.customers.create({ name: "third" });
    const [shown] = (await get(url, "faults")).data;
    assert.deepEqual([shown.id, shown.left, shown.hits.length], [body.id, 0, 2]);

    await control(url, "faults", {
      kind: "status",
      status: 500,
      skip: 1,
      match: { contains: "Bob" },
    });
    await stripe.customers.create({ name: "Bob" });
    const broken = await refusal(stripe.customers.create({ name: "Bob" }));
    assert.ok(broken instanceof Stripe.errors.StripeAPIError && broken.statusCode === 500);

    // Done, and yet refused: only an idempotency key tells what happened.
    await control(url, "faults", { kind: "status", status: 503, after: true });
    const once = { idempotencyKey: "once" };
    await refusal(stripe.customers.create({ name: "Cy" }, once));
    const again = await stripe.customers.create({ name: "Cy" }, once);
    assert.equal((await stripe.customers.list()).data.filter((c) => c.name === "Cy").length, 1);
    assert.match(again.id, /^cus_/);
    assert.deepEqual((await control(url, "faults", undefined, "DELETE")).body, { cleared: 3 });
    assert.equal((await control(url, "faults", { kind: "explode" })).status, 400);
  }));

Deno.test("a dropped connection is one: before, nothing was done; after, it was", () =>
  withSandbox(async ({ stripe, url, sandbox }) => {
    const headers = { authorization: `Bearer ${KEY}` };
    for (const [kind, done] of [["timeout_before", 0], ["timeout_after", 1]] as const) {
      await control(url, "faults", { kind, match: { method: "POST", contains: kind } });
      const body = new URLSearchParams({ name: kind });
      await assert.rejects(
        fetch(`${url}/v1/customers`, { method: "POST", headers, body }),
        TypeError,
      );
      const { data } = await stripe.customers.list({ limit: 100 });
      assert.equal(data.filter((customer) => customer.name === kind).length, done);
      await control(url, "faults", { kind, match: { contains: `${kind}-sdk` } });
      const lost = await refusal(stripe.customers.create({ name: `${kind}-sdk` }));
      assert.ok(lost instanceof Stripe.errors.StripeConnectionError);
      // The SDK's own retry carries the same idempotency key, so it happens once.
      await control(url, "faults", { kind, match: { contains: `${kind}-retried` } });
      const patient = new Stripe(KEY, {
        host: "127.0.0.1",
        port: sandbox.port,
        protocol: "http",
        maxNetworkRetries: 2,
      });
      await patient.customers.create({ name: `${kind}-retried` });
      const all = await stripe.customers.list({ limit: 100 });
      assert.equal(all.data.filter((each) => each.name === `${kind}-retried`).length, 1);
    }
  }));

Deno.test("a delay delays, before or after the deed", () =>
  withSandbox(async ({ stripe, url }) => {
    await control(url, "faults", { kind: "delay", ms: 300, after: true });
    const started = performance.now();
    const slow = stripe.customers.create({ name: "Ada" });
    await eventually("the deed", async () => {
      const state = await get(url, "state");
      return state.change > 0;
    });
    assert.ok(performance.now() - started < 290);
    await slow;
    assert.ok(performance.now() - started >= 290);
  }));

Deno.test("a stale GET is answered from the past, once, and changes nothing", () =>
  withSandbox(async ({ stripe, url }) => {
    const price = await monthlyPrice(stripe);
    const { customer } = await customerWithCard(stripe);
    const { change: before } = await get(url, "state");
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const ending = await stripe.subscriptions.update(sub.id, { cancel_at_period_end: true });
    await stripe.customers.create({ name: "somebody else" });
    const list = async () => (await stripe.subscriptions.list({ customer: customer.id })).data;

    await control(url, "faults", { kind: "stale", customer: customer.id });
    assert.equal((await list())[0]?.cancel_at_period_end, false);
    assert.equal((await list())[0]?.cancel_at_period_end, true);
    await control(url, "faults", { kind: "stale", changes: 2, customer: customer.id });
    assert.deepEqual(await list(), []);
    await control(url, "faults", { kind: "stale", changes: 500, customer: customer.id });
    assert.equal((await refusal(stripe.customers.retrieve(customer.id))).statusCode, 404);
    await control(url, "faults", { kind: "stale", as_of: before });
    assert.equal((await refusal(stripe.subscriptions.retrieve(sub.id))).statusCode, 404);
    await control(url, "faults", { kind: "stale", changes: 2 });
    const same = await stripe.subscriptions.retrieve(sub.id);
    assert.equal(same.cancel_at_period_end, false);

    await stripe.subscriptions.cancel(sub.id);
    await control(url, "faults", { kind: "stale", customer: customer.id });
    const events = (await stripe.events.list({ type: "customer.subscription.deleted" })).data;
    assert.equal(events.length, 0);
    const state = await get(url, `state?customer=${customer.id}`);
    assert.deepEqual(state.subscriptions.map((each: Stripe.Subscription) => each.status), [
      "canceled",
    ]);
    assert.equal(state.customer.id, customer.id);
    assert.equal((await stripe.subscriptions.retrieve(ending.id)).status, "canceled");
  }));

async function hooked(
  { stripe }: Fixture,
  run: (hook: Receiver) => Promise<void>,
): Promise<void> {
  let secret = "";
  const hook = await receiver(() => secret);
  const enabled_events = ["customer.created" as const];
  secret = (await stripe.webhookEndpoints.create({ url: hook.url, enabled_events })).secret ?? "";
  await run(hook);
  await hook.close();
}

const name = (event: Stripe.Event) =>
  event.type === "customer.created" ? event.data.object.name : null;

Deno.test("held deliveries are listed, delivered in a chosen order, discarded and released", () =>
  withSandbox((fixture) =>
    hooked(fixture, async (hook) => {
      const { stripe, url } = fixture;
      await control(url, "delivery", { mode: "hold" });
      for (const name of ["a", "b", "c", "d"]) await stripe.customers.create({ name });
      const { data: held } = await get(url, "delivery/held");
      assert.equal(held.length, 4);
      const [a, b, c, d] = held;
      assert.match(a.id, /^dlv_/);
      assert.equal(a.type, "customer.created");
      const done = await control(url, "delivery/deliver", { ids: [c.id, a.event, c.id] });
      assert.deepEqual(done.body.data.map((each: { status: number }) => each.status), [
        200,
        200,
        200,
      ]);
      assert.deepEqual(hook.events.map(name), ["c", "a", "c"]);
      hook.answers.push(500);
      await control(url, "delivery/deliver", { ids: [b.id] });
      assert.equal((await get(url, "delivery/held")).data.length, 2);
      assert.deepEqual((await control(url, "delivery/discard", { ids: [b.id] })).body, {
        discarded: 1,
      });
      assert.equal((await control(url, "delivery/deliver", { ids: ["dlv_none"] })).status, 404);
      assert.deepEqual((await control(url, "delivery", { mode: "release" })).body.released, 1);
      await eventually("the released one", () => Promise.resolve(hook.events.length === 4));
      assert.equal(name(hook.events[3] ?? assert.fail()), "d");
      assert.equal(d.customer, d.object);
      const lost = (await stripe.events.list({ delivery_success: false })).data;
      assert.deepEqual(lost.map((event) => event.id), [b.event]);
      await stripe.customers.create({ name: "e" });
      await eventually("normal again", () => Promise.resolve(hook.events.length === 5));
    })
  ));

Deno.test("deliveries are dropped, duplicated, delayed and shuffled, and a restart keeps the mode", () =>
  withSandbox((fixture) =>
    hooked(fixture, async (hook) => {
      const { stripe, url } = fixture;
      await control(url, "delivery", { mode: "drop", times: 1 });
      await stripe.customers.create({ name: "lost" });
      await stripe.customers.create({ name: "kept" });
      await eventually("the second", () => Promise.resolve(hook.events.length === 1));
      assert.equal(name(hook.events[0] ?? assert.fail()), "kept");

      await control(url, "delivery", { mode: "duplicate", copies: 3, times: 1 });
      await stripe.customers.create({ name: "thrice" });
      await eventually("three copies", () => Promise.resolve(hook.events.length === 4));
      assert.equal(new Set(hook.events.slice(1).map((event) => event.id)).size, 1);

      await control(url, "delivery", { mode: "delay", ms: 250, types: ["customer.created"] });
      const started = performance.now();
      await stripe.customers.create({ name: "late" });
      await eventually("the late one", () => Promise.resolve(hook.events.length === 5));
      assert.ok(performance.now() - started >= 240);

      await control(url, "delivery", { mode: "shuffle", ms: 400, seed: 7 });
      const sent = ["1", "2", "3", "4", "5", "6"];
      for (const name of sent) await stripe.customers.create({ name });
      await eventually("all of them", () => Promise.resolve(hook.events.length === 11));
      const came = hook.events.slice(5).map(name);
      assert.deepEqual([...came].sort(), sent);
      assert.notDeepEqual(came, sent);
      assert.equal((await get(url, "delivery")).mode, "shuffle");
    }), { deliveryConcurrency: 1 }));

Deno.test("several copies at once meet the endpoint together", () =>
  withSandbox(async ({ stripe, url }) => {
    let here = 0;
    let most = 0;
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async () => {
      most = Math.max(most, ++here);
      await new Promise((resolve) => setTimeout(resolve, 50));
      here -= 1;
      return new Response();
    });
    const hook = `http://127.0.0.1:${server.addr.port}/`;
    await stripe.webhookEndpoints.create({ url: hook, enabled_events: ["customer.created"] });
    await control(url, "delivery", { mode: "hold" });
    await stripe.customers.create({});
    await stripe.customers.create({});
    const ids = (await get(url, "delivery/held")).data.map((each: { id: string }) => each.id);
    await control(url, "delivery/deliver", { ids: [...ids, ...ids], at_once: true });
    assert.equal(most, 4);
    await server.shutdown();
  }));
