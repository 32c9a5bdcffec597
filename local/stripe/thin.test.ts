/** `/v2/core`: event destinations and thin events, read by the real SDK. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import {
  client,
  eventually,
  KEY,
  receiver,
  refusal,
  thinReceiver,
  withSandbox,
} from "./testing.ts";

const PING = "v2.core.event_destination.ping";

async function destination(stripe: Stripe, url: string, enabled_events: string[] = ["*"]) {
  return await stripe.v2.core.eventDestinations.create({
    name: "Test",
    type: "webhook_endpoint",
    event_payload: "thin",
    enabled_events,
    webhook_endpoint: { url },
    include: ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
  });
}

const post = (url: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url + path, {
    method: "POST",
    headers: {
      authorization: `Bearer ${KEY}`,
      "content-type": "application/json",
      "stripe-version": Stripe.API_VERSION,
      ...headers,
    },
    body: JSON.stringify(body),
  });

Deno.test("a ping arrives signed, without data, and its event and object can be fetched", () =>
  withSandbox(async ({ stripe, sandbox }) => {
    let secret = "";
    const hook = await thinReceiver(client(sandbox.port), () => secret);
    const made = await destination(stripe, hook.url, [PING]);
    secret = made.webhook_endpoint?.signing_secret ?? "";
    assert.match(secret, /^whsec_/);
    assert.equal(made.webhook_endpoint?.url, hook.url);
    const ping = await stripe.v2.core.eventDestinations.ping(made.id);
    const [seen] = await eventually(
      "the ping",
      () => Promise.resolve(hook.notifications.length > 0 && hook.notifications),
    );
    assert.ok(seen);
    assert.deepEqual([seen.id, seen.type, seen.object], [ping.id, PING, "v2.core.event"]);
    assert.equal(JSON.parse(hook.bodies[0]?.body ?? "{}").data, undefined);
    const event = await seen.fetchEvent();
    assert.deepEqual([event.id, event.type], [ping.id, PING]);
    assert.equal(seen.type, PING);
    const related = await seen.fetchRelatedObject();
    assert.equal(related?.id, made.id);
    assert.deepEqual(related?.webhook_endpoint, {}, "neither address nor secret without include");
    await hook.close();
  }));

Deno.test("a thin event of a v1 object names its snapshot event and fetches the object as it is now", () =>
  withSandbox(async ({ stripe, sandbox }) => {
    let secret = "";
    const hook = await thinReceiver(client(sandbox.port), () => secret);
    const made = await destination(stripe, hook.url, ["v1.customer.created"]);
    secret = made.webhook_endpoint?.signing_secret ?? "";
    const customer = await stripe.customers.create({ email: "a@example.com" });
    await stripe.customers.update(customer.id, { email: "b@example.com" });
    const [seen] = await eventually(
      "the event",
      () => Promise.resolve(hook.notifications.length > 0 && hook.notifications),
    );
    assert.equal(seen?.type, "v1.customer.created");
    assert.equal((await seen.fetchRelatedObject()).email, "b@example.com");
    const snapshot = await stripe.events.retrieve(seen.snapshot_event ?? "");
    assert.equal(snapshot.type, "customer.created");
    const { data } = await stripe.v2.core.events.list({ object_id: customer.id });
    assert.deepEqual(data.map((event) => event.id), [seen.id], "the update was not asked for");
    await hook.close();
  }));

Deno.test("a snapshot destination gets the events of v1, verified as such", () =>
  withSandbox(async ({ stripe }) => {
    let secret = "";
    const hook = await receiver(() => secret);
    const made = await stripe.v2.core.eventDestinations.create({
      name: "Snapshots",
      type: "webhook_endpoint",
      event_payload: "snapshot",
      enabled_events: ["customer.created"],
      webhook_endpoint: { url: hook.url },
      include: ["webhook_endpoint.signing_secret"],
    });
    secret = made.webhook_endpoint?.signing_secret ?? "";
    assert.equal(made.snapshot_api_version, Stripe.API_VERSION);
    await stripe.customers.create({});
    await eventually(
      "customer.created",
      () => Promise.resolve(hook.events.some((event) => event.type === "customer.created")),
    );
    await hook.close();
  }));

Deno.test("destinations are listed in pages, changed, disabled, enabled and deleted", () =>
  withSandbox(async ({ stripe, url }) => {
    const hook = "http://127.0.0.1:9/hook";
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push(await destination(stripe, hook));
    const all = [];
    for await (const each of stripe.v2.core.eventDestinations.list({ limit: 2 })) all.push(each.id);
    assert.deepEqual(all, made.map((each) => each.id).reverse());
    const first = await stripe.v2.core.eventDestinations.list({ limit: 2 });
    assert.equal(first.previous_page_url, null);
    const headers = { authorization: `Bearer ${KEY}` };
    const second = await (await fetch(url + first.next_page_url, { headers })).json();
    const back = await (await fetch(url + second.previous_page_url, { headers })).json();
    assert.deepEqual(back.data.map((each: { id: string }) => each.id), all.slice(0, 2));

    const id = made[0]?.id ?? "";
    const { eventDestinations } = stripe.v2.core;
    const changed = await eventDestinations.update(id, {
      name: "Other",
      metadata: { a: "1" },
      webhook_endpoint: { url: "http://127.0.0.1:9/other" },
      include: ["webhook_endpoint.url"],
    });
    assert.equal(changed.webhook_endpoint?.url, "http://127.0.0.1:9/other");
    assert.deepEqual([changed.name, changed.metadata], ["Other", { a: "1" }]);
    assert.deepEqual((await eventDestinations.update(id, { metadata: { a: null } })).metadata, {});
    const off = await eventDestinations.disable(id);
    assert.deepEqual([off.status, off.status_details], ["disabled", {
      disabled: { reason: "user" },
    }]);
    const on = await eventDestinations.enable(id);
    assert.deepEqual([on.status, on.status_details], ["enabled", undefined]);
    assert.deepEqual(await eventDestinations.del(id), { id, object: "v2.core.event_destination" });
    const gone = await refusal(eventDestinations.retrieve(id));
    assert.deepEqual([gone.statusCode, gone.code], [404, "not_found"]);
  }));

Deno.test("v2 refuses in its own words: unknown fields, wrong words, missing fields, no JSON", () =>
  withSandbox(async ({ url }) => {
    const path = "/v2/core/event_destinations";
    const good = {
      name: "x",
      type: "webhook_endpoint",
      event_payload: "thin",
      enabled_events: [PING],
      webhook_endpoint: { url: "http://127.0.0.1:9/" },
    };
    const message = async (body: unknown) => {
      const answer = await post(url, path, body);
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.code, error.type], [400, "invalid_fields", undefined]);
      return error.message.replace("Some fields in the request were invalid: ", "");
    };
    assert.equal(await message({ ...good, colour: "red" }), "'colour: Unknown field.'");
    assert.equal(
      await message({ ...good, event_payload: "fat" }),
      "'event_payload: Unrecognized enum value 'fat', valid values are: snapshot, thin.'",
    );
    assert.equal(await message({ ...good, name: undefined }), "'name: Field is required.'");
    assert.match(await message({ ...good, enabled_events: ["v1.nothing"] }), /enabled_events\[0\]/);
    assert.equal(
      await message({ ...good, webhook_endpoint: {} }),
      "'webhook_endpoint.url: Field is required.'",
    );
    assert.equal(await message("text"), "The request body must be JSON.");
  }));

Deno.test("an idempotency key of v2 replays a success, tries a failure again and is not one of v1", () =>
  withSandbox(async ({ url, stripe }) => {
    const made = await destination(stripe, "http://127.0.0.1:9/");
    const path = `/v2/core/event_destinations/${made.id}/ping`;
    const headers = { "idempotency-key": "one" };
    const [a, b] = [await post(url, path, {}, headers), await post(url, path, {}, headers)];
    assert.deepEqual(await a.json(), await b.json());
    assert.equal(b.headers.get("idempotent-replayed"), "true");
    const customer = await stripe.customers.create({}, { idempotencyKey: "one" });
    assert.match(customer.id, /^cus_/);
    const other = await post(url, "/v2/core/event_destinations", {}, headers);
    assert.equal((await other.json()).error.type, "idempotency_error");

    const missing = "/v2/core/event_destinations/ed_test_none/ping";
    const again = { "idempotency-key": "two" };
    await (await post(url, missing, {}, again)).body?.cancel();
    const retried = await post(url, missing, {}, again);
    assert.equal(retried.headers.get("idempotent-replayed"), null);
    await retried.body?.cancel();
  }));

Deno.test("thin events are held, delivered twice and resent like any other", () =>
  withSandbox(async ({ stripe, sandbox, url }) => {
    let secret = "";
    const hook = await thinReceiver(client(sandbox.port), () => secret);
    const made = await destination(stripe, hook.url);
    secret = made.webhook_endpoint?.signing_secret ?? "";
    const control = async (path: string, body: unknown) =>
      await (await fetch(`${url}/_sandbox/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      })).json();
    await control("delivery", { mode: "hold" });
    const { id } = await stripe.v2.core.eventDestinations.ping(made.id);
    const held = await (await fetch(`${url}/_sandbox/delivery/held`)).json();
    assert.deepEqual([held.data[0].event, held.data[0].object], [id, made.id]);
    await control("delivery/deliver", { ids: [id, id] });
    assert.deepEqual(hook.notifications.map((each) => each.id), [id, id]);
    await control("delivery", { mode: "normal" });
    await control(`events/${id}/resend`, {});
    await eventually("the third", () => Promise.resolve(hook.notifications.length === 3));
    await hook.close();
  }));
