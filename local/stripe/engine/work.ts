/** One unit of work: a request, a page action or a step of a clock. Every change writes its event in the same transaction. */
import { missing } from "./errors.ts";
import { dueAt } from "../billing/due.ts";
import { enqueue } from "../control/delivery.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { relatedTo } from "./related.ts";
import { type ThinType, thinTypeOf } from "./thin_types.ts";
import {
  type Account,
  type AlertTriggered,
  API_VERSION,
  type EventDestination,
  type EventType,
  type Hidden,
  type Kind,
  newId,
  type Objects,
  type StripeEvent,
  type ThinEvent,
} from "./types.ts";
import { iso } from "./v2.ts";

export interface Origin {
  id: string | null;
  idempotency_key: string | null;
}

/** The word Stripe uses in «No such …» where it is not the kind itself. */
const NOUNS: Partial<Record<Kind, string>> = {
  "payment_intent": "payment_intent",
  "payment_method": "PaymentMethod",
  "setup_intent": "setupintent",
  "test_helpers.test_clock": "billing clock",
  "billing.alert": "billing alert",
  "billing.credit_balance_transaction": "credit balance transaction",
  "billing.credit_grant": "credit grant",
  "billing.meter": "billing meter",
  "billing_portal.configuration": "configuration",
  "application_fee": "fee",
  "balance_transaction": "balance transaction",
  "v2.core.account": "account",
};

export class Work {
  constructor(
    readonly store: Store,
    readonly settings: Settings,
    readonly origin: Origin,
    /** The connected account whose objects these are (`Stripe-Account`), or "" for the platform. */
    readonly account = "",
  ) {}

  /** The same work on another account's books. */
  as(account: string): Work {
    return new Work(this.store, this.settings, this.origin, account);
  }

  /** Now, in Unix seconds: the frozen time of the test clock, or the sandbox's own (possibly moved) time. */
  now(clock = ""): number {
    if (clock !== "") {
      const found = this.store.find("test_helpers.test_clock", clock);
      if (found) return found.frozen_time;
    }
    return worldNow(this.store);
  }

  clockOf(customer: string | null | undefined): string {
    return customer ? this.store.clockOf(customer) : "";
  }

  find<K extends Kind>(kind: K, id: string): Objects[K] | null {
    return this.store.find(kind, id, this.account);
  }

  /** The object, or Stripe's `resource_missing` naming the parameter that held the id. */
  require<K extends Kind>(kind: K, id: string, param = "id"): Objects[K] {
    const found = this.find(kind, id);
    if (!found) throw missing(NOUNS[kind] ?? kind, id, param);
    return found;
  }

  hidden<K extends Kind>(kind: K, id: string): Hidden<K> {
    return this.store.hidden(kind, id);
  }

  create<K extends Kind>(
    kind: K,
    data: Objects[K],
    hidden: Hidden<K>,
    options: { clock?: string; event?: EventType } = {},
  ): Objects[K] {
    const created = createdAt(data) ?? this.now(options.clock);
    const { account } = this;
    const clock = options.clock ?? "";
    this.store.insert({ id: data.id, kind, created, clock, data, hidden, account });
    this.store.update(data.id, data, hidden, dueAt(kind, data, hidden));
    if (options.event) this.emit(options.event, data);
    return data;
  }

  /** Applies `patch`; with an `event`, writes it with what was there before, unless nothing changed. */
  change<K extends Kind>(
    kind: K,
    id: string,
    patch: Partial<Objects[K]>,
    event?: EventType,
  ): Objects[K] {
    const before = this.require(kind, id);
    const after = { ...before, ...patch };
    const previous = difference(before, after);
    const hidden = this.store.hidden(kind, id);
    this.store.update(id, after, hidden, dueAt(kind, after, hidden));
    if (event && Object.keys(previous).length > 0) {
      this.emit(event, after, event.endsWith(".updated") ? previous : undefined);
    }
    return after;
  }

  changeHidden<K extends Kind>(kind: K, id: string, patch: Partial<Hidden<K>>): void {
    const data = this.require(kind, id);
    const hidden = { ...this.store.hidden(kind, id), ...patch };
    this.store.update(id, data, hidden, dueAt(kind, data, hidden));
  }

