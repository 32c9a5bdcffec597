import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { log } from "../log.ts";
import { AppError } from "../domain/errors.ts";
import { toAdjustmentFailure, toFailure } from "../domain/usage.ts";
import { callingStripe, isCustomerMissing, stripe, toRefusal } from "../stripe.ts";

/** pg_net waits 55 seconds for an answer; what is left waits for the next call. */
const BUDGET_MS = 40_000;
const CLAIM_BATCH = 1_000;
/** Rows on their way at the same moment, each of another customer or meter: far below Stripe's 1,000 a second. */
const AT_ONCE = 20;
/** How long whoever needs everything reported waits for rows that somebody else is sending. */
const SETTLE_MS = 10_000;
const SETTLE_STEP_MS = 250;

export interface UsageReport {
  claimed: number;
  sent: number;
  /** Will be tried again. */
  failed: number;
  parked: number;
}

/**
 * Reports to Stripe what was used beyond allowances: usage becomes rows of the outbox in one transaction, the rows are
 * sent in order, at most one at a time per customer and meter, and marked afterwards. Whoever dies in between leaves a
 * lease that ends, and the event's identifier makes sending it again harmless.
 *
 * With a customer only theirs; without, everybody's.
 */
export async function reportUsage(
  admin: db.Client,
  customer: string | null = null,
): Promise<UsageReport> {
  // Where Stripe is not configured (as on purpose, before a backup is restored) nothing is claimed either.
  stripe();
  const report: UsageReport = { claimed: 0, sent: 0, failed: 0, parked: 0 };
  const deadline = Date.now() + BUDGET_MS;
  report.claimed = await claimAll(admin, customer, deadline);
  while (Date.now() < deadline) {
    const rows = await db.leaseUsage(admin, AT_ONCE, customer);
    if (rows.length === 0) break;
    const outcomes = await Promise.all(rows.map((row) => send(admin, row)));
    for (const outcome of outcomes) report[outcome] += 1;
    // Of one customer also what waits for a later attempt is leased: once is enough.
    if (customer !== null && report.failed > 0) break;
  }
  if (report.failed + report.parked > 0) log("warn", "usage_not_reported", { ...report });
  return report;
}

/**
 * Everything a customer used so far is at Stripe or put aside, or this throws: before their items or their subscription
 * change, and before an invoice closes. What failed before is tried now, and what somebody else is sending is waited for.
 */
export async function settleUsage(admin: db.Client, customer: string): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const { failed } = await reportUsage(admin, customer);
    const left = await unsent(admin, customer);
    if (left === 0) return;
    if (failed > 0 || Date.now() > deadline) throw unsettled(customer, left);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_STEP_MS));
  }
}

/** Units in the outbox that are not known to be at Stripe; what is being used at this moment is in none yet. */
async function unsent(admin: db.Client, customer: string): Promise<number> {
  const sums = await db.usageSums(admin, { customer, limit: CLAIM_BATCH });
  return sums.reduce((sum, { waiting }) => sum + waiting, 0);
}

function unsettled(customer: string, left: number): AppError {
  return new AppError("billing_unavailable", "Billing cannot be reached. Try again in a minute.", {
    cause: new Error(`${left} units that ${customer} used are not reported`),
  });
}

async function claimAll(
  admin: db.Client,
  customer: string | null,
  deadline: number,
): Promise<number> {
  let claimed = 0;
  while (Date.now() < deadline) {
    const rows = await db.claimUsage(admin, CLAIM_BATCH, customer);
    claimed += rows;
    if (customer !== null || rows < CLAIM_BATCH) break;
  }
  return claimed;
}

async function send(admin: db.Client, row: db.UsageRow): Promise<"sent" | "failed" | "parked"> {
  try {
    await (row.kind === "adjustment" ? sendAdjustment(row) : sendEvent(row));
  } catch (error) {
    const refusal = toRefusal(error);
    const failure = row.kind === "adjustment"
      ? toAdjustmentFailure(refusal, row.doubtful)
      : toFailure(refusal, row.identifier);
    if (failure.kind === "rejected") {
      log("error", "usage_rejected", { identifier: row.identifier, reason: failure.reason });
      await db.usageParked(admin, row.id, failure.reason);
      return "parked";
    }
    if (failure.kind === "retry") {
      log("warn", "usage_failed", { identifier: row.identifier, reason: failure.reason });
      await db.usageFailed(admin, row, {
        error: failure.reason,
        notAccepted: failure.notAccepted,
      });
      return "failed";
    }
    // Delivered: an earlier attempt got through although nobody heard of it.
  }
  await db.usageSent(admin, row.id);
  return "sent";
}

/** The key is of this attempt: Stripe would replay an old 500 under it, and the identifier alone decides what counts. */
function attemptKey({ identifier, attempts, lease }: db.UsageRow) {
  return { idempotencyKey: `usage:${identifier}:${attempts}:${lease}` };
}

async function sendEvent(row: db.UsageRow): Promise<void> {
  await stripe().billing.meterEvents.create({
    event_name: row.meter_event_name,
    identifier: row.identifier,
    payload: { stripe_customer_id: row.stripe_customer_id, value: String(row.quantity) },
    timestamp: Math.floor(new Date(row.event_time).getTime() / 1000),
  }, attemptKey(row));
}

async function sendAdjustment(row: db.UsageRow): Promise<void> {
  await stripe().billing.meterEventAdjustments.create({
    event_name: row.meter_event_name,
    type: "cancel",
    cancel: { identifier: row.cancels },
  }, attemptKey(row));
}

