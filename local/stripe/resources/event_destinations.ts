/** `/v2/core`: event destinations and the events of `/v2`. */
import { arr, int, obj, required, str, url, type Values } from "../engine/params.ts";
import { mergeMetadata } from "../engine/params.ts";
import { EVENT_TYPES } from "../engine/event_types.ts";
import { relatedTo } from "../engine/related.ts";
import { forAccounts, type Route, route } from "../engine/route.ts";
import { THIN_TYPES } from "../engine/thin_types.ts";
import { API_VERSION, type EventDestination, newId } from "../engine/types.ts";
import {
  include,
  instant,
  invalidField,
  iso,
  metadataV2,
  pageShape,
  v2Error,
  v2Page,
  word,
} from "../engine/v2.ts";
import { type Work, worldNow } from "../engine/work.ts";

const PATH = "/v2/core/event_destinations";
const KIND = "v2.core.event_destination";
const URL_FIELD = "webhook_endpoint.url";
const SECRET_FIELD = "webhook_endpoint.signing_secret";

const createShape = {
  description: str(),
  enabled_events: required(arr(str())),
  event_payload: required(word("snapshot", "thin")),
  events_from: arr(
    word("@accounts", "@organization_members", "@organization_members/@accounts", "@self"),
  ),
  include: include(URL_FIELD, SECRET_FIELD),
  metadata: metadataV2(),
  name: required(str()),
  snapshot_api_version: str(),
  type: required(word("amazon_eventbridge", "azure_event_grid", "webhook_endpoint")),
  webhook_endpoint: obj({ url: required(url()) }),
};
const updateShape = {
  description: str(),
  enabled_events: arr(str()),
  include: include(URL_FIELD),
  metadata: metadataV2(),
  name: str(),
  webhook_endpoint: obj({ url: required(url()) }),
};
type Create = Values<typeof createShape>;

function checkNames(names: string[], payload: EventDestination["event_payload"]): string[] {
  if (names.length === 0) {
    throw invalidField("enabled_events", "At least one event is required.");
  }
  const known = payload === "thin" ? THIN_TYPES : EVENT_TYPES;
  names.forEach((name, i) => {
    if (name === "*" && names.length === 1) return;
    if (!known.has(name)) {
      throw invalidField(`enabled_events[${i}]`, `'${name}' is not a known ${payload} event type.`);
    }
  });
  return names;
}

function create(work: Work, p: Create) {
  if (p.type !== "webhook_endpoint") {
    throw invalidField("type", "The sandbox delivers to webhook endpoints only.");
  }
  if (!p.webhook_endpoint) throw invalidField("webhook_endpoint", "Field is required.");
  const foreign = p.events_from?.find((from) => from.startsWith("@organization"));
  if (foreign) throw invalidField("events_from", "The sandbox has no organization.");
  const isThin = p.event_payload === "thin";
  if (isThin && p.snapshot_api_version !== undefined) {
    throw invalidField("snapshot_api_version", "Thin events have no API version.");
  }
  const now = stamp(work);
  const made = work.create(KIND, {
    id: newId("ed_test_"),
    object: KIND,
    created: now,
    description: p.description ?? "",
    enabled_events: checkNames(p.enabled_events, p.event_payload),
    event_payload: p.event_payload,
    events_from: p.events_from ?? ["@self"],
    livemode: false,
    metadata: mergeMetadata({}, p.metadata),
    name: p.name,
    ...(isThin ? {} : { snapshot_api_version: p.snapshot_api_version ?? API_VERSION }),
    status: "enabled",
    type: "webhook_endpoint",
    updated: now,
    webhook_endpoint: {},
  }, { secret: newId("whsec_", 32), url: p.webhook_endpoint.url });
  return shown(work, made, p.include);
}

const stamp = (work: Work) => iso(worldNow(work.store) * 1000);

/** The address and the secret only when they are asked for (the secret only on creation). */
function shown(work: Work, object: EventDestination, included: readonly string[] = []) {
  const { secret, url } = work.hidden(KIND, object.id);
  return {
    ...object,
    webhook_endpoint: {
      ...(included.includes(SECRET_FIELD) ? { signing_secret: secret } : {}),
      ...(included.includes(URL_FIELD) ? { url } : {}),
    },
  };
}

