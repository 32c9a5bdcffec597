/**
 * Recording usage. `/v1` answers every mistake it can see; `/v2` answers those of its table and reports the others; the
 * stream takes everything and reports what was wrong.
 */
import { invalid, missing, StripeError } from "../engine/errors.ts";
import { arr, isRecord, obj, oneOf, type Raw, required, str, time } from "../engine/params.ts";
import { type Guard, type Route, route } from "../engine/route.ts";
import type { Store } from "../engine/store.ts";
import { newId } from "../engine/types.ts";
import { instant, invalidField, iso, texts, v2Error, word } from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { complain } from "../billing/meter_reports.ts";
import {
  cancelEvent,
  examine,
  isKnown,
  meterOf,
  type Problem,
  type ProblemCode,
  record,
  type Usage,
  type UsageInput,
} from "../billing/usage.ts";

const SESSION_SECONDS = 15 * 60;
const isProblem = (found: Usage | Problem): found is Problem => "code" in found;
const newIdentifier = () => crypto.randomUUID();

/** The customer and the meter of a call, before it is read properly: what only one call may have at a time. */
function busyKey(raw: { [key: string]: Raw }, store: Store): string | null {
  const meter = typeof raw.event_name === "string" ? meterOf(store, raw.event_name) : null;
  if (!meter || !isRecord(raw.payload)) return null;
  const customer = raw.payload[meter.customer_mapping.event_payload_key];
  return typeof customer === "string" ? `${meter.id} ${customer}` : null;
}

const guarded = (refusal: () => StripeError) =>
(
  raw: { [key: string]: Raw },
  store: Store,
): Guard | null => {
  const key = busyKey(raw, store);
  return key === null ? null : { key, refusal: refusal() };
};

const lockTimeout = () =>
  new StripeError(
    429,
    {
      type: "invalid_request_error",
      code: "lock_timeout",
      message:
        "This object cannot be accessed right now because another API request or Stripe process is currently accessing " +
        "it. If you see this error intermittently, retry the request. If you see this error frequently and are making " +
        "multiple concurrent requests to a single object, make your requests serially or at a lower rate.",
    },
    false,
    { "stripe-should-retry": "true" },
  );

const concurrent = () =>
  v2Error(
    409,
    "too_many_concurrent_requests",
    "Cannot create multiple usage events for the same customer, meter concurrently.",
  );

function duplicate(identifier: string, code?: string): StripeError {
  const message = `An event already exists with identifier ${identifier}.`;
  // `/v1` has no code for it, only the message.
  const body = code === undefined
    ? { type: "invalid_request_error" as const, message }
    : { code, message };
  return new StripeError(400, body, false, { "stripe-should-retry": "false" });
}

const payload = texts();
const v1Shape = {
  event_name: required(str(100)),
  identifier: str(100),
  payload: required(payload),
  timestamp: time(),
};

const createV1 = route("POST", "/v1/billing/meter_events", v1Shape, (work, p) => {
  const input = { ...p, identifier: p.identifier ?? newIdentifier() };
  const found = examine(work, input);
  if (isProblem(found)) throw refusalV1(input, found);
  if (isKnown(work, input.identifier)) throw duplicate(input.identifier);
  record(work, input, found);
  return {
    object: "billing.meter_event",
    created: worldNow(work.store),
    event_name: input.event_name,
    identifier: input.identifier,
    livemode: false,
    payload: input.payload,
    timestamp: found.at,
  };
});

function refusalV1(input: UsageInput, { code, message }: Problem): StripeError {
  switch (code) {
    case "no_meter":
    case "archived_meter":
      return invalid(`No active meter found for event name "${input.event_name}".`, "event_name");
    case "meter_event_customer_not_found": {
      const id = /'(.*)'$/.exec(message)?.[1] ?? "";
      return missing("customer", id, "payload[stripe_customer_id]");
    }
    case "timestamp_in_future":
    case "timestamp_too_far_in_past":
      return invalid(message, "timestamp");
    default:
      return invalid(message, "payload");
  }
}

/** https://docs.stripe.com/api/v2/billing/meter-event/create: what is answered; everything else is reported later. */
const V2_ANSWERS: Partial<Record<ProblemCode, { code: string; message: string }>> = {
  archived_meter: {
    code: "archived_meter",
    message: "The meter must be Active to submit events.",
  },
  meter_event_invalid_value: {
    code: "payload_invalid_value",
    message: "The value must be a positive integer.",
  },
  meter_event_no_customer_defined: {
    code: "payload_no_customer_defined",
    message: "The payload must have a reference to the customer.",
  },
  no_meter: { code: "no_meter", message: "A meter must exist to submit events." },
  no_value: { code: "payload_no_value_defined", message: "The payload must have a value." },
};

