import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { refOf } from "../domain/facts.ts";
import {
  type PurchaseObjects,
  type PurchaseSnapshot,
  toPurchaseSnapshot,
} from "../domain/purchase.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { log } from "../log.ts";
import { callingStripe, isCustomerMissing, type Stripe, stripe } from "../stripe.ts";
import { fulfilCredits } from "./credits.ts";
import { expireSession } from "./session.ts";
import { feeRefundsOf, MAX_OBJECTS, reversalsOf, transfersOf } from "./transfers.ts";

/** Ten years of a monthly licence. */
const MAX_INVOICES = 120;

/**
 * Makes our rows say what Stripe says about one purchase, now: the one way in which anything is fulfilled, renewed or taken
 * back, whoever calls it and however often. As with customers the token is taken before the fetch; the money that has moved is
 * posted whatever the token says, because it stays true.
 */
export async function syncPurchase(
  admin: db.Client,
  purchaseId: string,
): Promise<db.PurchaseState | null> {
  const token = await db.nextSyncToken(admin);
  const terms = await db.purchaseTerms(admin, purchaseId);
  if (terms.session_id === null) return null;
  const objects = await fetchPurchase(terms);
  const snapshot = toPurchaseSnapshot(objects);
  // Before the snapshot settles the events that told of it: whoever dies in between, they are tried again.
  if (objects.session?.status === "complete") await fulfilCreditOf(terms);
  const answer = await db.applyPurchaseSnapshot(admin, purchaseId, token, snapshot);
  if (answer.problem) {
    log("error", "purchase_not_understood", { purchase: purchaseId, misfit: answer.problem });
  }
  // It was paid although it had been given up: what was begun in its place must not be paid as well.
  if (answer.stale_session_id) await expireSession(answer.stale_session_id);
  if (answer.applied) {
    await endWhatIsOver(snapshot, answer);
    if (objects.subscription !== null) await holdRenewal(objects.subscription, answer, token);
  }
  return answer;
}

/** The credit of a pack that was paid, refunded or disputed. Whoever is gone, here or at Stripe, has none to give or take. */
async function fulfilCreditOf(terms: db.PurchaseTerms): Promise<void> {
  const { credit_pack, buyer_id, customer } = terms;
  if (credit_pack === null || buyer_id === null || customer === null) return;
  try {
    await fulfilCredits(customer);
  } catch (error) {
    if (!(error instanceof AppError && isCustomerMissing(error.cause))) throw error;
    log("warn", "credit_customer_missing", { purchase: terms.purchase_id });
  }
}

/** In a subscription's metadata: its end is ours, because of a dispute, and none that the buyer has set. */
export const HELD = "held_by_dispute";

/** Statuses of a payment that was given back in full or lost to the bank. */
const TAKEN_BACK: readonly string[] = ["refunded", "lost"];

/**
 * What Stripe would still charge for, though it must not be: the next month of a licence whose last one was taken back, a month
 * that was not paid when the licence ended, and an offer that was given up by somebody who did not live to close its session.
 * Whoever fails here is due again in minutes.
 */
async function endWhatIsOver(snapshot: PurchaseSnapshot, { status }: db.PurchaseState) {
  const { subscription, open_invoice: invoice, session_id, session_status } = snapshot;
  if (subscription !== null && TAKEN_BACK.includes(status) && mayStillBill(subscription.status)) {
    await cancelSubscription(subscription.id);
  }
  // Who paid it now, by a link in an e-mail, would get nothing for it.
  if (subscription !== null && invoice !== null && !mayStillBill(subscription.status)) {
    await voidInvoice(invoice.id);
  }
  if (session_id !== null && status === "expired" && session_status === "open") {
    await expireSession(session_id);
  }
}

/**
 * Nobody is charged for the next month of something they may not use: while a bank decides about the last one, the licence ends
 * with the month it was paid for. When it is won that end is taken back, but none that the buyer has set.
 */
async function holdRenewal(
  { id, status, metadata, cancel_at, cancel_at_period_end }: Stripe.Subscription,
  purchase: db.PurchaseState,
  token: number,
): Promise<void> {
  const isDisputed = purchase.status === "disputed";
  const isHeld = metadata[HELD] !== undefined;
  const ends = cancel_at_period_end || cancel_at !== null;
  const isOver = !mayStillBill(status) || TAKEN_BACK.includes(purchase.status);
  if (isOver || isDisputed === isHeld || (isDisputed && ends)) return;
  await callingStripe(() =>
    stripe().subscriptions.update(id, {
      cancel_at_period_end: isDisputed,
      metadata: { [HELD]: isDisputed ? "true" : "" },
    }, { idempotencyKey: `hold:${id}:${isDisputed}:${token}` })
  );
}

