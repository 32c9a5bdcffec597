/** Webhook endpoints, events and test clocks. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  given,
  mergeMetadata,
  metadata,
  required,
  str,
  time,
  unset,
  url,
} from "../engine/params.ts";
import { EVENT_TYPES } from "../engine/event_types.ts";
import { listPage, pagination, where } from "../engine/answer.ts";
import { forAccounts, listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { newId, type TestClock } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { cancelNow } from "../billing/lifecycle.ts";
import { addIntervals, intervalOf } from "../billing/period.ts";
import { isEnded } from "../billing/status.ts";

const DAY = 86_400;

function checkEvents(names: readonly string[]): string[] {
  if (names.length === 0) throw invalid("You must enable at least one event.", "enabled_events");
  names.forEach((name, i) => {
    if (name === "*" ? names.length === 1 : EVENT_TYPES.has(name)) return;
    const why = name === "*"
      ? "`*` must stand alone"
      : `must be one of *, account.updated, … and not ${name}`;
    throw invalid(`Invalid enabled_events[${i}]: ${why}`, `enabled_events[${i}]`);
  });
  return [...names];
}

/** Stripe's limit, of each mode. */
const MOST_ENDPOINTS = 16;

const endpointShape = {
  api_version: str(),
  connect: bool(),
  description: unset(str()),
  enabled_events: required(arr(str())),
  metadata: metadata(),
  url: required(url()),
};

const webhookRoutes: Route[] = [
  route("POST", "/v1/webhook_endpoints", endpointShape, (work, p) => {
    if (work.store.all("webhook_endpoint", {}).length >= MOST_ENDPOINTS) {
      throw invalid(`You have reached the maximum of ${MOST_ENDPOINTS} test webhook endpoints.`);
    }
    if (p.api_version !== undefined && !/^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/.test(p.api_version)) {
      throw invalid(`Invalid API version: ${p.api_version}`, "api_version");
    }
    const secret = newId("whsec_", 32);
    const endpoint = work.create("webhook_endpoint", {
      id: newId("we_"),
      object: "webhook_endpoint",
      api_version: p.api_version ?? null,
      application: null,
      created: work.now(),
      description: p.description ?? null,
      enabled_events: checkEvents(p.enabled_events),
      livemode: false,
      metadata: mergeMetadata({}, p.metadata),
      status: "enabled",
      url: p.url,
    }, { secret, connect: p.connect ?? false });
    // Shown this once, as at Stripe: no later answer has it.
    return { ...endpoint, secret };
  }),
  route("POST", "/v1/webhook_endpoints/:id", {
    description: unset(str()),
    disabled: bool(),
    enabled_events: arr(str()),
    metadata: metadata(),
    url: url(),
  }, (work, p, id) => {
    const old = work.require("webhook_endpoint", id);
    return work.change("webhook_endpoint", id, {
      description: given(p.description, old.description),
      enabled_events: p.enabled_events ? checkEvents(p.enabled_events) : old.enabled_events,
      metadata: mergeMetadata(old.metadata, p.metadata),
      status: p.disabled === undefined ? old.status : p.disabled ? "disabled" : "enabled",
      url: given(p.url, old.url),
    });
  }),
  route("DELETE", "/v1/webhook_endpoints/:id", {}, (work, _p, id) => {
    const gone = work.remove("webhook_endpoint", work.require("webhook_endpoint", id).id);
    work.store.sql(
      "update deliveries set state = 'failed' where endpoint_id = ? and state = 'pending'",
    ).run(id);
    return gone;
  }),
  retrieveRoute("webhook_endpoint", "/v1/webhook_endpoints"),
  listRoute("webhook_endpoint", "/v1/webhook_endpoints", {}),
];

/** Puts an event back into the queue of every endpoint that wants it (or of one). */
export function resend(work: Work, eventId: string, endpointId?: string): number {
  const own = work.as(work.store.accountOf(eventId));
  const thin = own.find("v2.core.event", eventId);
  const { type } = thin ?? own.require("event", eventId);
  const destinations = work.store.all("v2.core.event_destination", {
    event_payload: thin ? "thin" : "snapshot",
    status: "enabled",
  });
  const endpoints = thin ? [] : work.store.all("webhook_endpoint", { status: "enabled" });
  const wanted = [...endpoints, ...destinations].filter((endpoint) =>
    endpointId === undefined
      ? endpoint.enabled_events.some((name) => name === "*" || name === type)
      : endpoint.id === endpointId
  );
  for (const endpoint of wanted) {
    work.store.sql(
      "insert into deliveries (id, event_id, endpoint_id, next_at, created) values (?, ?, ?, ?, ?) " +
        "on conflict (event_id, endpoint_id) do update set state = 'pending', attempts = 0, next_at = excluded.next_at",
    ).run(newId("dlv_"), eventId, endpoint.id, Date.now(), work.now());
  }
  countPending(work, eventId);
  return wanted.length;
}

