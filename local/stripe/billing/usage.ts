/**
 * Usage: what a meter event must be, recording it, and what a meter says for a customer and a time.
 * https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api
 */
import type { Meter } from "../engine/types.ts";
import type { Store } from "../engine/store.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { watch } from "./alerts.ts";

const DAY = 86_400;
const OLDEST = 35 * DAY;
const NEWEST = 5 * 60;
const MAX_DIGITS = 15;

export interface UsageInput {
  event_name: string;
  identifier: string;
  payload: Record<string, string>;
  /** Unix seconds; without it now, in the time of the customer. */
  timestamp?: number;
}

/** The words of the SDK's error reports, and one of the API's own. */
export type ProblemCode =
  | "archived_meter"
  | "meter_event_customer_not_found"
  | "meter_event_invalid_value"
  | "meter_event_no_customer_defined"
  | "meter_event_value_too_many_digits"
  | "no_meter"
  | "no_value"
  | "timestamp_in_future"
  | "timestamp_too_far_in_past";

export interface Problem {
  code: ProblemCode;
  message: string;
  meter: string | null;
}
export interface Usage {
  meter: Meter;
  customer: string;
  value: number;
  at: number;
}

/** A meter is found by its event name; of several, the one that is active. */
export function meterOf(store: Store, event_name: string): Meter | null {
  const all = store.all("billing.meter", { event_name });
  return all.find((meter) => meter.status === "active") ?? all.at(-1) ?? null;
}

export function examine(work: Work, input: UsageInput): Usage | Problem {
  const meter = meterOf(work.store, input.event_name);
  if (!meter) {
    const message = `No meter was found matching event_name ${input.event_name}.`;
    return { code: "no_meter", message, meter: null };
  }
  const problem = (code: ProblemCode, message: string) => ({ code, message, meter: meter.id });
  if (meter.status !== "active") {
    return problem("archived_meter", `The meter ${meter.id} is not active.`);
  }
  const key = meter.customer_mapping.event_payload_key;
  const customer = input.payload[key];
  if (customer === undefined || customer === "") {
    const message = `Customer mapping key ${key} not found in payload.`;
    return problem("meter_event_no_customer_defined", message);
  }
  if (!work.find("customer", customer)) {
    return problem("meter_event_customer_not_found", `No such customer: '${customer}'`);
  }
  const read = valueOf(meter, input.payload);
  if (typeof read !== "number") return problem(read.code, read.message);
  const now = work.now(work.clockOf(customer));
  const at = input.timestamp ?? now;
  const late = untimely(at, now);
  return late ? problem(late.code, late.message) : { meter, customer, value: read, at };
}

function valueOf(
  meter: Meter,
  payload: Record<string, string>,
): number | { code: ProblemCode; message: string } {
  // Counting needs no value.
  if (meter.default_aggregation.formula === "count") return 1;
  const key = meter.value_settings.event_payload_key;
  const text = payload[key];
  if (text === undefined) {
    return { code: "no_value", message: `Value key ${key} not found in payload.` };
  }
  if (!/^-?\d+$/.test(text)) {
    return {
      code: "meter_event_invalid_value",
      message: `The value in the event payload must be a whole number. Received ${text}.`,
    };
  }
  if (text.replace(/^-?0*/, "").length <= MAX_DIGITS) return Number(text);
  return {
    code: "meter_event_value_too_many_digits",
    message:
      `The value in the event payload can have at most ${MAX_DIGITS} digits. Received ${text}.`,
  };
}

function untimely(at: number, now: number): { code: ProblemCode; message: string } | null {
  if (at < now - OLDEST) {
    return {
      code: "timestamp_too_far_in_past",
      message: "The event timestamp cannot be more than 35 days in past. Expected a timestamp " +
        `greater than or equal to ${now - OLDEST}.`,
    };
  }
  if (at <= now + NEWEST) return null;
  return {
    code: "timestamp_in_future",
    message: "The event timestamp cannot be more than 5 minutes in the future. Expected a " +
      `timestamp less than or equal to ${now + NEWEST}.`,
  };
}

/** Of the last 24 hours, in the sandbox's own time. */
export function isKnown(work: Work, identifier: string): boolean {
  return work.store.sql("select 1 from meter_events where identifier = ? and received > ?")
    .get(identifier, worldNow(work.store) - DAY) !== undefined;
}

export function record(work: Work, input: UsageInput, usage: Usage): void {
  const { meter, customer, value, at } = usage;
  work.store.sql(
    "insert into meter_events (identifier, event_name, meter, customer, value, at, received) " +
      "values (?, ?, ?, ?, ?, ?, ?)",
  ).run(
    input.identifier,
    meter.event_name,
    meter.id,
    customer,
    value,
    at,
    worldNow(work.store),
  );
  watch(work, meter, customer);
}

/** Takes an event of the last 24 hours out of every sum; false when there is none. */
export function cancelEvent(work: Work, event_name: string, identifier: string): boolean {
  const done = work.store.sql(
    "update meter_events set cancelled = 1 where identifier = ? and event_name = ? " +
      "and received > ? and cancelled = 0",
  ).run(identifier, event_name, worldNow(work.store) - DAY);
  return Number(done.changes) > 0;
}

interface Row {
  value: number;
  at: number;
  seq: number;
}

export interface Span {
  start: number;
  end: number;
}

/** The meter's aggregate over `start` (inclusive) to `end` (exclusive); null when nothing happened. */
export function aggregate(
  store: Store,
  meter: Meter,
  customer: string,
  { start, end }: Span,
  after = 0,
): number | null {
  const rows = store.sql(
    "select value, at, seq from meter_events where meter = ? and customer = ? and at >= ? and at < ? " +
      "and seq > ? and cancelled = 0 order by at, seq",
  ).all(meter.id, customer, start, end, after).map((row): Row => ({
    value: Number(row.value),
    at: Number(row.at),
    seq: Number(row.seq),
  }));
  const counted = meter.event_time_window ? newest(rows, meter.event_time_window) : rows;
  const last = counted.at(-1);
  if (!last) return null;
  switch (meter.default_aggregation.formula) {
    case "count":
      return counted.length;
    case "last":
      return last.value;
    case "sum":
      return counted.reduce((sum, row) => sum + row.value, 0);
  }
}

/** Usage that was added up before it was sent: within a window the event that came last replaces the others. */
function newest(rows: readonly Row[], window: NonNullable<Meter["event_time_window"]>): Row[] {
  const length = window === "day" ? DAY : 3600;
  const kept = new Map<number, Row>();
  for (const row of rows) {
    const bucket = Math.floor(row.at / length);
    const there = kept.get(bucket);
    if (!there || there.seq < row.seq) kept.set(bucket, row);
  }
  return [...kept.values()].sort((a, b) => a.at - b.at);
}

/** What is billed: usage that sums up to less than nothing is nothing. */
export function billable(store: Store, meter: Meter, customer: string, span: Span): number {
  return Math.max(0, aggregate(store, meter, customer, span) ?? 0);
}
