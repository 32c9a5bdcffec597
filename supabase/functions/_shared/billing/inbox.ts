import * as db from "../db.ts";
import {
  accountToSync,
  closesUsage,
  customerOf,
  hintsAtCustomer,
  isMeterReport,
  purchaseClues,
  thinAccountToSync,
} from "../domain/events.ts";
import { AppError } from "../domain/errors.ts";
import { log } from "../log.ts";
import { type SignedEvent, type Stripe, verifyEvent } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { syncSeller } from "./seller.ts";
import { workOff } from "./sync.ts";
import { settleUsage, takeMeterReport } from "./usage.ts";

const DRAIN_BATCH = 100;
/** Subjects worked on side by side: far below Stripe's limit of 100 requests a second, of which each takes a few. */
const SUBJECTS_AT_ONCE = 8;

/** Whom an event is about: one of these, or nobody of ours. */
interface Subject {
  customer: string | null;
  purchase: string | null;
  account: string | null;
}

interface Hint {
  id: string;
  type: string;
}

type Outcome = "processed" | "ignored" | "queued";

/** Verifies a delivery and takes in its event. Only the verified body names anything; the request names nothing. */
export async function takeWebhook(
  raw: string,
  headers: Headers,
  trace: db.Trace,
): Promise<{ outcome: string }> {
  const event = await verifyEvent(raw, headers.get("stripe-signature"));
  return await takeEvent(db.adminClient(trace), event);
}

/**
 * Takes in one verified event: inbox first, in a transaction of its own, then the work it hints at.
 *
 * Throws when it must be delivered again. The inbox row is kept then, with the reason, and `drainEvents` tries it too,
 * so that nothing depends on Stripe's patience.
 */
async function takeEvent(admin: db.Client, event: SignedEvent): Promise<{ outcome: string }> {
  const subject = event.object === "v2.core.event"
    ? aboutAccount(thinAccountToSync(event))
    : await subjectOf(admin, event);
  const state = await keep(admin, event, subject);
  if (state === "processed" || state === "ignored") return { outcome: state };
  return { outcome: await work(admin, [{ id: event.id, type: event.type }], subject) };
}

/** Commits an event to the inbox and answers how far it is. */
function keep(admin: db.Client, event: SignedEvent, subject: Subject): Promise<string> {
  const thin = event.object === "v2.core.event";
  return db.receiveEvent(admin, {
    p_id: event.id,
    p_type: event.type,
    ...(!thin && event.api_version && { p_api_version: event.api_version }),
    p_created: (thin ? new Date(event.created) : new Date(event.created * 1000)).toISOString(),
    ...(subject.customer !== null && { p_stripe_customer_id: subject.customer }),
    ...(subject.purchase !== null && { p_purchase_id: subject.purchase }),
    ...(subject.account !== null && { p_stripe_account_id: subject.account }),
    p_payload: JSON.parse(JSON.stringify(event)),
  });
}

async function isPending(
  admin: db.Client,
  event: Stripe.Event,
  subject: Subject,
): Promise<boolean> {
  const state = await keep(admin, event, subject);
  return state !== "processed" && state !== "ignored";
}

/** A purchase comes before its customer: what happens to it says nothing about their plan. */
async function subjectOf(admin: db.Client, event: Stripe.Event): Promise<Subject> {
  const account = accountToSync(event);
  if (account !== null) return aboutAccount(account);
  const purchase = await purchaseOf(admin, event);
  if (purchase !== null) return aboutPurchase(purchase);
  return { customer: customerOf(event), purchase: null, account: null };
}

/** The purchase of ours that an event is about. */
async function purchaseOf(admin: db.Client, event: Stripe.Event): Promise<string | null> {
  const clues = purchaseClues(event);
  return clues === null ? null : await db.findPurchase(admin, clues);
}

function aboutPurchase(purchase: string): Subject {
  return { customer: null, purchase, account: null };
}

function aboutAccount(account: string | null): Subject {
  return { customer: null, purchase: null, account };
}

/**
 * Takes in those events of a page of Stripe's list that are about purchases, and answers the others. All are kept before any
 * work is done, and one fetch serves all of a purchase; one that fails is in the inbox with its reason, and the drain tries it
 * again.
 */
export async function takePurchaseEvents(
  admin: db.Client,
  events: Stripe.Event[],
): Promise<Stripe.Event[]> {
  const others: Stripe.Event[] = [];
  const pending = new Map<string, Hint[]>();
  // Most events of a page are about a few purchases, each named by the same ids.
  const known = new Map<string, string | null>();
  for (const event of events) {
    const key = JSON.stringify(purchaseClues(event));
    const purchase = known.has(key) ? known.get(key) ?? null : await purchaseOf(admin, event);
    known.set(key, purchase);
    if (purchase === null) others.push(event);
    else if (await isPending(admin, event, aboutPurchase(purchase))) {
      const hints = pending.get(purchase) ?? [];
      pending.set(purchase, [...hints, { id: event.id, type: event.type }]);
    }
  }
  for (const [purchase, hints] of pending) {
    await work(admin, hints, aboutPurchase(purchase)).catch(() => undefined);
  }
  return others;
}

