import * as db from "../db.ts";
import { closesUsage, customerOf, customerToSync, isMeterReport } from "../domain/events.ts";
import { AppError } from "../domain/errors.ts";
import { log } from "../log.ts";
import { type SignedEvent, verifyEvent } from "../stripe.ts";
import { workOff } from "./sync.ts";
import { settleUsage, takeMeterReport } from "./usage.ts";

const DRAIN_BATCH = 100;
/** Customers worked on side by side: far below Stripe's limit of 100 requests a second, of which each takes two or three. */
const CUSTOMERS_AT_ONCE = 8;

/** Verifies a delivery and takes in its event. Only the verified body names anything; the request names nothing. */
export async function takeWebhook(raw: string, headers: Headers): Promise<{ outcome: string }> {
  const event = await verifyEvent(raw, headers.get("stripe-signature"));
  return await takeEvent(db.adminClient(), event);
}

/**
 * Takes in one verified event: inbox first, in a transaction of its own, then the work it hints at.
 *
 * Throws when it must be delivered again. The inbox row is kept then, with the reason, and `drainEvents` tries it too,
 * so that nothing depends on Stripe's patience.
 */
async function takeEvent(admin: db.Client, event: SignedEvent): Promise<{ outcome: string }> {
  const thin = event.object === "v2.core.event";
  const customer = thin ? null : customerToSync(event);
  const about = thin ? null : customerOf(event);
  const state = await db.receiveEvent(admin, {
    p_id: event.id,
    p_type: event.type,
    ...(!thin && event.api_version && { p_api_version: event.api_version }),
    p_created: (thin ? new Date(event.created) : new Date(event.created * 1000)).toISOString(),
    ...(about !== null && { p_stripe_customer_id: about }),
    p_payload: JSON.parse(JSON.stringify(event)),
  });
  if (state === "processed" || state === "ignored") return { outcome: state };
  return await work(admin, [{ id: event.id, type: event.type }], customer);
}

/**
 * Tries again what failed before, and what was left behind by a worker that died. Called by pg_cron; each event is leased
 * to one caller at a time, and one fetch serves all events of a customer.
 */
export async function drainEvents(
  admin: db.Client,
): Promise<{ processed: number; failed: number }> {
  const due = await db.dueEvents(admin, DRAIN_BATCH);
  const groups = Map.groupBy(due, (event) => event.stripe_customer_id ?? event.id).values();
  let failed = 0;
  // The workers share one iterator, so each group goes to whoever is free.
  const worker = async () => {
    for (const events of groups) failed += await workOrCount(admin, events);
  };
  await Promise.all(Array.from({ length: CUSTOMERS_AT_ONCE }, worker));
  return { processed: due.length - failed, failed };
}

/** The number of events that failed: recorded and logged by `work`, and the others must not wait for them. */
async function workOrCount(admin: db.Client, events: db.DueEvent[]): Promise<number> {
  try {
    const hints = events.map(({ id, type }) => ({ id, type }));
    await work(admin, hints, events[0]?.stripe_customer_id ?? null);
    return 0;
  } catch {
    return events.length;
  }
}

/** Does what these events about one customer hint at. `queued`: somebody else is at it. */
async function work(
  admin: db.Client,
  events: { id: string; type: string }[],
  customer: string | null,
): Promise<{ outcome: string }> {
  try {
    const ours = customer !== null && await db.isOurCustomer(admin, customer);
    // Before its state is fetched: the usage of a closing period must be on the invoice that was just drafted.
    if (ours && events.some(({ type }) => closesUsage(type))) await settleUsage(admin, customer);
    // Applying the snapshot settles the events it covers; these were received before its token was taken.
    if (ours) return { outcome: await workOff(admin, customer) };
    return { outcome: await finish(admin, events) };
  } catch (error) {
    const reason = error instanceof AppError ? error.code : "internal_error";
    for (const event of events) {
      log("error", "event_failed", { event_id: event.id, type: event.type, code: reason });
      await db.failEvent(admin, event.id, describe(error));
    }
    throw error;
  }
}

/** Events that are about none of our customers: reports on meters are read, everything else is of no interest. */
async function finish(
  admin: db.Client,
  events: { id: string; type: string }[],
): Promise<"processed" | "ignored"> {
  let outcome: "processed" | "ignored" = "ignored";
  for (const { id, type } of events) {
    const report = isMeterReport(type);
    if (report) await takeMeterReport(admin, id);
    if (report) outcome = "processed";
    await db.finishEvent(admin, id, report ? "processed" : "ignored");
  }
  return outcome;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.name}: ${error.message}${cause}`.slice(0, 1_000);
}