export function countPending(work: Work, eventId: string): void {
  const own = work.as(work.store.accountOf(eventId));
  const row = work.store.sql(
    "select count(*) as n from deliveries where event_id = ? and state <> 'delivered'",
  ).get(eventId);
  if (own.find("event", eventId)) {
    own.change("event", eventId, { pending_webhooks: Number(row?.n ?? 0) });
  }
}

const eventRoutes: Route[] = [
  ...forAccounts(retrieveRoute("event", "/v1/events")),
  ...forAccounts(route("GET", "/v1/events", {
    ...pagination,
    delivery_success: bool(),
    type: str(),
    types: arr(str()),
  }, (work, p) => {
    if (p.type !== undefined && p.types) {
      throw invalid(
        "You may only specify one of these parameters: type, types.",
        "type",
        "parameters_exclusive",
      );
    }
    if (p.types && p.types.length > 20) throw invalid("You may pass up to 20 types", "types");
    const anyOf: Record<string, string[]> = p.types ? { type: p.types } : {};
    const above: Record<string, number> = p.delivery_success === false
      ? { pending_webhooks: 0 }
      : {};
    const pending_webhooks = p.delivery_success === true ? 0 : undefined;
    return listPage(work, "event", "/v1/events", p, {
      where: where({ type: p.type, pending_webhooks }),
      anyOf,
      above,
    });
  })),
  // What `stripe events resend` calls.
  route(
    "POST",
    "/v1/events/:id/retry",
    { for_stripecli: bool(), webhook_endpoint: str() },
    (work, p, id) => {
      if (p.webhook_endpoint !== undefined) {
        work.require(
          "webhook_endpoint",
          p.webhook_endpoint,
          "webhook_endpoint",
        );
      }
      resend(work, id, p.webhook_endpoint);
      return work.require("event", id);
    },
  ),
];

/** Stripe lets a clock go at most two intervals of its shortest subscription ahead (two years without one). */
function furthest(work: Work, clock: TestClock): number {
  const ends = work.store.all("subscription", { test_clock: clock.id })
    .filter((sub) => !isEnded(sub))
    .flatMap((sub) => sub.items.data)
    .map((item) => {
      const { interval, interval_count } = item.price.recurring ??
        { interval: "month", interval_count: 1 };
      return addIntervals(clock.frozen_time, intervalOf(interval), 2 * interval_count);
    });
  return Math.min(addIntervals(clock.frozen_time, "year", 2), ...ends);
}

const clockRoutes: Route[] = [
  route(
    "POST",
    "/v1/test_helpers/test_clocks",
    { frozen_time: required(time()), name: str(300) },
    (work, p) => {
      const id = newId("clock_");
      return work.create(
        "test_helpers.test_clock",
        {
          id,
          object: "test_helpers.test_clock",
          created: work.now(),
          deletes_after: work.now() + 30 * DAY,
          frozen_time: p.frozen_time,
          livemode: false,
          name: p.name ?? null,
          status: "ready",
          status_details: {},
        },
        { target: null },
        { event: "test_helpers.test_clock.created" },
      );
    },
  ),
  route(
    "POST",
    "/v1/test_helpers/test_clocks/:id/advance",
    { frozen_time: required(time()) },
    (work, p, id) => {
      const clock = work.require("test_helpers.test_clock", id);
      if (clock.status !== "ready") {
        throw invalid(
          "The test clock is already advancing.",
          undefined,
          "test_clock_under_advancement",
        );
      }
      if (p.frozen_time <= clock.frozen_time) {
        throw invalid(
          "The `frozen_time` must be after the clock's present one: a test clock cannot go back.",
          "frozen_time",
        );
      }
      if (p.frozen_time > furthest(work, clock)) {
        throw invalid(
          "A test clock can be advanced by at most two intervals of its shortest subscription.",
          "frozen_time",
        );
      }
      work.changeHidden("test_helpers.test_clock", id, { target: p.frozen_time });
      return work.change("test_helpers.test_clock", id, {
        status: "advancing",
        status_details: { advancing: { target_frozen_time: p.frozen_time } },
      }, "test_helpers.test_clock.advancing");
    },
  ),
  route("DELETE", "/v1/test_helpers/test_clocks/:id", {}, (work, _p, id) => {
    work.require("test_helpers.test_clock", id);
    for (const sub of work.store.all("subscription", { test_clock: id })) {
      if (!isEnded(sub)) cancelNow(work, sub.id, null);
    }
    for (const customer of work.store.all("customer", { test_clock: id })) {
      work.remove("customer", customer.id, "customer.deleted");
    }
    return work.remove("test_helpers.test_clock", id, "test_helpers.test_clock.deleted");
  }),
  retrieveRoute("test_helpers.test_clock", "/v1/test_helpers/test_clocks"),
  listRoute("test_helpers.test_clock", "/v1/test_helpers/test_clocks", {}),
];

export const systemRoutes: Route[] = [...webhookRoutes, ...eventRoutes, ...clockRoutes];