  remove<K extends Kind>(
    kind: K,
    id: string,
    event?: EventType,
  ): { id: string; object: K; deleted: true } {
    const last = this.require(kind, id);
    this.store.remove(kind, id);
    if (event) this.emit(event, last);
    return { id, object: kind, deleted: true };
  }

  emit(
    type: EventType,
    object: Objects[Kind] | AlertTriggered | Account,
    previous?: Record<string, unknown>,
  ): void {
    const created = worldNow(this.store);
    const event: StripeEvent = {
      id: newId("evt_"),
      object: "event",
      ...(this.account === "" ? {} : { account: this.account }),
      api_version: API_VERSION,
      created,
      data: previous ? { object, previous_attributes: previous } : { object },
      livemode: false,
      pending_webhooks: 0,
      request: { ...this.origin },
      type,
    };
    for (const endpoint of this.store.all("webhook_endpoint", { status: "enabled" })) {
      const { connect = false } = this.store.hidden("webhook_endpoint", endpoint.id);
      if (connect !== (this.account !== "") || !wants(endpoint, type)) continue;
      event.pending_webhooks += 1;
      enqueue(this.store, event, endpoint.id);
    }
    for (const destination of this.#destinations("snapshot")) {
      if (!wants(destination, type)) continue;
      event.pending_webhooks += 1;
      enqueue(this.store, event, destination.id);
    }
    this.create("event", event, {});
    const thin = thinTypeOf(type);
    // Nobody has asked for it, so nobody reads it: half of all events less.
    if (thin === null || !this.#destinations("thin").some((each) => wants(each, thin))) return;
    this.emitThin(thin, { related_object: relatedTo(object), snapshot_event: event.id });
  }

  /** An event of `/v2`: to every thin destination that wants it, or to `only` one. */
  emitThin(
    type: ThinType,
    { related_object, ...more }: Pick<ThinEvent, "data" | "related_object" | "snapshot_event">,
    only?: string,
  ): ThinEvent {
    const { id, idempotency_key } = this.origin;
    const now = worldNow(this.store);
    const event: ThinEvent = {
      id: newId("evt_test_"),
      object: "v2.core.event",
      ...(this.account === "" ? {} : { context: this.account }),
      created: iso(now * 1000 + Date.now() % 1000),
      livemode: false,
      type,
      ...(id === null
        ? {}
        : { reason: { type: "request", request: { id, idempotency_key: idempotency_key ?? "" } } }),
      ...(related_object ? { related_object } : {}),
      ...more,
    };
    const wanted = only === undefined
      ? this.#destinations("thin").filter((each) => wants(each, type)).map(({ id }) => id)
      : [only];
    for (const each of wanted) enqueue(this.store, { ...event, created: now }, each);
    return this.create("v2.core.event", event, {});
  }

  #destinations(event_payload: EventDestination["event_payload"]): EventDestination[] {
    const from = this.account === "" ? "@self" : "@accounts";
    return this.store.all("v2.core.event_destination", { event_payload, status: "enabled" })
      .filter((each) => each.events_from?.includes(from));
  }
}

const wants = ({ enabled_events }: { enabled_events: string[] }, type: string) =>
  enabled_events.some((wanted) => wanted === "*" || wanted === type);

function createdAt(data: Objects[Kind]): number | null {
  if (!("created" in data)) return "date" in data ? data.date : "start" in data ? data.start : null;
  const { created } = data;
  return typeof created === "string" ? Math.floor(Date.parse(created) / 1000) : created;
}

/** The sandbox's own time: real time, plus what `POST /_sandbox/clock` moved it forward. */
export function worldNow(store: Store): number {
  return Math.floor(Date.now() / 1000) + Number(store.meta("clock_offset") ?? 0);
}

/** Stripe's `previous_attributes`: the old values of what changed (null where there was none), hashes only with their changed keys, arrays whole. */
export function difference(before: object, after: object): Record<string, unknown> {
  const old = new Map<string, unknown>(Object.entries(before));
  const now = new Map<string, unknown>(Object.entries(after));
  const out: Record<string, unknown> = {};
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(key) ?? null, now.get(key) ?? null];
    if (JSON.stringify(was) === JSON.stringify(is)) continue;
    out[key] = isHash(was) && isHash(is) ? difference(was, is) : was;
  }
  return out;
}

function isHash(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
