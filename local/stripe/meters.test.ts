/** Meters and meter events of `/v1`: what counts, what is refused, and the limits. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import { DAY, EVENT, newMeter, now, send, total } from "./meters_testing.ts";
import { refusal, withSandbox } from "./testing.ts";

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
