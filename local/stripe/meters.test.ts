/** Meters, meter events of all three kinds, their refusals, limits, reports and alerts. */
import assert from "node:assert/strict";
import Stripe from "stripe";
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

const DAY = 86_400;
const EVENT = "messages";
type Formula = "count" | "last" | "sum";

const newMeter = (stripe: Stripe, formula: Formula = "sum", event_name = EVENT) =>
  stripe.billing.meters.create({
    display_name: "Messages",
    event_name,
    default_aggregation: { formula },
  });

const send = (
  stripe: Stripe,
  customer: string,
  value: number | string,
  more: Partial<Stripe.Billing.MeterEventCreateParams> = {},
) =>
  stripe.billing.meterEvents.create({
    event_name: EVENT,
    payload: { stripe_customer_id: customer, value: String(value) },
    ...more,
  });

const now = () => Math.floor(Date.now() / 1000);

/** The aggregate of the last day and the next hour. */
async function total(stripe: Stripe, meter: string, customer: string): Promise<number | undefined> {
  const minute = Math.floor(now() / 60) * 60;
  const { data } = await stripe.billing.meters.listEventSummaries(meter, {
    customer,
    start_time: minute - DAY,
    end_time: minute + 3600,
  });
  return data[0]?.aggregated_value;
}

Deno.test("a meter is made, renamed, turned off and on, and each tells its event", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    assert.deepEqual(
      [meter.status, meter.customer_mapping, meter.value_settings, meter.event_time_window],
      [
        "active",
        { event_payload_key: "stripe_customer_id", type: "by_id" },
        { event_payload_key: "value" },
        null,
      ],
    );
    const twice = await refusal(newMeter(stripe));
    assert.deepEqual([twice.statusCode, twice.rawType], [400, "invalid_request_error"]);
    await stripe.billing.meters.update(meter.id, { display_name: "Extra messages" });
    const off = await stripe.billing.meters.deactivate(meter.id);
    assert.ok(off.status_transitions.deactivated_at);
    assert.deepEqual((await stripe.billing.meters.list({ status: "active" })).data, []);
    const on = await stripe.billing.meters.reactivate(meter.id);
    assert.deepEqual([on.status, on.display_name], ["active", "Extra messages"]);
    const { data } = await stripe.events.list();
    assert.deepEqual(data.map((event) => event.type).reverse(), [
      "billing.meter.created",
      "billing.meter.updated",
      "billing.meter.deactivated",
      "billing.meter.reactivated",
    ]);
  }));

Deno.test("v1 answers what is wrong with a meter event at once", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const says = async (promise: Promise<unknown>) => {
      const { statusCode, code, message } = await refusal(promise);
      assert.equal(statusCode, 400);
      return [code, message];
    };
    assert.deepEqual(await says(send(stripe, id, 1, { event_name: "other" })), [
      undefined,
      'No active meter found for event name "other".',
    ]);
    assert.deepEqual(await says(send(stripe, "cus_none", 1)), [
      "resource_missing",
      "No such customer: 'cus_none'",
    ]);
    assert.match((await says(send(stripe, id, "1.5")))[1] ?? "", /whole number/);
    assert.match((await says(send(stripe, id, "1234567890123456")))[1] ?? "", /at most 15 digits/);
    assert.match(
      (await says(send(stripe, id, 1, { payload: { value: "1" } })))[1] ?? "",
      /not found/,
    );
    const old = await says(send(stripe, id, 1, { timestamp: now() - 35 * DAY - 60 }));
    assert.match(old[1] ?? "", /^The event timestamp cannot be more than 35 days in past\./);
    const early = await says(send(stripe, id, 1, { timestamp: now() + 400 }));
    assert.match(early[1] ?? "", /5 minutes in the future/);
    await send(stripe, id, 1, { timestamp: now() - 35 * DAY + 60 });
    await send(stripe, id, 1, { timestamp: now() + 200 });
    await stripe.billing.meters.deactivate(meter.id);
    assert.match((await says(send(stripe, id, 1)))[1] ?? "", /No active meter/);
  }));