function own(work: Work, id: string): EventDestination {
  const found = work.find(KIND, id);
  if (!found) throw v2Error(404, "not_found", `No such event destination: '${id}'`);
  return found;
}

function update(work: Work, p: Values<typeof updateShape>, id: string) {
  const old = own(work, id);
  if (p.webhook_endpoint) work.changeHidden(KIND, id, { url: p.webhook_endpoint.url });
  const fresh = work.change(KIND, id, {
    description: p.description ?? old.description,
    enabled_events: p.enabled_events
      ? checkNames(p.enabled_events, old.event_payload)
      : old.enabled_events,
    metadata: mergeMetadata(old.metadata ?? {}, p.metadata),
    name: p.name ?? old.name,
    updated: stamp(work),
  });
  return shown(work, fresh, p.include);
}

function setStatus(work: Work, id: string, status: EventDestination["status"]) {
  const { status_details: _, ...old } = own(work, id);
  const reason = { disabled: { reason: "user" as const } };
  const details = status === "disabled" ? reason : undefined;
  return work.change(KIND, id, { ...old, status, status_details: details, updated: stamp(work) });
}

const destinationRoutes: Route[] = [
  route("POST", PATH, createShape, create),
  route("GET", PATH, { ...pageShape, include: include(URL_FIELD) }, (work, p) => {
    const page = v2Page(work.store, KIND, PATH, p, {});
    return { ...page, data: page.data.map((each) => shown(work, each, p.include)) };
  }),
  route(
    "GET",
    `${PATH}/:id`,
    { include: include(URL_FIELD) },
    (work, p, id) => shown(work, own(work, id), p.include),
  ),
  route("POST", `${PATH}/:id`, updateShape, update),
  route("DELETE", `${PATH}/:id`, {}, (work, _p, id) => {
    work.remove(KIND, own(work, id).id);
    work.store.sql(
      "update deliveries set state = 'failed' where endpoint_id = ? and state = 'pending'",
    ).run(id);
    return { id, object: KIND };
  }),
  route("POST", `${PATH}/:id/disable`, {}, (work, _p, id) => setStatus(work, id, "disabled")),
  route("POST", `${PATH}/:id/enable`, {}, (work, _p, id) => setStatus(work, id, "enabled")),
  route("POST", `${PATH}/:id/ping`, {}, (work, _p, id) => {
    const related_object = relatedTo(own(work, id));
    return work.emitThin("v2.core.event_destination.ping", { related_object }, id);
  }),
];

const bound = { read: (raw: unknown, path: string) => readBound(raw, path) };

/** The API takes RFC 3339 text; the SDK's type of the same filter says Unix seconds. */
function readBound(raw: unknown, path: string): number | undefined {
  if (raw === undefined) return undefined;
  if (typeof raw === "string" && /^\d+$/.test(raw)) return Number(raw);
  const ms = typeof raw === "string" ? instant().read(raw, path) : undefined;
  if (ms === undefined) throw invalidField(path, "Must be an RFC 3339 timestamp.");
  return Math.floor(ms / 1000);
}

const eventRoutes: Route[] = [
  ...forAccounts(route("GET", "/v2/core/events", {
    ...pageShape,
    created: obj({ gt: bound, gte: bound, lt: bound, lte: bound }),
    limit: int(1, 100),
    object_id: str(),
    types: arr(str()),
  }, (work, p) => {
    if (p.types && p.types.length > 20) throw invalidField("types", "At most 20 types.");
    const where: Record<string, string> = p.object_id === undefined
      ? {}
      : { "related_object.id": p.object_id };
    const anyOf: Record<string, string[]> = p.types ? { type: p.types } : {};
    const query = { where, anyOf, created: p.created };
    return v2Page(work.store, "v2.core.event", "/v2/core/events", p, query, work.account);
  })),
  ...forAccounts(route("GET", "/v2/core/events/:id", {}, (work, _p, id) => {
    const found = work.find("v2.core.event", id);
    if (!found) throw v2Error(404, "not_found", `No such event: '${id}'`);
    return found;
  })),
];

export const v2CoreRoutes: Route[] = [...destinationRoutes, ...eventRoutes];
