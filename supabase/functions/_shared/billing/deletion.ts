import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { isMetered } from "../domain/metering.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { log } from "../log.ts";
import {
  callingStripe,
  isCardError,
  isInvalidRequest,
  isMissing,
  messageOf,
  type Stripe,
  stripe,
} from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { expireSession } from "./session.ts";
import { syncCustomer } from "./sync.ts";
import { settleUsage } from "./usage.ts";

const AT_A_TIME = 10;
const MESSAGES_AT_A_TIME = 2_000;
/** pg_net waits 55 seconds for an answer; what is left waits for the next call. */
const BUDGET_MS = 40_000;
const MAX_OBJECTS = 1_000;

export interface DeletionRun {
  finished: number;
  waiting: number;
  failed: number;
}

/**
 * Works on the deletions that were asked for. Every step looks at what is there now and ends it, so whoever dies leaves only
 * a lease, and the next call goes on: first the billing at Stripe, then the customer there, then everything here.
 */
export async function workDeletions(admin: db.Client): Promise<DeletionRun> {
  const run: DeletionRun = { finished: 0, waiting: 0, failed: 0 };
  const deadline = Date.now() + BUDGET_MS;
  let leased: db.Deletion[];
  do {
    leased = await db.leaseDeletions(admin, AT_A_TIME);
    for (const deletion of leased) {
      run[await tryDeletion(admin, deletion, deadline)] += 1;
    }
  } while (leased.length === AT_A_TIME && Date.now() < deadline);
  return run;
}

async function tryDeletion(
  admin: db.Client,
  deletion: db.Deletion,
  deadline: number,
): Promise<keyof DeletionRun> {
  try {
    return await deleteOne(admin, deletion, deadline);
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    log("error", "deletion_failed", { user_id: deletion.user_id, code });
    await db.deletionFailed(admin, deletion.user_id, messageOf(error));
    return "failed";
  }
}

async function deleteOne(
  admin: db.Client,
  deletion: db.Deletion,
  deadline: number,
): Promise<"finished" | "waiting"> {
  const { user_id: user, stripe_customer_id: customer } = deletion;
  await endBilling(admin, user, customer);
  // Billing ends at once. The rest waits until nobody can bring anything back; then it is ended again.
  if (!deletion.ripe) return await wait(admin, user);
  await removeCustomer(customer);
  await db.noteDeletionStep(admin, user, "billing_ended");
  if (!await removeMessages(admin, user, deadline)) return await wait(admin, user);
  await db.noteDeletionStep(admin, user, "chat_removed");
  return await db.erasePerson(admin, deletion) ? "finished" : await wait(admin, user);
}

async function wait(admin: db.Client, user: string): Promise<"waiting"> {
  await db.deletionWaits(admin, user);
  return "waiting";
}

/**
 * Nothing of this person can bill any more: no session can be paid, no subscription renews, no invoice is collected. What was
 * used beyond the allowance until now is billed once, at the price it was admitted at. Nothing is given back.
 */
async function endBilling(admin: db.Client, user: string, customer: string | null): Promise<void> {
  if (customer !== null && await isThere(customer)) {
    await expireSessions(customer);
    await settleUsage(admin, customer);
    for (const subscription of await subscriptionsOf(customer)) await cancel(subscription);
    await closeInvoices(customer);
    await syncCustomer(admin, customer);
  }
  // What our rows know besides, and what became of a customer that was removed at Stripe before.
  for (const id of await db.mirroredSubscriptions(admin, user)) await cancelById(id);
  for (const purchase of await db.purchasesOfBuyer(admin, user)) {
    await syncPurchase(admin, purchase);
  }
}

async function isThere(customer: string): Promise<boolean> {
  try {
    return (await stripe().customers.retrieve(customer)).deleted !== true;
  } catch (error) {
    if (isMissing(error)) return false;
    return await callingStripe(() => Promise.reject(error));
  }
}

async function expireSessions(customer: string): Promise<void> {
  const open = await callingStripe(() =>
    stripe().checkout.sessions.list({ customer, status: "open", limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
  for (const { id } of open) await expireSession(id);
}

async function subscriptionsOf(customer: string): Promise<Stripe.Subscription[]> {
  const all = await callingStripe(() =>
    stripe().subscriptions.list({ customer, status: "all", limit: 100 })
      .autoPagingToArray({ limit: MAX_OBJECTS })
  );
  return all.filter(({ status }) => mayStillBill(status));
}

/** A schedule is cancelled together with its subscription. */
async function cancel(subscription: Stripe.Subscription): Promise<void> {
  const last = subscription.items.data.some(isMetered) ? { invoice_now: true } : {};
  // No key of ours: cancelling twice is refused, and a key would replay a failure for a day.
  await callingStripe(() => stripe().subscriptions.cancel(subscription.id, last));
}

async function cancelById(id: string): Promise<void> {
  try {
    const subscription = await stripe().subscriptions.retrieve(id);
    if (mayStillBill(subscription.status)) await cancel(subscription);
  } catch (error) {
    // One that Stripe does not know bills nobody.
    if (!isMissing(error)) await callingStripe(() => Promise.reject(error));
  }
}

/**
 * What was due before they left is asked for once more, now; what cannot be had is written off, so that no retry is made
 * later. An uncollectible invoice stays in the books.
 */
async function closeInvoices(customer: string): Promise<void> {
  for (const status of ["draft", "open"] as const) {
    const invoices = await callingStripe(() =>
      stripe().invoices.list({ customer, status, limit: 100 })
        .autoPagingToArray({ limit: MAX_OBJECTS })
    );
    for (const { id } of invoices) if (id !== undefined) await closeInvoice(id, status);
  }
}

async function closeInvoice(id: string, status: "draft" | "open"): Promise<void> {
  if (status === "draft") {
    const invoice = await callingStripe(() =>
      stripe().invoices.finalizeInvoice(id, { auto_advance: false })
    );
    if (invoice.status !== "open") return;
    if (await isPaid(id)) return;
  }
  await callingStripe(() => stripe().invoices.markUncollectible(id));
}

async function isPaid(invoice: string): Promise<boolean> {
  try {
    return (await stripe().invoices.pay(invoice)).status === "paid";
  } catch (error) {
    // Declined, no card, or a bank that wants to ask somebody who is not here.
    if (isCardError(error) || isInvalidRequest(error)) return false;
    return await callingStripe(() => Promise.reject(error));
  }
}

/**
 * Deletes the customer at Stripe instead of emptying its fields: it takes the cards and the address with it, cancels whatever
 * was missed, and nothing can ever be charged to it again. Stripe keeps the invoices and payments, as the law asks of it.
 */
async function removeCustomer(customer: string | null): Promise<void> {
  if (customer === null || !await isThere(customer)) return;
  await callingStripe(() => stripe().customers.del(customer));
}

/** False when the time was up first. */
async function removeMessages(admin: db.Client, user: string, deadline: number): Promise<boolean> {
  while (await db.removeChat(admin, user, MESSAGES_AT_A_TIME) > 0) {
    if (Date.now() >= deadline) return false;
  }
  return true;
}