/** At once: nothing that was paid for is left of it. */
export async function cancelSubscription(id: string): Promise<void> {
  try {
    await stripe().subscriptions.cancel(id);
  } catch (error) {
    const now = await callingStripe(() => stripe().subscriptions.retrieve(id));
    if (mayStillBill(now.status)) await callingStripe(() => Promise.reject(error));
  }
}

async function voidInvoice(id: string): Promise<void> {
  try {
    await stripe().invoices.voidInvoice(id);
  } catch (error) {
    const now = await callingStripe(() => stripe().invoices.retrieve(id));
    // Paid a moment ago: a payment like any other, which an operator may give back.
    if (now.status === "open") await callingStripe(() => Promise.reject(error));
  }
}

/** Syncs what a buyer has not finished, or what was not settled when they left. */
export async function syncUnsettled(admin: db.Client, userId: string): Promise<void> {
  for (const purchase of await db.unsettledPurchases(admin, userId)) {
    await syncPurchase(admin, purchase);
  }
}

/** Everything that Stripe has of a purchase. */
async function fetchPurchase(terms: db.PurchaseTerms): Promise<PurchaseObjects> {
  const session = await callingStripe(() =>
    stripe().checkout.sessions.retrieve(terms.session_id ?? "")
  );
  const subscriptionId = refOf(session.subscription) ?? terms.subscription_id;
  const subscription = subscriptionId === null
    ? null
    : await callingStripe(() => stripe().subscriptions.retrieve(subscriptionId));
  const invoices = subscription === null ? [] : await invoicesOf(subscription.id);
  const intents = subscription === null
    ? [refOf(session.payment_intent) ?? terms.payment_intent_id]
    : invoices.flatMap(intentsOf);
  const paid = await Promise.all(
    intents.flatMap((intent) => intent === null ? [] : [fetchPayment(intent)]),
  );
  const charges = paid.flatMap((one) => one.charges);
  const transfers = await fetchTransfers(terms.purchase_id, charges);
  const fees = charges.flatMap(({ application_fee: fee }) =>
    typeof fee === "object" && fee !== null ? [fee] : []
  );
  return {
    session,
    subscription,
    invoices,
    charges,
    refunds: paid.flatMap((one) => one.refunds),
    disputes: paid.flatMap((one) => one.disputes),
    transfers,
    fees,
    reversals: (await Promise.all(transfers.map(reversalsOf))).flat(),
    feeRefunds: (await Promise.all(fees.map(feeRefundsOf))).flat(),
  };
}

async function invoicesOf(subscription: string): Promise<Stripe.Invoice[]> {
  return await callingStripe(() =>
    stripe().invoices.list({ subscription, limit: 100, expand: ["data.payments"] })
      .autoPagingToArray({ limit: MAX_INVOICES })
  );
}

function intentsOf({ payments }: Stripe.Invoice): string[] {
  return (payments?.data ?? []).flatMap(({ payment }) => refOf(payment.payment_intent) ?? []);
}

async function fetchPayment(payment_intent: string) {
  const all = { limit: MAX_OBJECTS };
  const expand = ["data.balance_transaction", "data.failure_balance_transaction"];
  const charges = await callingStripe(() =>
    stripe().charges.list({
      payment_intent,
      limit: 100,
      expand: ["data.balance_transaction", "data.transfer", "data.application_fee"],
    }).autoPagingToArray(all)
  );
  // A payment that was only tried has neither.
  if (!charges.some(({ status }) => status !== "failed")) {
    return { charges, refunds: [], disputes: [] };
  }
  const [refunds, disputes] = await Promise.all([
    callingStripe(() =>
      stripe().refunds.list({ payment_intent, limit: 100, expand }).autoPagingToArray(all)
    ),
    callingStripe(() =>
      stripe().disputes.list({ payment_intent, limit: 100 }).autoPagingToArray(all)
    ),
  ]);
  return { charges, refunds, disputes };
}

/** Those that came with the charges, and what was paid to the creator again after a dispute was won. */
async function fetchTransfers(
  purchaseId: string,
  charges: Stripe.Charge[],
): Promise<Stripe.Transfer[]> {
  const own = charges.flatMap(({ transfer }) =>
    typeof transfer === "object" && transfer !== null ? [transfer] : []
  );
  if (own.length === 0) return [];
  const grouped = await transfersOf(purchaseId);
  return [...new Map([...own, ...grouped].map((transfer) => [transfer.id, transfer])).values()];
}
