/** What Stripe does not have: the delivery log, resending, and moving the sandbox's own time. Loopback only, no key. */
import type { Hono } from "hono";
import { StripeError } from "./engine/errors.ts";
import { deliveryLog } from "./engine/deliver.ts";
import type { Scheduler } from "./engine/scheduler.ts";
import type { Settings } from "./engine/settings.ts";
import type { Store } from "./engine/store.ts";
import { Work, worldNow } from "./engine/work.ts";
import { resend } from "./resources/system.ts";

interface Parts {
  store: Store;
  settings: Settings;
  scheduler: Scheduler;
  onCommit: () => void;
}

const YEARS_3 = 3 * 366 * 86_400;

export function mountSandbox(app: Hono, { store, settings, scheduler, onCommit }: Parts): void {
  app.get("/_sandbox/health", (c) => c.json({ ok: true, now: worldNow(store) }));

  app.get("/_sandbox/deliveries", (c) => {
    const limit = Math.min(1000, Math.max(1, Number(c.req.query("limit")) || 100));
    return c.json({ data: deliveryLog(store, limit) });
  });

  app.post("/_sandbox/events/:id/resend", (c) => {
    try {
      const work = new Work(store, settings, { id: null, idempotency_key: null });
      const queued = store.transaction(() => resend(work, c.req.param("id")));
      onCommit();
      return c.json({ queued });
    } catch (error) {
      if (error instanceof StripeError) return c.json({ error: error.body }, 404);
      throw error;
    }
  });

  app.get("/_sandbox/clock", (c) => c.json({ now: worldNow(store) }));

  /** `{"to": <unix seconds>}` or `{"seconds": <n>}`; answers when everything due until then has happened. */
  app.post("/_sandbox/clock", async (c) => {
    const body: unknown = await c.req.json().catch(() => null);
    const now = worldNow(store);
    const to = numberAt(body, "to") ?? now + (numberAt(body, "seconds") ?? 0);
    if (!Number.isInteger(to) || to <= now || to > now + YEARS_3) {
      const message =
        "Give `to` (Unix seconds, after now) or `seconds` (positive), at most three years ahead.";
      return c.json({ error: { type: "invalid_request_error", message } }, 400);
    }
    return c.json({ now: await scheduler.advanceWorld(to) });
  });
}

function numberAt(body: unknown, key: string): number | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const value = new Map<string, unknown>(Object.entries(body)).get(key);
  return typeof value === "number" ? value : undefined;
}
