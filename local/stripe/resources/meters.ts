/** Billing meters and the summaries of their events. */
import { arrayPage, listPage, pagination, where } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import { obj, oneOf, required, str, time, type Values } from "../engine/params.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Meter, newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { aggregate } from "../billing/usage.ts";

const PATH = "/v1/billing/meters";

const createShape = {
  customer_mapping: obj({
    event_payload_key: required(str(100)),
    type: required(oneOf("by_id")),
  }),
  default_aggregation: required(obj({ formula: required(oneOf("count", "last", "sum")) })),
  display_name: required(str(250)),
  event_name: required(str(100)),
  event_time_window: oneOf("day", "hour"),
  value_settings: obj({ event_payload_key: required(str(100)) }),
};

function create(work: Work, p: Values<typeof createShape>): Meter {
  checkName(work, p.event_name);
  const now = work.now();
  const meter: Meter = {
    id: newId("mtr_test_", 32),
    object: "billing.meter",
    created: now,
    customer_mapping: p.customer_mapping ??
      { event_payload_key: "stripe_customer_id", type: "by_id" },
    default_aggregation: p.default_aggregation,
    display_name: p.display_name,
    event_name: p.event_name,
    event_time_window: p.event_time_window ?? null,
    livemode: false,
    status: "active",
    status_transitions: { deactivated_at: null },
    updated: now,
    value_settings: p.value_settings ?? { event_payload_key: "value" },
  };
  return work.create("billing.meter", meter, {}, { event: "billing.meter.created" });
}

/** An event must find one meter, so of those with its name one is active. */
function checkName(work: Work, event_name: string): void {
  if (work.store.all("billing.meter", { event_name, status: "active" }).length === 0) return;
  throw invalid(`An active meter already exists with event name "${event_name}".`, "event_name");
}

function deactivate(work: Work, _p: unknown, id: string): Meter {
  const old = work.require("billing.meter", id);
  if (old.status !== "active") throw invalid("This meter is already inactive.");
  const now = work.now();
  return work.change("billing.meter", id, {
    status: "inactive",
    status_transitions: { deactivated_at: now },
    updated: now,
  }, "billing.meter.deactivated");
}

function reactivate(work: Work, _p: unknown, id: string): Meter {
  const old = work.require("billing.meter", id);
  if (old.status === "active") throw invalid("This meter is already active.");
  checkName(work, old.event_name);
  return work.change("billing.meter", id, {
    status: "active",
    status_transitions: { deactivated_at: null },
    updated: work.now(),
  }, "billing.meter.reactivated");
}

const summaryShape = {
  ...pagination,
  customer: required(str()),
  end_time: required(time()),
  start_time: required(time()),
  value_grouping_window: oneOf("day", "hour"),
};

/** Windows in which nothing happened are left out; the newest comes first. */
function summaries(work: Work, p: Values<typeof summaryShape>, id: string) {
  const meter = work.require("billing.meter", id);
  work.require("customer", p.customer, "customer");
  const length = p.value_grouping_window === "day"
    ? 86_400
    : p.value_grouping_window === "hour"
    ? 3600
    : null;
  const unit = p.value_grouping_window ?? "minute";
  for (const param of ["start_time", "end_time"] as const) {
    if (p[param] % (length ?? 60) !== 0) {
      throw invalid(`\`${param}\` must be aligned with ${unit} boundaries.`, param);
    }
  }
  if (p.end_time <= p.start_time) {
    throw invalid("`end_time` must be after `start_time`.", "end_time");
  }
  const step = length ?? p.end_time - p.start_time;
  const data = [];
  for (let end = p.end_time; end > p.start_time; end -= step) {
    const span = { start: end - step, end };
    const value = aggregate(work.store, meter, p.customer, span);
    if (value === null) continue;
    data.push({
      id: `mtrusg_test_${id.slice(-8)}${p.customer.slice(-8)}${span.start}_${end}`,
      object: "billing.meter_event_summary",
      aggregated_value: value,
      end_time: end,
      livemode: false,
      meter: id,
      start_time: span.start,
    });
  }
  return arrayPage(data, `${PATH}/${id}/event_summaries`, p);
}

export const meterRoutes: Route[] = [
  route("POST", PATH, createShape, create),
  route("POST", `${PATH}/:id`, { display_name: str(250) }, (work, p, id) => {
    const old = work.require("billing.meter", id);
    const display_name = p.display_name ?? old.display_name;
    if (display_name === old.display_name) return old;
    const patch = { display_name, updated: work.now() };
    return work.change("billing.meter", id, patch, "billing.meter.updated");
  }),
  route("POST", `${PATH}/:id/deactivate`, {}, deactivate),
  route("POST", `${PATH}/:id/reactivate`, {}, reactivate),
  retrieveRoute("billing.meter", PATH),
  route(
    "GET",
    PATH,
    { ...pagination, status: oneOf("active", "inactive") },
    (work, p) => listPage(work, "billing.meter", PATH, p, { where: where({ status: p.status }) }),
  ),
  route("GET", `${PATH}/:id/event_summaries`, summaryShape, summaries),
];
