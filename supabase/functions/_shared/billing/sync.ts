import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import {
  type CustomerSnapshot,
  type InvoiceSnapshot,
  lookupKeyOf,
  notUnderstood,
  overtakenSchedule,
  pendingChange,
  type SubscriptionSnapshot,
  toInvoice,
  toSnapshot,
} from "../domain/snapshot.ts";
import { isLicence, namesPurchase } from "../domain/purchase.ts";
import { log } from "../log.ts";
import { fulfilCredits } from "./credits.ts";
import { fetchMetering } from "./metered.ts";
import { releaseSchedule } from "./schedule.ts";
import { syncUnsettled } from "./purchase_sync.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";

/** More rounds than a burst of events needs; what comes in after them is left to the drain. */
const MAX_ROUNDS = 5;
/** Events about one change arrive within moments of each other: waiting once fetches once. */
const GATHER_MS = 200;
const MAX_SUBSCRIPTIONS = 1_000;
const MAX_INVOICES = 10_000;
/** Statuses that are nobody's problem; every other one is logged, one of tomorrow included. */
const QUIET_STATUSES: readonly string[] = ["active", "trialing", "canceled"];

/**
 * Makes our rows say what Stripe says about one customer, now.
 *
 * The token is taken before the fetch, and a snapshot is applied only if its token is newer than the one applied last:
 * whichever order events arrive in and however long a fetch takes, an older picture never replaces a newer one. Applying
 * also settles every event of this customer that was received before the token was taken. Credit that was paid for is
 * granted first, so that the snapshot shows it.
 */
export async function syncCustomer(
  admin: db.Client,
  stripeCustomerId: string,
  options: { token?: number; cause?: db.SyncCause } = {},
): Promise<SubscriptionSnapshot[]> {
  const token = options.token ?? await db.nextSyncToken(admin);
  // Here and not where its event comes in: whoever dies in between, the next sync of this customer does it.
  await fulfilCredits(stripeCustomerId);
  const { snapshot, overtaken } = await fetchAll(admin, stripeCustomerId);
  const cause = options.cause ?? "snapshot";
  const answer = await db.applySnapshot(admin, stripeCustomerId, token, snapshot, cause);
  report(stripeCustomerId, snapshot, answer);
  // The snapshot does not show them any more. If this fails the event is tried again.
  for (const schedule of overtaken) await releaseSchedule(schedule);
  return snapshot.subscriptions;
}

/**
 * Syncs a customer because of events in the inbox, for as long as events come in that the last fetch does not cover.
 * One worker at a time: `queued` means that another one has the lease and will see whatever was received by now. If that
 * one dies, the drain finds the events again.
 */
export async function workOff(
  admin: db.Client,
  stripeCustomerId: string,
): Promise<"processed" | "queued"> {
  let lease = await db.beginSync(admin, stripeCustomerId);
  if (lease === null) return "queued";
  let held = lease;
  try {
    await syncCustomer(admin, stripeCustomerId, { token: lease });
    for (let round = 1; round < MAX_ROUNDS; round++) {
      lease = await db.continueSync(admin, stripeCustomerId, held);
      if (lease === null) return "processed";
      held = lease;
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
      await syncCustomer(admin, stripeCustomerId);
    }
    await db.endSync(admin, stripeCustomerId, held);
    return "processed";
  } catch (error) {
    await db.endSync(admin, stripeCustomerId, held).catch(() => {
      // It ends by itself; the reason why we are here matters more.
    });
    throw error;
  }
}

/**
 * Syncs the signed-in user with their purchases that are not settled, for the way back from Stripe's pages. Someone without a
 * Stripe customer is simply on their plan.
 */
export async function syncMine(call: db.UserCall): Promise<{ entitlements: Json }> {
  const customer = await db.findCustomer(call.supabase, call.user.id);
  if (customer !== null) {
    await Promise.all([
      syncCustomer(call.supabaseAdmin, customer),
      syncUnsettled(call.supabaseAdmin, call.user.id),
    ]);
  }
  return { entitlements: await db.myEntitlements(call.supabase) };
}

