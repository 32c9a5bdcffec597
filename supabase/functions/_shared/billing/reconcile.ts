import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { customerOf, HINT_GROUPS } from "../domain/events.ts";
import { AppError } from "../domain/errors.ts";
import { log } from "../log.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { checkCatalogue } from "./catalogue.ts";
import { takePurchaseEvents } from "./inbox.ts";
import { fetchCustomer, syncCustomer } from "./sync.ts";

/** A scheduled function has little more than a minute; what is left waits for the next call. */
const BUDGET_MS = 40_000;
const CUSTOMERS_AT_A_TIME = 50;
/** As many as the database gives at once. */
const MAX_QUEUED = 1_000;
const REBUILD_AT_A_TIME = 25;

/**
 * Finds and repairs what deliveries missed: events of Stripe's list that never came, customers that were fetched so soon
 * after an event that the answer may have been old, and everybody whose snapshot is older than a day. At the end it looks whether
 * Stripe has what the catalogue sells.
 *
 * One call at a time (`busy`). It stops when its time is up or Stripe asks for a pause (429), and the next call goes on at
 * the same place. Answers `{busy}` or `{finished, events_seen, events_missing, customers, drifts, failed, error?}`; who failed is
 * in `billing.problems`.
 */
export async function reconcile(admin: db.Client): Promise<Json> {
  const run = await db.beginReconcile(admin);
  if (run.busy) return { busy: true };
  const deadline = Date.now() + BUDGET_MS;
  try {
    if (!run.listed) await listEvents(admin, run, deadline);
    const { done, failed } = await syncQueued(admin, run.run, deadline);
    if (done) await checkCatalogue(admin);
    const error = failed > 0 ? `${failed} customers could not be synced` : undefined;
    const ended = await db.endReconcile(admin, run.run, { done, ...(error && { error }) });
    return isObject(ended) ? { ...ended, failed } : ended;
  } catch (error) {
    const code = codeOf(error);
    log("warn", "reconcile_stopped", { run: run.run, code });
    await db.endReconcile(admin, run.run, { done: false, error: describe(error) });
    // Stripe pauses us or is away: no failure of the run, which goes on at the next call.
    if (code === "billing_unavailable") return { busy: false, finished: false, error: code };
    throw error;
  }
}

/** Stripe lists twenty types at once, so one group of types comes after the other; the cursor remembers which. */
async function listEvents(admin: db.Client, run: db.ReconcileRun, deadline: number): Promise<void> {
  let place = placeOf(run.cursor ?? "");
  while (Date.now() < deadline) {
    const group = place.group;
    const types = HINT_GROUPS[group] ?? [];
    const page = await callingStripe(() =>
      stripe().events.list({
        types: [...types],
        created: { gte: run.since },
        limit: 100,
        ...(place.after && { starting_after: place.after }),
      })
    );
    place = page.has_more
      ? { group, after: page.data.at(-1)?.id ?? place.after }
      : { group: group + 1, after: "" };
    const listed = place.group >= HINT_GROUPS.length;
    const missing = await db.noteReconcilePage(admin, run.run, {
      events: (await takePurchaseEvents(admin, page.data)).map(toRow),
      cursor: `${place.group}:${place.after}`,
      listed,
    });
    if (missing > 0) log("warn", "events_never_delivered", { run: run.run, count: missing });
    if (listed) return;
  }
}

/** `<group>:<the last event seen in it>`. */
function placeOf(cursor: string): { group: number; after: string } {
  const [group = "", after = ""] = cursor.split(":");
  return { group: Number(group) || 0, after };
}

function toRow(event: Stripe.Event): db.ReconcileEvent {
  return {
    id: event.id,
    type: event.type,
    api_version: event.api_version,
    created: new Date(event.created * 1000).toISOString(),
    customer: customerOf(event),
    payload: JSON.parse(JSON.stringify(event)),
  };
}

/**
 * Syncs who is in the queue; not `done` when time was up first. A customer that cannot be synced must not hold up the others:
 * it goes to the end of the queue, where it waits for the next run.
 */
async function syncQueued(
  admin: db.Client,
  run: number,
  deadline: number,
): Promise<{ done: boolean; failed: number }> {
  const failed = new Set<string>();
  while (true) {
    const limit = Math.min(CUSTOMERS_AT_A_TIME + failed.size, MAX_QUEUED);
    const queued = await db.nextReconcileCustomers(admin, run, limit);
    const customers = queued.filter((customer) => !failed.has(customer));
    if (customers.length === 0) return { done: true, failed: failed.size };
    for (const customer of customers) {
      if (Date.now() >= deadline) return { done: false, failed: failed.size };
      try {
        await syncCustomer(admin, customer, { cause: "reconcile" });
        await db.reconciled(admin, run, customer);
      } catch (error) {
        if (codeOf(error) === "billing_unavailable") throw error;
        failed.add(customer);
        log("error", "reconcile_failed", { customer, code: codeOf(error) });
        await db.reconcileFailed(admin, run, customer, describe(error));
      }
    }
  }
}

/**
 * Recomputes snapshots from Stripe, a batch of customers at a time in the order of their ids; `dry_run` only compares.
 * Answers `{customers, differences: [{customer, field, ours, stripe}], failed: [{customer, code}], next}`; call again with
 * `after: next` until it is null. One customer that fails does not end the walk, Stripe being away does.
 */
export async function rebuild(
  options: { dry_run: boolean; after?: string | undefined },
  admin: db.Client,
): Promise<Json> {
  const customers = await db.customersAfter(admin, options.after ?? null, REBUILD_AT_A_TIME);
  const differences: Json[] = [];
  const failed: Json[] = [];
  for (const customer of customers) {
    try {
      differences.push(...await rebuildOne(customer, options.dry_run, admin));
    } catch (error) {
      if (codeOf(error) === "billing_unavailable") throw error;
      log("error", "rebuild_failed", { customer, code: codeOf(error) });
      failed.push({ customer, code: codeOf(error) });
    }
  }
  const next = customers.length < REBUILD_AT_A_TIME ? null : customers.at(-1) ?? null;
  return { customers: customers.length, differences, failed, next };
}

async function rebuildOne(customer: string, dryRun: boolean, admin: db.Client): Promise<Json[]> {
  const token = await db.nextSyncToken(admin);
  const snapshot = await fetchCustomer(admin, customer);
  const found = await db.compareSnapshot(admin, customer, snapshot);
  if (!dryRun) await db.applySnapshot(admin, customer, token, snapshot, "rebuild");
  if (!Array.isArray(found)) return [];
  return found.map((one) => ({ customer, ...(isObject(one) ? one : {}) }));
}

function isObject(value: Json): value is { [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function codeOf(error: unknown): string {
  return error instanceof AppError ? error.code : "internal_error";
}

function describe(error: unknown): string {
  return error instanceof Error ? `${codeOf(error)}: ${error.message}` : codeOf(error);
}
