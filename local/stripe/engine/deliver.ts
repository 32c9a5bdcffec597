/**
 * Webhook delivery: at least once, signed, retried with back-off, several at a time and in no promised order. The queue
 * is rows written in the transaction of the change, so a crash loses nothing and may repeat what was under way.
 */
import { createHmac } from "node:crypto";
import { countPending } from "../resources/system.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { Work } from "./work.ts";

interface Due {
  id: string;
  event: string;
  endpoint: string;
  attempts: number;
  copies: number;
}

/** A webhook endpoint of `/v1` or an event destination of `/v2`. */
interface Target {
  url: string;
  secret: string;
}

interface Result {
  status: number | null;
  error: string | null;
  body: string;
  milliseconds: number;
}

/** Of the copies of one delivery, the one that decides what becomes of it: a failed one is sent again. */
const worst = (results: readonly Result[]) =>
  results.find((each) => each.error !== null) ?? results[0];

export class Deliverer {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #underWay = new Map<string, Promise<void>>();
  #abort = new AbortController();

  constructor(readonly store: Store, readonly settings: Settings) {}

  wake(delay = 0): void {
    if (this.#abort.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), delay);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#underWay.values());
  }

  #pump(): void {
    if (this.#abort.signal.aborted) return;
    const rows = this.store.sql(
      "select id, event_id, endpoint_id, attempts, next_at, copies from deliveries where state = 'pending' order by next_at limit 100",
    ).all();
    let soonest = 1000;
    for (const row of rows) {
      const id = String(row.id);
      const wait = Number(row.next_at) - Date.now();
      if (wait > 0) {
        soonest = Math.min(soonest, wait);
      } else if (
        !this.#underWay.has(id) && this.#underWay.size < this.settings.deliveryConcurrency
      ) {
        const due = {
          id,
          event: String(row.event_id),
          endpoint: String(row.endpoint_id),
          attempts: Number(row.attempts),
          copies: Number(row.copies),
        };
        const run = this.#deliver(due).catch((error: unknown) => {
          this.settings.log(`stripe: delivery ${id} failed inside the sandbox: ${String(error)}`);
        });
        this.#underWay.set(
          id,
          run.finally(() => {
            this.#underWay.delete(id);
            this.wake();
          }),
        );
      }
    }
    // Finished deliveries wake the pump themselves; this timer is for retries that come due later.
    if (rows.length > 0) this.wake(soonest);
  }

  async #deliver(due: Due): Promise<void> {
    const found = this.#target(due);
    if ("refused" in found) {
      const result = { status: null, error: found.refused, milliseconds: 0, body: "" };
      return this.#finish(due, [result], true);
    }
    const results = await Promise.all(
      Array.from({ length: due.copies }, () => this.#post(found.endpoint, found.payload)),
    );
    if (this.#abort.signal.aborted) return;
    this.#finish(due, results, false);
  }

  /** Delivers just these, now, one after the other or all at once, whatever state they are in. For tests. */
  async deliverNow(
    ids: readonly string[],
    atOnce: boolean,
  ): Promise<{ id: string; event: string; status: number | null; error: string | null }[]> {
    if (atOnce) return await Promise.all(ids.map((id) => this.#deliverOne(id)));
    const out = [];
    for (const id of ids) out.push(await this.#deliverOne(id));
    return out;
  }

  async #deliverOne(id: string) {
    const row = this.store.sql("select * from deliveries where id = ?").get(id);
    const due: Due = {
      id,
      event: String(row?.event_id),
      endpoint: String(row?.endpoint_id),
      attempts: Number(row?.attempts ?? 0),
      copies: 1,
    };
    const found = this.#target(due);
    const result = "refused" in found
      ? { status: null, error: found.refused, milliseconds: 0, body: "" }
      : await this.#post(found.endpoint, found.payload);
    this.store.transaction(() => {
      this.#log(due, result);
      this.store.sql("update deliveries set attempts = attempts + 1, state = ? where id = ?")
        .run(result.error === null ? "delivered" : String(row?.state), id);
      this.#count(due);
    });
    return { id, event: due.event, status: result.status, error: result.error };
  }

  #target(due: Due): { endpoint: Target; payload: string } | { refused: string } {
    const event = this.store.find("event", due.event) ?? this.#notification(due.event);
    const endpoint = this.#endpoint(due.endpoint);
    if (!event || !endpoint) return { refused: "the endpoint is gone or disabled" };
    if (!isLoopback(endpoint.url)) {
      return { refused: "not a loopback address: the sandbox never sends anything elsewhere" };
    }
    return { endpoint, payload: JSON.stringify(event, null, 2) };
  }

  /** A thin event travels without its data. */
  #notification(id: string): object | null {
    const event = this.store.find("v2.core.event", id);
    if (!event) return null;
    const { data: _, ...notification } = event;
    return notification;
  }

  #endpoint(id: string): Target | null {
    const endpoint = this.store.find("webhook_endpoint", id);
    if (endpoint?.status === "enabled") {
      return { url: endpoint.url, ...this.store.hidden("webhook_endpoint", id) };
    }
    const destination = this.store.find("v2.core.event_destination", id);
    return destination?.status === "enabled"
      ? this.store.hidden("v2.core.event_destination", id)
      : null;
  }

  async #post(endpoint: Target, payload: string): Promise<Result> {
    const started = performance.now();
    const took = () => Math.round(performance.now() - started);
    const signal = AbortSignal.any([
      this.#abort.signal,
      AbortSignal.timeout(this.settings.deliveryTimeoutMs),
    ]);
    try {
      const response = await fetch(endpoint.url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "stripe-signature": sign(payload, endpoint.secret),
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        body: payload,
        redirect: "manual",
        signal,
      });
      const body = (await response.text()).slice(0, 1000);
      const error = response.ok ? null : `HTTP ${response.status}`;
      return { status: response.status, error, body, milliseconds: took() };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { status: null, error: why, body: "", milliseconds: took() };
    }
  }

  #finish(due: Due, results: readonly Result[], final: boolean): void {
    const attempts = due.attempts + 1;
    const delay = this.settings.deliveryBackoff[due.attempts];
    const error = worst(results)?.error ?? null;
    const state = error === null
      ? "delivered"
      : final || delay === undefined
      ? "failed"
      : "pending";
    this.store.transaction(() => {
      for (const result of results) this.#log(due, result);
      this.store.sql(
        "update deliveries set state = ?, attempts = ?, next_at = ?, copies = 1 where id = ?",
      ).run(state, attempts, Date.now() + (delay ?? 0) * 1000, due.id);
      this.#count(due);
    });
    if (error !== null) {
      this.settings.log(
        `stripe: ${due.event} to ${due.endpoint}, attempt ${attempts}: ${error} (${state})`,
      );
    }
  }

  #log(due: Due, result: Result): void {
    this.store.sql(
      "insert into attempts (delivery_id, at, status, error, body, milliseconds) values (?, ?, ?, ?, ?, ?)",
    ).run(
      due.id,
      Math.floor(Date.now() / 1000),
      result.status,
      result.error,
      result.body,
      result.milliseconds,
    );
  }

  #count(due: Due): void {
    countPending(
      new Work(this.store, this.settings, { id: null, idempotency_key: null }),
      due.event,
    );
  }
}

export function sign(payload: string, secret: string, at = Math.floor(Date.now() / 1000)): string {
  return `t=${at},v1=${createHmac("sha256", secret).update(`${at}.${payload}`).digest("hex")}`;
}

export function isLoopback(address: string): boolean {
  const { hostname } = new URL(address);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** The delivery log, newest first, with every attempt. */
export function deliveryLog(store: Store, limit: number): unknown[] {
  const rows = store.sql(
    "select d.*, o.data from deliveries d left join objects o on o.id = d.event_id order by d.rowid desc limit ?",
  ).all(limit);
  return rows.map((row) => ({
    id: row.id,
    event: row.event_id,
    type: row.data === null ? null : JSON.parse(String(row.data)).type,
    webhook_endpoint: row.endpoint_id,
    state: row.state,
    attempts: row.attempts,
    next_attempt_at: row.state === "pending" ? Math.floor(Number(row.next_at) / 1000) : null,
    log: store.sql(
      "select at, status, error, body, milliseconds from attempts where delivery_id = ? order by seq",
    ).all(String(row.id)),
  }));
}
