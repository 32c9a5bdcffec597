import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { offerParams } from "../domain/purchase.ts";
import { purchaseCancelledUrl, returnUrls } from "../domain/redirect.ts";
import { env } from "../env.ts";
import {
  callingStripe,
  isCustomerMissing,
  isDestinationRefused,
  isIdempotencyMismatch,
  type Stripe,
  stripe,
} from "../stripe.ts";
import { ensureCustomer, replaceCustomer } from "./customer.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { syncSeller } from "./seller.ts";
import { expireSession } from "./session.ts";

/** A session may turn out to be spent (paid, expired) when it is opened again; then the next one is a fresh start. */
const MAX_ATTEMPTS = 4;

/** How something is sold once: what of our rows it is, and what Stripe is to ask for. */
export interface Sale {
  begin: () => Promise<db.PurchaseOrder>;
  /** Equal orders make equal parameters: the attempt's idempotency key is used with them. */
  params: (order: db.PurchaseOrder) => Stripe.Checkout.SessionCreateParams;
}

/**
 * Opens Stripe's Checkout for one listing and answers its address. Price, fee and who is paid are those of our rows at this
 * moment.
 *
 * Errors: `listing_not_found`, `listing_not_available`, `own_listing`, `already_owned`, `licence_unpaid`,
 * `purchase_processing`, `seller_paused`, `checkout_superseded`, `billing_unavailable`.
 */
export async function openPurchase(
  listingId: string,
  call: db.UserCall,
): Promise<{ url: string }> {
  const site = env().SITE_URL;
  return await openSale({
    begin: () => db.beginPurchase(call.supabaseAdmin, call.user.id, listingId),
    params: (order) => ({
      ...offerParams({
        purchaseId: order.purchase_id,
        listingId,
        title: order.title,
        kind: order.kind,
        amountMinor: order.amount_minor,
        currency: order.currency,
        feeMinor: order.fee_minor,
        feeBps: order.fee_bps,
        destination: order.destination,
      }),
      success_url: returnUrls(site).purchaseSuccess,
      cancel_url: purchaseCancelledUrl(site, listingId),
    }),
  }, call);
}

/**
 * Opens the session of a sale. A buyer has at most one unfinished purchase of the same thing, and it has at most one open
 * session: tabs share it by its idempotency key. A purchase begun under another price is given up, and its session is closed
 * for payment before there is another. So nobody pays twice for one.
 */
export async function openSale(
  sale: Sale,
  { user, supabaseAdmin: admin }: db.UserCall,
): Promise<{ url: string }> {
  let customer: string | null = null;
  for (let round = 0; round < MAX_ATTEMPTS; round++) {
    const order = await sale.begin();
    // Paid just before its price changed: the next round finds it owned.
    if (order.stale_session_id !== null && await isPaid(admin, order.stale_session_id)) continue;
    const bound = order.session_id;
    customer ??= await ensureCustomer(admin, user);
    const session = bound === null
      ? await createSession({ order, customer, user, sale }, admin)
      : await callingStripe(() => stripe().checkout.sessions.retrieve(bound));
    if (session === "customer_gone") {
      customer = await replaceCustomer(admin, user, customer);
      continue;
    }
    if (session === "key_spent") {
      await closeLost(admin, order, customer);
      await db.endPurchaseAttempt(admin, order);
      continue;
    }
    const isCurrent = await db.notePurchaseSession(admin, order, session.id);
    if (session.status === "open" && session.url !== null) {
      if (isCurrent) return { url: session.url };
      await expireSession(session.id);
      throw superseded();
    }
    // Paid, or expired: what was paid is fulfilled first, and then no attempt can be ended.
    await syncPurchase(admin, order.purchase_id);
    await db.endPurchaseAttempt(admin, order);
  }
  throw new AppError("billing_unavailable", "Checkout could not be opened. Try again.", {
    cause: new Error(`no open session after ${MAX_ATTEMPTS} attempts`),
  });
}

/** Closes the session of an offer that is no more; true when it had been paid already, and is fulfilled now. */
async function isPaid(admin: db.Client, sessionId: string): Promise<boolean> {
  const status = await expireSession(sessionId);
  const purchase = await db.findPurchase(admin, { session: sessionId });
  if (purchase !== null) await syncPurchase(admin, purchase);
  return status === "complete";
}

/**
 * The attempt's key was used, and nobody lived to write down which session it made. It must not be paid later, unheard of:
 * one that is open is closed, one that was paid becomes the purchase's.
 */
async function closeLost(admin: db.Client, order: db.PurchaseOrder, customer: string) {
  const sessions = await callingStripe(() =>
    stripe().checkout.sessions.list({ customer, limit: 100 }).autoPagingToArray({ limit: 1_000 })
  );
  for (const { id, metadata } of sessions) {
    if (metadata?.["purchase_id"] !== order.purchase_id) continue;
    if (await expireSession(id) !== "complete") continue;
    await db.notePurchaseSession(admin, order, id);
    await syncPurchase(admin, order.purchase_id);
  }
}

function superseded(): AppError {
  return new AppError(
    "checkout_superseded",
    "Another checkout was opened in the meantime. Continue there.",
  );
}

interface Opening {
  order: db.PurchaseOrder;
  customer: string;
  user: db.User;
  sale: Sale;
}

/** The attempt's session in its present state; `key_spent` when its key was used with other parameters. */
async function createSession(
  { order, customer, user, sale }: Opening,
  admin: db.Client,
): Promise<Stripe.Checkout.Session | "key_spent" | "customer_gone"> {
  const params = sale.params(order);
  try {
    const session = await stripe().checkout.sessions.create({
      ...params,
      customer,
      client_reference_id: user.id,
    }, { idempotencyKey: `purchase:${order.purchase_id}:${order.attempt}` });
    // A replayed answer is what the session was when it was created, not what it is.
    const headers = new Headers(session.lastResponse.headers);
    return headers.get("idempotent-replayed") === "true"
      ? await callingStripe(() => stripe().checkout.sessions.retrieve(session.id))
      : session;
  } catch (error) {
    if (isIdempotencyMismatch(error)) return "key_spent";
    if (isCustomerMissing(error)) return "customer_gone";
    if (order.destination !== null && isDestinationRefused(error)) {
      await syncSeller(admin, order.destination);
      throw new AppError("seller_paused", "The creator cannot be paid right now.");
    }
    return await callingStripe(() => Promise.reject(error));
  }
}