/** Everything of a customer that we keep, as Stripe says it now. */
export async function fetchCustomer(
  admin: db.Client,
  stripeCustomerId: string,
): Promise<CustomerSnapshot> {
  return (await fetchAll(admin, stripeCustomerId)).snapshot;
}

/** The same, and the schedules that must be let go of. */
async function fetchAll(
  admin: db.Client,
  stripeCustomerId: string,
): Promise<{ snapshot: CustomerSnapshot; overtaken: string[] }> {
  const [keys, all, invoices] = await Promise.all([
    db.catalogueKeys(admin),
    callingStripe(() =>
      stripe().subscriptions
        .list({ customer: stripeCustomerId, status: "all", limit: 100, expand: ["data.schedule"] })
        .autoPagingToArray({ limit: MAX_SUBSCRIPTIONS })
    ),
    callingStripe(() =>
      stripe().invoices.list({ customer: stripeCustomerId, limit: 100 })
        .autoPagingToArray({ limit: MAX_INVOICES })
    ),
  ]);
  const subscriptions = await withoutLicences(admin, stripeCustomerId, all);
  const snapshot = {
    subscriptions: await Promise.all(
      subscriptions.map((subscription) => snapshotOf(subscription, keys)),
    ),
    // A draft may still change and vanish; it is nobody's invoice yet.
    invoices: invoices.filter((invoice) => invoice.status !== "draft").flatMap(invoiceOf),
    ...await fetchMetering(stripeCustomerId, subscriptions),
  };
  return { snapshot, overtaken: subscriptions.flatMap((one) => overtakenSchedule(one) ?? []) };
}

/** Monthly licences are purchases on the marketplace and never give a plan; see syncPurchase. */
async function withoutLicences(
  admin: db.Client,
  customer: string,
  subscriptions: Stripe.Subscription[],
): Promise<Stripe.Subscription[]> {
  if (!subscriptions.some(namesPurchase)) return subscriptions;
  const purchases = await db.purchasesOfCustomer(admin, customer);
  return subscriptions.filter((one) => !isLicence(one, purchases));
}

/** One subscription that cannot be read gives no access, and does not keep the others from being applied. */
async function snapshotOf(
  subscription: Stripe.Subscription,
  keys: ReadonlySet<string>,
): Promise<SubscriptionSnapshot> {
  try {
    return await readSubscription(subscription, keys);
  } catch (error) {
    const reason = shapeProblem(error);
    log("error", "subscription_not_understood", { subscription: subscription.id, reason });
    return notUnderstood(subscription.id);
  }
}

/** An invoice that cannot be read is not shown; it decides nothing. */
function invoiceOf(invoice: Stripe.Invoice): InvoiceSnapshot[] {
  try {
    return [toInvoice(invoice)];
  } catch (error) {
    log("error", "invoice_not_understood", { invoice: invoice.id, reason: shapeProblem(error) });
    return [];
  }
}

/** What is not understood about an object of Stripe's; every other error is thrown again. */
function shapeProblem(error: unknown): string {
  if (error instanceof AppError && error.code === "stripe_shape_unknown") return error.message;
  throw error;
}

async function readSubscription(
  subscription: Stripe.Subscription,
  keys: ReadonlySet<string>,
): Promise<SubscriptionSnapshot> {
  const pending = pendingChange(subscription);
  if (pending === null || pending.lookupKey !== null) {
    return toSnapshot(subscription, keys, pending);
  }
  const price = await callingStripe(() => stripe().prices.retrieve(pending.price));
  return toSnapshot(subscription, keys, { ...pending, lookupKey: lookupKeyOf(price) ?? price.id });
}

function report(customer: string, { subscriptions }: CustomerSnapshot, answer: Json): void {
  for (const { id, status } of subscriptions) {
    if (QUIET_STATUSES.includes(status)) continue;
    log("warn", "subscription_needs_attention", { subscription: id, status });
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) return;
  const repeated = answer["repeated_drifts"];
  if (!Array.isArray(repeated)) return;
  log("error", "drift_repeated", { customer, fields: repeated.join(", ") });
}
