/** Meter events of `/v2` and of the stream, their reports, alerts, and usage in another time. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { DAY, EVENT, newMeter, now, send, total } from "./meters_testing.ts";
import {
  advance,
  client,
  customerWithCard,
  eventually,
  type Fixture,
  receiver,
  refusal,
  START,
  thinReceiver,
  withSandbox,
} from "./testing.ts";

async function watched(fixture: Fixture) {
  let secret = "";
  const hook = await thinReceiver(client(fixture.sandbox.port), () => secret);
  const made = await fixture.stripe.v2.core.eventDestinations.create({
    name: "Meter errors",
    type: "webhook_endpoint",
    event_payload: "thin",
    enabled_events: ["v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"],
    webhook_endpoint: { url: hook.url },
    include: ["webhook_endpoint.signing_secret"],
  });
  secret = made.webhook_endpoint?.signing_secret ?? "";
  return hook;
}

Deno.test("v2 answers the mistakes of its table and reports an unknown customer later", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const hook = await watched(fixture);
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const event = (payload: Record<string, string>, event_name = EVENT, identifier?: string) =>
      stripe.v2.billing.meterEvents.create({
        event_name,
        payload,
        ...(identifier ? { identifier } : {}),
      });
    const good = { stripe_customer_id: id, value: "4" };
    const done = await event(good, EVENT, "x");
    assert.deepEqual([done.object, done.payload], ["v2.billing.meter_event", good]);
    const codes = [];
    const wrong: [Record<string, string>, string?, string?][] = [
      [good, "other"],
      [good, EVENT, "x"],
      [{ ...good, value: "many" }],
      [{ value: "1" }],
      [{ stripe_customer_id: id }],
    ];
    for (const params of wrong) codes.push((await refusal(event(...params))).code);
    assert.deepEqual(codes, [
      "no_meter",
      "duplicate_meter_event",
      "payload_invalid_value",
      "payload_no_customer_defined",
      "payload_no_value_defined",
    ]);
    await event({ stripe_customer_id: "cus_none", value: "1" }, EVENT, "lost");
    const [seen] = await eventually(
      "the report",
      () => Promise.resolve(hook.notifications.length > 0 && hook.notifications),
    );
    assert.equal(seen?.type, "v1.billing.meter.error_report_triggered");
    assert.equal((await seen.fetchRelatedObject()).id, meter.id);
    const { data } = await seen.fetchEvent();
    assert.deepEqual(
      [data.developer_message_summary, data.reason.error_count],
      ["There is 1 invalid event", 1],
    );
    assert.equal(data.reason.error_types[0]?.code, "meter_event_customer_not_found");
    assert.equal(data.reason.error_types[0]?.sample_errors[0]?.request.identifier, "lost");
    await hook.close();
  }, { meterReportSeconds: 1 }));

Deno.test("the stream needs a session, takes everything and reports by meter, grouped by code", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox } = fixture;
    const hook = await watched(fixture);
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const session = await stripe.v2.billing.meterEventSession.create();
    const streaming = new Stripe(session.authentication_token, {
      host: "127.0.0.1",
      port: sandbox.port,
      protocol: "http",
      maxNetworkRetries: 0,
    });
    const event = (value: string, identifier: string, event_name = EVENT, customer = id) => ({
      event_name,
      identifier,
      payload: { stripe_customer_id: customer, value },
      timestamp: new Date().toISOString(),
    });
    await streaming.v2.billing.meterEventStream.create({
      events: [
        event("5", "1"),
        event("5", "1"),
        event("6", "2"),
        event("1.5", "3"),
        event("x", "4"),
        event("1", "5", EVENT, "cus_none"),
        event("1", "6", "other"),
        { ...event("1", "7"), timestamp: new Date(Date.now() - 40 * DAY * 1000).toISOString() },
      ],
    });
    assert.equal(await total(stripe, meter.id, id), 11, "a repetition is dropped");
    await eventually("two reports", () => Promise.resolve(hook.notifications.length === 2));
    const events = await Promise.all(hook.notifications.map((each) => each.fetchEvent()));
    const report = events.find((each) => each.type === "v1.billing.meter.error_report_triggered");
    assert.ok(report && "data" in report);
    const { data: page } = await stripe.v2.core.events.list({
      types: ["v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"],
    });
    const counts = page.flatMap((each) =>
      each.type === "v1.billing.meter.error_report_triggered" ||
        each.type === "v1.billing.meter.no_meter_found"
        ? each.data.reason.error_types.map((type) => [type.code, type.error_count])
        : []
    );
    assert.deepEqual(counts.sort(), [
      ["meter_event_customer_not_found", 1],
      ["meter_event_invalid_value", 2],
      ["no_meter", 1],
      ["timestamp_too_far_in_past", 1],
    ]);
    const wrongKey = await refusal(stripe.v2.billing.meterEventStream.create({ events: [] }));
    assert.equal(wrongKey.statusCode, 401);
    const body = JSON.stringify({ seconds: 16 * 60 });
    await (await fetch(`${fixture.url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
    const late = await refusal(
      streaming.v2.billing.meterEventStream.create({ events: [event("1", "8")] }),
    );
    assert.deepEqual([late.statusCode, late.code, late.constructor.name], [
      401,
      "billing_meter_event_session_expired",
      "TemporarySessionExpiredError",
    ]);
    await hook.close();
  }, { meterReportSeconds: 1 }));

Deno.test("an alert fires once per customer, for usage that came after it", () =>
  withSandbox(async ({ stripe }) => {
    let secret = "";
    const hook = await receiver(() => secret);
    secret = (await stripe.webhookEndpoints.create({
      url: hook.url,
      enabled_events: ["billing.alert.triggered"],
    })).secret ?? "";
    const meter = await newMeter(stripe);
    const [{ id: a }, { id: b }] = [
      await stripe.customers.create({}),
      await stripe.customers.create({}),
    ];
    await send(stripe, a, 1000);
    const alert = await stripe.billing.alerts.create({
      alert_type: "usage_threshold",
      title: "A hundred",
      usage_threshold: { gte: 100, meter: meter.id, recurrence: "one_time" },
    });
    await stripe.billing.alerts.create({
      alert_type: "usage_threshold",
      title: "Only b",
      usage_threshold: {
        gte: 10,
        meter: meter.id,
        recurrence: "one_time",
        filters: [{ type: "customer", customer: b }],
      },
    });
    for (const value of [60, 60, 60]) await send(stripe, a, value);
    await send(stripe, b, 20);
    await eventually("both", () => Promise.resolve(hook.events.length === 2));
    const seen = hook.events.flatMap((event) =>
      event.type === "billing.alert.triggered"
        ? [[event.data.object.customer, event.data.object.value, event.data.object.alert.title]]
        : []
    ).sort();
    assert.deepEqual(seen, [[a, 120, "A hundred"], [b, 20, "Only b"]].sort());
    await stripe.billing.alerts.deactivate(alert.id);
    await stripe.billing.alerts.activate(alert.id);
    await send(stripe, a, 100);
    await eventually("again", () => Promise.resolve(hook.events.length === 3));
    await stripe.billing.alerts.archive(alert.id);
    assert.equal((await refusal(stripe.billing.alerts.retrieve(alert.id))).statusCode, 404);
    assert.equal((await stripe.billing.alerts.list({ meter: meter.id })).data.length, 1);
    await hook.close();
  }));

Deno.test("a customer of a test clock has its usage in the clock's time", () =>
  withSandbox(async ({ stripe }) => {
    await newMeter(stripe);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const event = await send(stripe, customer.id, 1);
    assert.equal(event.timestamp, START);
    assert.equal(
      (await refusal(send(stripe, customer.id, 1, { timestamp: now() }))).statusCode,
      400,
    );
    await advance(stripe, clock, START + 10 * DAY);
    assert.equal((await send(stripe, customer.id, 1)).timestamp, START + 10 * DAY);
  }));

Deno.test("a lost answer, a lost request and a 429: the truth about usage stands in the sandbox's state", () =>
  withSandbox(async ({ stripe, url }) => {
    await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const fault = async (body: unknown) => {
      const made = await fetch(`${url}/_sandbox/faults`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      assert.equal(made.status, 200, await made.text());
    };
    const match = { method: "POST", path: "/v1/billing/meter_events" };
    await fault({ kind: "status", status: 429, match });
    assert.equal((await refusal(send(stripe, id, 1, { identifier: "a" }))).statusCode, 429);
    await fault({ kind: "timeout_before", match });
    await refusal(send(stripe, id, 1, { identifier: "a" }));
    await fault({ kind: "timeout_after", match });
    await refusal(send(stripe, id, 1, { identifier: "a" }));
    // It was counted, and the client that repeats it learns that.
    assert.match(
      (await refusal(send(stripe, id, 1, { identifier: "a" }))).message,
      /already exists/,
    );
    await send(stripe, id, 2, { identifier: "b" });
    const state = await (await fetch(`${url}/_sandbox/state?customer=${id}`)).json();
    const [meter] = state.meters;
    assert.equal(meter.aggregated_value, 3);
    assert.deepEqual(
      meter.events.map((
        event: { identifier: string; value: number },
      ) => [event.identifier, event.value]),
      [["a", 1], ["b", 2]],
    );
    assert.deepEqual(state.credit_grants, []);
  }));
