/**
 * Webhook delivery: at least once, signed, retried with back-off, several at a time and in no promised order. The queue
 * is rows written in the transaction of the change, so a crash loses nothing and may repeat what was under way.
 */
import { createHmac } from "node:crypto";
import { countPending } from "../resources/system.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { WebhookEndpoint } from "./types.ts";
import { Work } from "./work.ts";

interface Due {
  id: string;
  event: string;
  endpoint: string;
  attempts: number;
}

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
      "select id, event_id, endpoint_id, attempts, next_at from deliveries where state = 'pending' order by next_at limit 100",
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
    const event = this.store.find("event", due.event);
    const endpoint = this.store.find("webhook_endpoint", due.endpoint);
    if (!event || !endpoint || endpoint.status !== "enabled") {
      return this.#finish(due, {
        status: null,
        error: "the endpoint is gone or disabled",
        milliseconds: 0,
        body: "",
      }, true);
    }
    if (!isLoopback(endpoint.url)) {
      const error = "not a loopback address: the sandbox never sends anything elsewhere";
      return this.#finish(due, { status: null, error, milliseconds: 0, body: "" }, true);
    }
    const started = performance.now();
    const result = await this.#post(endpoint, JSON.stringify(event, null, 2));
    if (this.#abort.signal.aborted) return;
    this.#finish(due, { ...result, milliseconds: Math.round(performance.now() - started) }, false);
  }

  async #post(
    endpoint: WebhookEndpoint,
    payload: string,
  ): Promise<{ status: number | null; error: string | null; body: string }> {
    const { secret } = this.store.hidden("webhook_endpoint", endpoint.id);
    const signal = AbortSignal.any([
      this.#abort.signal,
      AbortSignal.timeout(this.settings.deliveryTimeoutMs),
    ]);
    try {
      const response = await fetch(endpoint.url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "stripe-signature": sign(payload, secret),
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
        body: payload,
        redirect: "manual",
        signal,
      });
      const body = (await response.text()).slice(0, 1000);
      return {
        status: response.status,
        error: response.ok ? null : `HTTP ${response.status}`,
        body,
      };
    } catch (error) {
      return {
        status: null,
        error: error instanceof Error ? error.message : String(error),
        body: "",
      };
    }
  }

  #finish(
    due: Due,
    result: { status: number | null; error: string | null; milliseconds: number; body: string },
    final: boolean,
  ): void {
    const attempts = due.attempts + 1;
    const delay = this.settings.deliveryBackoff[due.attempts];
    const state = result.error === null
      ? "delivered"
      : final || delay === undefined
      ? "failed"
      : "pending";
    this.store.transaction(() => {
      this.store.sql(
        "insert into attempts (delivery_id, at, status, error, body, milliseconds) values (?, ?, ?, ?, ?, ?)",
      )
        .run(
          due.id,
          Math.floor(Date.now() / 1000),
          result.status,
          result.error,
          result.body,
          result.milliseconds,
        );
      this.store.sql("update deliveries set state = ?, attempts = ?, next_at = ? where id = ?")
        .run(state, attempts, Date.now() + (delay ?? 0) * 1000, due.id);
      countPending(
        new Work(this.store, this.settings, { id: null, idempotency_key: null }),
        due.event,
      );
    });
    if (result.error !== null) {
      this.settings.log(
        `stripe: ${due.event} to ${due.endpoint}, attempt ${attempts}: ${result.error} (${state})`,
      );
    }
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
