/**
 * Idempotency keys: https://docs.stripe.com/api/idempotent_requests. Kept 24 hours. Not stored: errors found before the
 * endpoint began (authentication, parameters), and 5xx, since the sandbox has rolled everything back then.
 * `/v2` keeps them 30 days and stores successes only: a failed request is tried anew under its key.
 */
import { StripeError } from "./errors.ts";
import type { Store } from "./store.ts";

const LIFETIME = 24 * 3600;
const LIFETIME_V2 = 30 * 24 * 3600;
/** How a key of `/v2` is kept: the two namespaces do not share their keys. */
export const V2_KEY = "v2 ";

export class Idempotency {
  #inFlight = new Set<string>();

  constructor(readonly store: Store) {}

  /** The stored answer to replay, or null when this request is the first and now holds the key. */
  begin(
    key: string,
    fingerprint: string,
  ): { status: number; body: string; requestId: string } | null {
    const now = Math.floor(Date.now() / 1000);
    const shown = key.startsWith(V2_KEY) ? key.slice(V2_KEY.length) : key;
    if (this.#inFlight.has(key)) {
      throw new StripeError(409, {
        type: "idempotency_error",
        code: "idempotency_key_in_use",
        message:
          "There is currently another in-progress request using this Idempotent Key (that probably means you " +
          `submitted twice, and the other request is still going through): ${shown}. Please try again later.`,
      });
    }
    this.store.sql(
      `delete from idempotency where created < iif(key like '${V2_KEY}%', ?, ?)`,
    ).run(now - LIFETIME_V2, now - LIFETIME);
    const row = this.store.sql("select * from idempotency where key = ?").get(key);
    if (row && row.fingerprint !== fingerprint) {
      throw new StripeError(400, {
        type: "idempotency_error",
        message:
          "Keys for idempotent requests can only be used with the same parameters they were first used with. " +
          `Try using a key other than '${shown}' if you meant to execute a different request.`,
      });
    }
    if (row) {
      return {
        status: Number(row.status),
        body: String(row.body),
        requestId: String(row.request_id),
      };
    }
    this.#inFlight.add(key);
    return null;
  }

  save(key: string, fingerprint: string, status: number, body: string, requestId: string): void {
    this.store.sql(
      "insert into idempotency (key, fingerprint, status, body, request_id, created) values (?, ?, ?, ?, ?, ?)",
    ).run(key, fingerprint, status, body, requestId, Math.floor(Date.now() / 1000));
  }

  end(key: string): void {
    this.#inFlight.delete(key);
  }
}