const v2Event = {
  event_name: required(str(100)),
  identifier: str(100),
  payload: required(payload),
  timestamp: instant(),
};

const createV2 = route("POST", "/v2/billing/meter_events", v2Event, (work, p) => {
  const input = inputV2(p);
  const found = examine(work, input);
  if (isKnown(work, input.identifier)) throw duplicate(input.identifier, "duplicate_meter_event");
  if (isProblem(found)) refuseOrReport(work, input, found);
  else record(work, input, found);
  const now = worldNow(work.store) * 1000;
  return {
    object: "v2.billing.meter_event",
    created: iso(now),
    event_name: input.event_name,
    identifier: input.identifier,
    livemode: false,
    payload: input.payload,
    timestamp: iso(p.timestamp ?? (isProblem(found) ? now : found.at * 1000)),
  };
});

interface EventV2 {
  event_name: string;
  identifier?: string;
  payload: Record<string, string>;
  timestamp?: number;
}

function inputV2({ timestamp, identifier, ...rest }: EventV2): UsageInput {
  return {
    ...rest,
    identifier: identifier ?? newIdentifier(),
    ...(timestamp === undefined ? {} : { timestamp: Math.floor(timestamp / 1000) }),
  };
}

function refuseOrReport(work: Work, input: UsageInput, found: Problem): void {
  if (found.code === "meter_event_value_too_many_digits") {
    throw v2Error(400, "payload_invalid_value", found.message);
  }
  const answer = V2_ANSWERS[found.code];
  if (answer) throw v2Error(400, answer.code, answer.message);
  complain(work, found, input.identifier);
}

const createSession = route("POST", "/v2/billing/meter_event_session", {}, (work) => {
  const token = newId("mes_token_test_", 40);
  const now = worldNow(work.store);
  work.store.sql("delete from meter_sessions where expires_at < ?").run(now - 86_400);
  work.store.sql("insert into meter_sessions (token, expires_at) values (?, ?)")
    .run(token, now + SESSION_SECONDS);
  return {
    id: newId("mes_test_"),
    object: "v2.billing.meter_event_session",
    authentication_token: token,
    created: iso(now * 1000),
    expires_at: iso((now + SESSION_SECONDS) * 1000),
    livemode: false,
  };
});

const streamShape = { events: required(arr(required(obj(v2Event)))) };

const stream = route("POST", "/v2/billing/meter_event_stream", streamShape, (work, p) => {
  if (p.events.length === 0 || p.events.length > 100) {
    throw invalidField("events", "Must have between 1 and 100 events.");
  }
  for (const event of p.events) {
    const input = inputV2(event);
    const found = examine(work, input);
    if (isProblem(found)) complain(work, found, input.identifier);
    // A repetition is dropped without a word: no report has a code for it.
    else if (!isKnown(work, input.identifier)) record(work, input, found);
  }
  return {};
});

const cancelV1 = {
  cancel: obj({ identifier: str(100) }),
  event_name: required(str(100)),
  type: required(oneOf("cancel")),
};
const cancelV2 = {
  cancel: required(obj({ identifier: required(str(100)) })),
  event_name: required(str(100)),
  type: required(word("cancel")),
};
const notThere = (event_name: string, identifier: string) =>
  `No meter event of the last 24 hours with event name "${event_name}" and identifier ${identifier} can be canceled.`;

const adjustments: Route[] = [
  route("POST", "/v1/billing/meter_event_adjustments", cancelV1, (work, p) => {
    const identifier = p.cancel?.identifier;
    if (identifier === undefined) {
      const param = "cancel[identifier]";
      throw invalid(`Missing required param: ${param}.`, param, "parameter_missing");
    }
    if (!cancelEvent(work, p.event_name, identifier)) {
      throw invalid(notThere(p.event_name, identifier), "cancel[identifier]");
    }
    return {
      object: "billing.meter_event_adjustment",
      cancel: { identifier },
      event_name: p.event_name,
      livemode: false,
      status: "pending",
      type: "cancel",
    };
  }),
  route("POST", "/v2/billing/meter_event_adjustments", cancelV2, (work, p) => {
    const { identifier } = p.cancel;
    if (!cancelEvent(work, p.event_name, identifier)) {
      throw invalidField("cancel.identifier", notThere(p.event_name, identifier));
    }
    return {
      id: newId("mtrea_test_"),
      object: "v2.billing.meter_event_adjustment",
      cancel: { identifier },
      created: iso(worldNow(work.store) * 1000),
      event_name: p.event_name,
      livemode: false,
      status: "pending",
      type: "cancel",
    };
  }),
];

export const meterEventRoutes: Route[] = [
  { ...createV1, isMetered: true, guard: guarded(lockTimeout) },
  { ...createV2, isMetered: true, guard: guarded(concurrent) },
  createSession,
  { ...stream, isSession: true },
  ...adjustments,
];
