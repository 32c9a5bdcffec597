/** The operator pages' data, read from the sandbox's own store, and their actions through the API's own code. */
import { invalid } from "../engine/errors.ts";
import { match } from "../engine/route.ts";
import type { Scheduler } from "../engine/scheduler.ts";
import type { Settings } from "../engine/settings.ts";
import type { Scalar, Store } from "../engine/store.ts";
import { newId, type StripeEvent, type Subscription } from "../engine/types.ts";
import { Work, worldNow } from "../engine/work.ts";
import { setTransfers } from "../billing/accounts.ts";
import { decideDispute, openDispute } from "../billing/disputes.ts";
import { resend, systemRoutes } from "../resources/system.ts";
import { accounts, payments } from "./operator_money_store.ts";
import type {
  AttemptRow,
  ClockRow,
  CustomerRow,
  DeliveryRow,
  EndpointRow,
  EventRow,
  Operator,
} from "./operator.ts";

export interface Core {
  store: Store;
  settings: Settings;
  scheduler: Pick<Scheduler, "advanceWorld">;
  onCommit: () => void;
}

export function storeOperator(core: Core): Operator {
  const { store } = core;
  return {
    setTransfers: (id, wanted) => write(core, (work) => void setTransfers(work, id, wanted)),
    openDispute: (id) => write(core, (work) => void openDispute(work, id, "fraudulent")),
    decideDispute: (id, outcome) => write(core, (work) => void decideDispute(work, id, outcome)),
    accounts: (limit) => accounts(store, core.settings, limit),
    payments: (limit) => payments(store, limit),
    resend: (id) => resendDelivery(core, id),
    advanceClock: (id, time) => advanceClock(core, id, time),
    advanceWorld: (time) => advanceWorld(core, time),
    now: () => worldNow(store),
    events: (limit, before) => events(store, limit, before),
    event: (id) => store.find("event", id),
    deliveries: (limit, eventId) => deliveries(store, limit, eventId),
    attempts: (id) => attempts(store, id),
    endpoints: () => endpoints(store),
    clocks: () => clocks(store),
    customers: (limit) => customers(store, limit),
  };
}

function write(core: Core, act: (work: Work) => void): void {
  const origin = { id: newId("req_", 14), idempotency_key: null };
  core.store.transaction(() => act(new Work(core.store, core.settings, origin)));
  core.onCommit();
}

function resendDelivery(core: Core, id: string): void {
  const row = core.store.sql("select event_id, endpoint_id from deliveries where id = ?").get(id);
  if (!row) throw invalid("This delivery is not known any more.");
  write(core, (work) => {
    const queued = resend(work, String(row.event_id), String(row.endpoint_id));
    if (queued === 0) {
      throw invalid("Its endpoint is gone or disabled, so there is nobody to deliver to.");
    }
  });
}

/** The API's own route, so that its rules (never back, not too far, one at a time) hold here too. */
function advanceClock(core: Core, id: string, time: number): void {
  const path = `/v1/test_helpers/test_clocks/${encodeURIComponent(id)}/advance`;
  const found = match(systemRoutes, "POST", path);
  if (!found) throw new Error(`The API has no ${path}`);
  write(core, found.route.prepare({ frozen_time: String(time) }, found.ids));
}

const THREE_YEARS = 3 * 366 * 86_400;

async function advanceWorld(core: Core, time: number): Promise<void> {
  const now = worldNow(core.store);
  if (time <= now || time > now + THREE_YEARS) {
    throw invalid("Choose a time after the present one, at most three years ahead.");
  }
  await core.scheduler.advanceWorld(time);
}

function events(store: Store, limit: number, before?: string): EventRow[] {
  const page = store.list("event", { limit, ...(before ? { after: before } : {}) });
  return (page?.data ?? []).map((event) => ({
    id: event.id,
    type: event.type,
    created: event.created,
    object_id: idOf(event),
    pending_webhooks: event.pending_webhooks,
  }));
}

function idOf(event: StripeEvent): string | null {
  const object = event.data.object;
  if (typeof object !== "object" || object === null || !("id" in object)) return null;
  return typeof object.id === "string" ? object.id : null;
}

type Row = Record<string, unknown>;
const text = (value: unknown): string | null =>
  value === null || value === undefined ? null : String(value);
const number = (value: unknown): number | null =>
  value === null || value === undefined ? null : Number(value);

function rows(store: Store, sql: string, ...args: Scalar[]): Row[] {
  return store.sql(sql).all(...args);
}

function deliveries(store: Store, limit: number, eventId?: string): DeliveryRow[] {
  const found = rows(
    store,
    `select d.*, json_extract(e.data, '$.type') as event_type,
       coalesce(json_extract(w.data, '$.url'), json_extract(w.hidden, '$.url')) as url,
       (select a.status from attempts a where a.delivery_id = d.id order by a.seq desc limit 1) as last_status,
       (select a.error from attempts a where a.delivery_id = d.id order by a.seq desc limit 1) as last_error
     from deliveries d left join objects e on e.id = d.event_id left join objects w on w.id = d.endpoint_id
     where ? is null or d.event_id = ? order by d.rowid desc limit ?`,
    eventId ?? null,
    eventId ?? null,
    limit,
  );
  return found.map((row) => ({
    id: String(row.id),
    event_id: String(row.event_id),
    event_type: text(row.event_type) ?? "(deleted event)",
    endpoint_url: text(row.url) ?? "(deleted endpoint)",
    state: String(row.state),
    attempts: Number(row.attempts),
    created: Number(row.created),
    // The store keeps this one in milliseconds.
    next_at: row.state === "pending" ? Math.ceil(Number(row.next_at) / 1000) : null,
    last_status: number(row.last_status),
    last_error: text(row.last_error),
  }));
}

function attempts(store: Store, deliveryId: string): AttemptRow[] {
  const found = rows(
    store,
    "select at, status, error, body, milliseconds from attempts where delivery_id = ? order by seq desc limit 50",
    deliveryId,
  );
  return found.map((row) => ({
    at: toSeconds(Number(row.at)),
    status: number(row.status),
    error: text(row.error),
    body: text(row.body),
    milliseconds: Number(row.milliseconds),
  }));
}

/** Milliseconds or seconds: no sandbox runs in the year 5138. */
const toSeconds = (at: number): number => at > 1e11 ? Math.floor(at / 1000) : at;

function endpoints(store: Store): EndpointRow[] {
  return store.all("webhook_endpoint", {}).map(({ id, url, status, enabled_events }) => ({
    id,
    url,
    status,
    enabled_events,
  }));
}

function clocks(store: Store): ClockRow[] {
  return store.all("test_helpers.test_clock", {}).reverse().map((clock) => ({
    id: clock.id,
    name: clock.name,
    frozen_time: clock.frozen_time,
    status: clock.status,
    customers: store.all("customer", { test_clock: clock.id }).length,
  }));
}

function customers(store: Store, limit: number): CustomerRow[] {
  const page = store.list("customer", { limit });
  return (page?.data ?? []).map((customer) => ({
    id: customer.id,
    email: customer.email,
    name: customer.name ?? null,
    created: customer.created,
    clock: customer.test_clock ?? null,
    subscriptions: store.all("subscription", { customer: customer.id }).map((sub) => ({
      id: sub.id,
      status: sub.status,
      product: productOf(store, sub),
    })),
  }));
}

function productOf(store: Store, sub: Subscription): string | null {
  const names = sub.items.data.map((item) =>
    store.find("product", item.price.product)?.name ?? null
  );
  return names.filter((name) => name !== null).join(" + ") || null;
}