/**
 * Tries again what failed before, and what was left behind by a worker that died. Called by pg_cron; each event is leased
 * to one caller at a time, and one fetch serves all events of a customer, a purchase or an account.
 */
export async function drainEvents(
  admin: db.Client,
): Promise<{ processed: number; failed: number }> {
  const due = await db.dueEvents(admin, DRAIN_BATCH);
  const groups = Map.groupBy(
    due,
    (event) => event.purchase_id ?? event.stripe_account_id ?? event.stripe_customer_id ?? event.id,
  ).values();
  let failed = 0;
  // The workers share one iterator, so each group goes to whoever is free.
  const worker = async () => {
    for (const events of groups) failed += await workOrCount(admin, events);
  };
  await Promise.all(Array.from({ length: SUBJECTS_AT_ONCE }, worker));
  return { processed: due.length - failed, failed };
}

/** The number of events that failed: recorded and logged by `work`, and the others must not wait for them. */
async function workOrCount(admin: db.Client, events: db.DueEvent[]): Promise<number> {
  try {
    const hints = events.map(({ id, type }) => ({ id, type }));
    await work(admin, hints, {
      customer: events[0]?.stripe_customer_id ?? null,
      purchase: events[0]?.purchase_id ?? null,
      account: events[0]?.stripe_account_id ?? null,
    });
    return 0;
  } catch {
    return events.length;
  }
}

/** Does what these events about one subject hint at. `queued`: somebody else is at it. */
async function work(admin: db.Client, events: Hint[], subject: Subject): Promise<Outcome> {
  try {
    if (subject.purchase !== null) return await workOnPurchase(admin, events, subject.purchase);
    if (subject.account !== null) return await workOnSeller(admin, events, subject.account);
    return await workOnCustomer(admin, events, subject.customer);
  } catch (error) {
    const reason = error instanceof AppError ? error.code : "internal_error";
    for (const event of events) {
      log("error", "event_failed", { event_id: event.id, type: event.type, code: reason });
      await db.failEvent(admin, event.id, describe(error));
    }
    throw error;
  }
}

async function workOnCustomer(
  admin: db.Client,
  events: Hint[],
  customer: string | null,
): Promise<Outcome> {
  const hints = events.some(({ type }) => hintsAtCustomer(type));
  const ours = customer !== null && hints && await db.isOurCustomer(admin, customer);
  // Before its state is fetched: the usage of a closing period must be on the invoice that was just drafted.
  if (ours && events.some(({ type }) => closesUsage(type))) await settleUsage(admin, customer);
  // Applying the snapshot settles the events it covers; these were received before its token was taken.
  if (!ours) return await finish(admin, events);
  try {
    return await workOff(admin, customer);
  } catch (error) {
    // Whoever was deleted meanwhile is nobody of ours any more.
    if (await db.isOurCustomer(admin, customer)) throw error;
    return await finish(admin, events);
  }
}

/** Nothing is leased: two who fetch the same purchase at once post the same facts, and the later picture stays. */
async function workOnPurchase(
  admin: db.Client,
  events: Hint[],
  purchase: string,
): Promise<Outcome> {
  const state = await syncPurchase(admin, purchase);
  // Applying the snapshot settles the events it covers; an older one leaves that to the newer.
  return state?.applied ? "processed" : await finishAll(admin, events, "processed");
}

async function workOnSeller(
  admin: db.Client,
  events: Hint[],
  account: string,
): Promise<Outcome> {
  const ours = await db.sellerOfAccount(admin, account) !== null;
  if (ours) await syncSeller(admin, account);
  return await finishAll(admin, events, ours ? "processed" : "ignored");
}

/** Events that are about nobody of ours: reports on meters are read, everything else is of no interest. */
async function finish(admin: db.Client, events: Hint[]): Promise<Outcome> {
  let outcome: Outcome = "ignored";
  for (const { id, type } of events) {
    const report = isMeterReport(type);
    if (report) await takeMeterReport(admin, id);
    if (report) outcome = "processed";
    await db.finishEvent(admin, id, report ? "processed" : "ignored");
  }
  return outcome;
}

async function finishAll(
  admin: db.Client,
  events: Hint[],
  outcome: "processed" | "ignored",
): Promise<Outcome> {
  for (const { id } of events) await db.finishEvent(admin, id, outcome);
  return outcome;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.name}: ${error.message}${cause}`.slice(0, 1_000);
}