/** Puts aside what Stripe says, in a thin event, that it took and did not count. Its samples name the events. */
export async function takeMeterReport(admin: db.Client, eventId: string): Promise<void> {
  const event = await callingStripe(() => stripe().v2.core.events.retrieve(eventId));
  if (
    event.type !== "v1.billing.meter.error_report_triggered" &&
    event.type !== "v1.billing.meter.no_meter_found"
  ) return;
  let known = 0;
  for (const { code, sample_errors } of event.data.reason.error_types) {
    for (const { request } of sample_errors) {
      if (await db.usageRejected(admin, request.identifier, code)) known += 1;
    }
  }
  // More than the samples name: the scheduled check finds whose they are.
  log("error", "usage_not_counted", {
    event_id: eventId,
    count: event.data.reason.error_count,
    known,
  });
}

const CHECK_BATCH = 500;
const CHECKS_AT_ONCE = 8;

interface CheckReport {
  checked: number;
  verdicts: Record<string, number>;
  differences: Json[];
  /** Where to go on: the time was up. Null: everybody was looked at. */
  next: string | null;
}

/**
 * Compares ledger, outbox and Stripe's event summaries, per customer, metric and billing period, and writes down what it
 * found. Answers `{checked, verdicts, differences, next}`; call again with `after: next` until it is null.
 *
 * With neither a customer nor a place to begin (`after`, empty: the first) it is the scheduled check, which goes on where
 * the last one stopped and keeps its place after every page: a run that is killed has not looked in vain.
 */
export async function checkUsage(
  admin: db.Client,
  options: { customer?: string | undefined; after?: string | undefined },
): Promise<Json> {
  const report: CheckReport = { checked: 0, verdicts: {}, differences: [], next: null };
  const deadline = Date.now() + BUDGET_MS;
  const meters = await meterIds();
  const isScheduled = options.customer === undefined && options.after === undefined;
  let after = isScheduled ? await db.usageCheckCursor(admin) : options.after;
  do {
    const { sums, next } = await nextSums(admin, { customer: options.customer, after });
    const queue = sums.values();
    const worker = async () => {
      for (const sum of queue) await checkOne(admin, sum, meters.get(sum.meter_event_name), report);
    };
    await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, worker));
    report.next = next;
    after = next ?? undefined;
    if (isScheduled) await db.moveUsageCheck(admin, next);
  } while (report.next !== null && Date.now() < deadline);
  if (report.next !== null) log("info", "usage_check_goes_on", { next: report.next });
  return { ...report };
}

/** A page may end in the middle of a customer, who is then the first of the next one. */
async function nextSums(
  admin: db.Client,
  options: { customer?: string | undefined; after?: string | undefined },
): Promise<{ sums: db.UsageSum[]; next: string | null }> {
  const sums = await db.usageSums(admin, { ...options, limit: CHECK_BATCH });
  if (sums.length < CHECK_BATCH) return { sums, next: null };
  const last = sums.at(-1)?.stripe_customer_id;
  const whole = sums.filter((sum) => sum.stripe_customer_id !== last);
  const page = whole.length > 0 ? whole : sums;
  return { sums: page, next: page.at(-1)?.stripe_customer_id ?? null };
}

async function checkOne(
  admin: db.Client,
  sum: db.UsageSum,
  meter: string | undefined,
  report: CheckReport,
): Promise<void> {
  const counted = meter === undefined ? 0 : await countedByStripe(meter, sum);
  const verdict = await db.noteUsageCheck(admin, sum, counted);
  report.checked += 1;
  report.verdicts[verdict] = (report.verdicts[verdict] ?? 0) + 1;
  if (verdict === "equal") return;
  if (verdict === "drift") log("error", "usage_drift", { customer: sum.stripe_customer_id });
  report.differences.push({
    customer: sum.stripe_customer_id,
    metric: sum.metric_id,
    period_start: sum.period_start,
    verdict,
    ledger: sum.ledger,
    sent: sum.sent - sum.adjusted,
    waiting: sum.waiting + sum.ledger - sum.claimed,
    parked: sum.parked,
    stripe: counted,
  });
}

async function meterIds(): Promise<Map<string, string>> {
  const meters = await callingStripe(() =>
    stripe().billing.meters.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 })
  );
  // Of two meters of one name the active one counts.
  const inOrder = meters.toSorted((a, b) =>
    Number(a.status === "active") - Number(b.status === "active")
  );
  return new Map(inOrder.map((meter) => [meter.event_name, meter.id]));
}

/**
 * Summaries go by whole minutes and periods do not: what we sent of others within those minutes is taken off. Of a customer whom
 * Stripe does not know (any more) it counts nothing; they must not keep the others from being checked.
 */
async function countedByStripe(meter: string, sum: db.UsageSum): Promise<number> {
  const minutes = (time: string) => new Date(time).getTime() / 60_000;
  const summaries = await callingStripe(async () => {
    try {
      return await stripe().billing.meters.listEventSummaries(meter, {
        customer: sum.stripe_customer_id,
        start_time: Math.floor(minutes(sum.period_start)) * 60,
        end_time: Math.ceil(minutes(sum.period_end)) * 60,
        limit: 100,
      }).autoPagingToArray({ limit: 10_000 });
    } catch (error) {
      if (isCustomerMissing(error)) return null;
      throw error;
    }
  });
  if (summaries === null) {
    log("warn", "usage_customer_missing", { customer: sum.stripe_customer_id });
    return 0;
  }
  const counted = summaries.reduce((total, { aggregated_value }) => total + aggregated_value, 0);
  return Math.max(0, counted - sum.neighbours);
}