Deno.test("an identifier counts once in 24 hours: the repeat is a 400 without a code, and not to be retried", () =>
  withSandbox(async ({ stripe, url }) => {
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const first = await send(stripe, id, 5, { identifier: "one" });
    assert.deepEqual([first.identifier, first.payload.value], ["one", "5"]);
    const again = await refusal(send(stripe, id, 5, { identifier: "one" }));
    assert.deepEqual(
      [
        again.statusCode,
        again.code,
        again.type,
        again.message,
        again.headers?.["stripe-should-retry"],
      ],
      [
        400,
        undefined,
        "StripeInvalidRequestError",
        "An event already exists with identifier one.",
        "false",
      ],
    );
    assert.equal(await total(stripe, meter.id, id), 5);
    const body = JSON.stringify({ seconds: DAY + 60 });
    await (await fetch(`${url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
    await send(stripe, id, 5, { identifier: "one" });
  }));

Deno.test("an idempotency key replays the meter event and counts it once", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const params = { event_name: EVENT, payload: { stripe_customer_id: id, value: "3" } };
    const key = { idempotencyKey: "report-1" };
    const first = await stripe.billing.meterEvents.create(params, key);
    const second = await stripe.billing.meterEvents.create(params, key);
    assert.equal(second.identifier, first.identifier);
    assert.equal(await total(stripe, meter.id, id), 3);
  }));

Deno.test("sum, count and last; pre-aggregated windows keep the newest event; negative sums are shown", () =>
  withSandbox(async ({ stripe }) => {
    const { id } = await stripe.customers.create({});
    const hour = Math.floor(now() / 3600) * 3600;
    const values = async (meter: Stripe.Billing.Meter, rows: [number, number][]) => {
      for (const [value, timestamp] of rows) {
        await send(stripe, id, value, { event_name: meter.event_name, timestamp });
      }
      const { data } = await stripe.billing.meters.listEventSummaries(meter.id, {
        customer: id,
        start_time: hour - 4 * 3600,
        end_time: hour + 3600,
      });
      return data[0]?.aggregated_value;
    };
    const rows: [number, number][] = [[5, hour - 60], [7, hour - 120], [2, hour - 7200]];
    assert.equal(await values(await newMeter(stripe, "sum", "a"), rows), 14);
    assert.equal(await values(await newMeter(stripe, "count", "b"), rows), 3);
    assert.equal(await values(await newMeter(stripe, "last", "c"), rows), 5);
    const hourly = await stripe.billing.meters.create({
      display_name: "Hourly",
      event_name: "d",
      default_aggregation: { formula: "sum" },
      event_time_window: "hour",
    });
    assert.equal(await values(hourly, rows), 9, "7 came after 5 and stands for its hour");
    assert.equal(
      await values(await newMeter(stripe, "sum", "e"), [[3, hour - 60], [-5, hour - 61]]),
      -2,
    );
  }));

Deno.test("summaries by hour and by day, newest first, with Stripe's alignment rules", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    const day = Math.floor(now() / DAY) * DAY;
    await send(stripe, id, 1, { timestamp: day - 2 * DAY });
    await send(stripe, id, 2, { timestamp: day - DAY - 1 });
    await send(stripe, id, 4, { timestamp: day - DAY });
    const list = (more: Partial<Stripe.Billing.MeterListEventSummariesParams>) =>
      stripe.billing.meters.listEventSummaries(meter.id, {
        customer: id,
        start_time: day - 3 * DAY,
        end_time: day,
        ...more,
      });
    const days = (await list({ value_grouping_window: "day" })).data;
    assert.deepEqual(days.map((each) => [each.start_time, each.aggregated_value]), [
      [day - DAY, 4],
      [day - 2 * DAY, 3],
    ]);
    const hours = [];
    for await (const each of list({ value_grouping_window: "hour", limit: 1 })) hours.push(each);
    assert.deepEqual(hours.map((each) => each.aggregated_value), [4, 2, 1]);
    assert.equal((await list({})).data[0]?.aggregated_value, 7);
    for (
      const wrong of [
        { start_time: day - 30 },
        { start_time: day - 60, value_grouping_window: "hour" as const },
        { end_time: day - 3600, value_grouping_window: "day" as const },
        { end_time: day - 4 * DAY },
      ]
    ) {
      assert.equal((await refusal(list(wrong))).statusCode, 400);
    }
  }));

Deno.test("of two calls at once for one customer and meter the second is refused, and others are not", () =>
  withSandbox(async ({ stripe }) => {
    const meter = await newMeter(stripe);
    const [{ id: a }, { id: b }] = [
      await stripe.customers.create({}),
      await stripe.customers.create({}),
    ];
    const done = await Promise.allSettled([
      send(stripe, a, 1),
      send(stripe, a, 1),
      send(stripe, b, 1),
    ]);
    const failed = done.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
    assert.equal(failed.length, 1);
    const [error] = failed;
    assert.ok(error instanceof Stripe.errors.StripeRateLimitError);
    assert.deepEqual([error.statusCode, error.code, error.headers?.["stripe-should-retry"]], [
      429,
      "lock_timeout",
      "true",
    ]);
    assert.deepEqual([await total(stripe, meter.id, a), await total(stripe, meter.id, b)], [1, 1]);
  }, { meterLatencyMs: 50 }));

Deno.test("more calls than the limit of a second are refused with 429 rate_limit", () =>
  withSandbox(async ({ stripe }) => {
    await newMeter(stripe);
    const ids = [];
    for (let i = 0; i < 12; i += 1) ids.push((await stripe.customers.create({})).id);
    const done = await Promise.allSettled(ids.map((id) => send(stripe, id, 1)));
    const codes = done.flatMap((each) => each.status === "rejected" ? [each.reason.code] : []);
    assert.ok(codes.length > 0 && codes.every((code) => code === "rate_limit"), codes.join());
  }, { meterEventsPerSecond: 5, meterLatencyMs: 1 }));

Deno.test("an adjustment takes an event of the last day back, in v1 and v2", () =>
  withSandbox(async ({ stripe, url }) => {
    const meter = await newMeter(stripe);
    const { id } = await stripe.customers.create({});
    for (const identifier of ["a", "b", "c"]) await send(stripe, id, 10, { identifier });
    const done = await stripe.billing.meterEventAdjustments.create({
      event_name: EVENT,
      type: "cancel",
      cancel: { identifier: "a" },
    });
    assert.deepEqual([done.status, done.cancel], ["pending", { identifier: "a" }]);
    await stripe.v2.billing.meterEventAdjustments.create({
      event_name: EVENT,
      type: "cancel",
      cancel: { identifier: "b" },
    });
    assert.equal(await total(stripe, meter.id, id), 10);
    const cancel = (identifier: string) =>
      stripe.billing.meterEventAdjustments.create({
        event_name: EVENT,
        type: "cancel",
        cancel: { identifier },
      });
    assert.equal((await refusal(cancel("none"))).statusCode, 400);
    const body = JSON.stringify({ seconds: DAY + 60 });
    await (await fetch(`${url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
    assert.equal((await refusal(cancel("c"))).statusCode, 400, "a day is over");
  }));

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
