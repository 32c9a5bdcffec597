/**
 * Stripe's limits on recording usage: so many calls a second, one at a time for each customer and meter, and the
 * short-lived token of the meter event stream.
 * https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api#rate-limits
 */
import { StripeError, unauthorized } from "./errors.ts";
import type { Raw } from "./params.ts";
import type { Route } from "./route.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { worldNow } from "./work.ts";

export class Limits {
  #held = new Set<string>();
  #second = 0;
  #calls = 0;

  constructor(readonly store: Store, readonly settings: Settings) {}

  /** Runs at once, unless the route is limited: then a call takes its time, and a second one beside it is refused. */
  async hold<T>(route: Route, raw: { [key: string]: Raw }, run: () => T): Promise<T> {
    if (route.isMetered) this.#count();
    const guard = route.guard?.(raw, this.store);
    if (!guard) return run();
    if (this.#held.has(guard.key)) throw guard.refusal;
    this.#held.add(guard.key);
    try {
      await new Promise((resolve) => setTimeout(resolve, this.settings.meterLatencyMs));
      return run();
    } finally {
      this.#held.delete(guard.key);
    }
  }

  #count(): void {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) [this.#second, this.#calls] = [second, 0];
    this.#calls += 1;
    if (this.#calls > this.settings.meterEventsPerSecond) throw rateLimited();
  }
}

function rateLimited(): StripeError {
  return new StripeError(429, {
    type: "invalid_request_error",
    code: "rate_limit",
    message:
      "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
  });
}

export function checkSession(store: Store, header: string | null): void {
  const token = /^bearer (.+)$/i.exec(header ?? "")?.[1] ?? "";
  const row = store.sql("select expires_at from meter_sessions where token = ?").get(token);
  if (!row) throw unauthorized("Invalid authentication token.");
  if (Number(row.expires_at) > worldNow(store)) return;
  throw new StripeError(401, {
    type: "temporary_session_expired",
    code: "billing_meter_event_session_expired",
    message: "The temporary session token has expired.",
  });
}
