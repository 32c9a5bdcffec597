/** One unit of work: a request, a page action or a step of a clock. Every change writes its event in the same transaction. */
import { missing } from "./errors.ts";
import { dueAt } from "../billing/due.ts";
import { enqueue } from "../control/delivery.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import {
  API_VERSION,
  type EventType,
  type Hidden,
  type Kind,
  newId,
  type Objects,
  type StripeEvent,
} from "./types.ts";

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
  "billing_portal.configuration": "configuration",
};

export class Work {
  constructor(readonly store: Store, readonly settings: Settings, readonly origin: Origin) {}

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
    return this.store.find(kind, id);
  }

  /** The object, or Stripe's `resource_missing` naming the parameter that held the id. */
  require<K extends Kind>(kind: K, id: string, param = "id"): Objects[K] {
    const found = this.store.find(kind, id);
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
    const created = "created" in data ? data.created : data.date;
    this.store.insert({ id: data.id, kind, created, clock: options.clock ?? "", data, hidden });
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

  emit(type: EventType, object: Objects[Kind], previous?: Record<string, unknown>): void {
    const created = worldNow(this.store);
    const event: StripeEvent = {
      id: newId("evt_"),
      object: "event",
      api_version: API_VERSION,
      created,
      data: previous ? { object, previous_attributes: previous } : { object },
      livemode: false,
      pending_webhooks: 0,
      request: { ...this.origin },
      type,
    };
    for (const endpoint of this.store.all("webhook_endpoint", { status: "enabled" })) {
      if (!endpoint.enabled_events.some((wanted) => wanted === "*" || wanted === type)) continue;
      event.pending_webhooks += 1;
      enqueue(this.store, event, endpoint.id);
    }
    this.create("event", event, {});
  }
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
