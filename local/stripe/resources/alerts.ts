/** Usage alerts. */
import { listPage, pagination, where } from "../engine/answer.ts";
import { invalid, missing } from "../engine/errors.ts";
import { arr, int, obj, oneOf, required, str, type Values } from "../engine/params.ts";
import { type Route, route } from "../engine/route.ts";
import { type Alert, newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { lastEvent } from "../billing/alerts.ts";

const PATH = "/v1/billing/alerts";
const MAX = 25;

const createShape = {
  alert_type: required(oneOf("usage_threshold")),
  title: required(str(256)),
  usage_threshold: obj({
    filters: arr(obj({ customer: str(), type: required(oneOf("customer")) })),
    gte: required(int(1)),
    meter: required(str()),
    recurrence: required(oneOf("one_time")),
  }),
};

function create(work: Work, p: Values<typeof createShape>): Alert {
  const threshold = p.usage_threshold;
  if (!threshold) {
    throw invalid(
      "Missing required param: usage_threshold.",
      "usage_threshold",
      "parameter_missing",
    );
  }
  work.require("billing.meter", threshold.meter, "usage_threshold[meter]");
  const filters = threshold.filters ?? [];
  if (filters.length > 1) {
    throw invalid("You can only specify up to one filter.", "usage_threshold[filters]");
  }
  const [filter] = filters;
  const customer = filter?.customer ?? null;
  if (customer !== null) {
    work.require("customer", customer, "usage_threshold[filters][0][customer]");
  }
  checkNumber(work, threshold.meter, customer);
  const alert: Alert = {
    id: newId("alrt_test_"),
    object: "billing.alert",
    alert_type: "usage_threshold",
    livemode: false,
    status: "active",
    title: p.title,
    usage_threshold: {
      filters: filter ? [{ customer, type: "customer" }] : null,
      gte: threshold.gte,
      meter: threshold.meter,
      recurrence: "one_time",
    },
  };
  return work.create("billing.alert", alert, { triggered: [], after: lastEvent(work) });
}

function checkNumber(work: Work, meter: string, customer: string | null): void {
  const same = work.store.all("billing.alert", { "usage_threshold.meter": meter }).filter((alert) =>
    alert.status !== "archived" &&
    (alert.usage_threshold?.filters?.[0]?.customer ?? null) === customer
  );
  if (same.length < MAX) return;
  throw invalid(`You can only have ${MAX} alerts for each meter and customer.`);
}

/** An archived alert is gone from the API. */
function live(work: Work, id: string): Alert {
  const alert = work.find("billing.alert", id);
  if (!alert || alert.status === "archived") throw missing("billing alert", id, "id");
  return alert;
}

export const alertRoutes: Route[] = [
  route("POST", PATH, createShape, create),
  route("POST", `${PATH}/:id/activate`, {}, (work, _p, id) => {
    if (live(work, id).status === "active") throw invalid("This alert is already active.");
    work.changeHidden("billing.alert", id, { triggered: [], after: lastEvent(work) });
    return work.change("billing.alert", id, { status: "active" });
  }),
  route("POST", `${PATH}/:id/deactivate`, {}, (work, _p, id) => {
    if (live(work, id).status !== "active") throw invalid("This alert is already inactive.");
    return work.change("billing.alert", id, { status: "inactive" });
  }),
  route(
    "POST",
    `${PATH}/:id/archive`,
    {},
    (work, _p, id) => work.change("billing.alert", live(work, id).id, { status: "archived" }),
  ),
  route("GET", `${PATH}/:id`, {}, (work, _p, id) => live(work, id)),
  route(
    "GET",
    PATH,
    { ...pagination, alert_type: oneOf("usage_threshold"), meter: str() },
    (work, p) =>
      listPage(work, "billing.alert", PATH, p, {
        where: where({ alert_type: p.alert_type, "usage_threshold.meter": p.meter }),
        anyOf: { status: ["active", "inactive"] },
      }),
  ),
];
