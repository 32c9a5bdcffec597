import { z } from "zod";
import type { PurchaseClues } from "../domain/events.ts";
import type { PurchaseSnapshot } from "../domain/purchase.ts";
import { type Client, rows } from "./client.ts";
import { refusable } from "./refusals.ts";

const order = z.object({
  purchase_id: z.uuid(),
  attempt: z.number(),
  session_id: z.string().nullable(),
  /** The session of an offer that is no more. */
  stale_session_id: z.string().nullable(),
  title: z.string(),
  kind: z.string(),
  amount_minor: z.number(),
  currency: z.string(),
  fee_minor: z.number(),
  fee_bps: z.number(),
  destination: z.string().nullable(),
});
/** An unfinished purchase with the terms it was begun under. */
export type PurchaseOrder = z.infer<typeof order>;

/**
 * Begins the purchase of a listing, or goes on with an unfinished one. Refuses with `listing_not_found`,
 * `listing_not_available`, `own_listing`, `already_owned`, `licence_unpaid`, `purchase_processing`, `seller_paused`.
 */
export async function beginPurchase(
  admin: Client,
  userId: string,
  listingId: string,
): Promise<PurchaseOrder> {
  return order.parse(
    await refusable(
      admin.rpc("begin_purchase", { p_user_id: userId, p_listing_id: listingId }),
    ),
  );
}

/** The same of a credit pack, in the currency of this offer. Refuses with `price_not_found`, `currency_mismatch`. */
export async function beginCreditPurchase(
  admin: Client,
  userId: string,
  { lookup_key, currency }: { lookup_key: string; currency: string },
): Promise<PurchaseOrder> {
  return order.parse(
    await refusable(admin.rpc("begin_credit_purchase", {
      p_user_id: userId,
      p_lookup_key: lookup_key,
      p_currency: currency,
    })),
  );
}

/** Binds a session to the attempt it was opened for; false when that is over, because somebody has begun anew. */
export async function notePurchaseSession(
  admin: Client,
  order: PurchaseOrder,
  sessionId: string,
): Promise<boolean> {
  const bound = await rows<string | null>(admin.rpc("note_purchase_session", {
    p_purchase_id: order.purchase_id,
    p_attempt: order.attempt,
    p_session_id: sessionId,
  }));
  return bound === sessionId;
}

/** The session of this attempt cannot be paid any more: the next one is another. */
export async function endPurchaseAttempt(admin: Client, order: PurchaseOrder): Promise<void> {
  await rows(admin.rpc("end_purchase_attempt", {
    p_purchase_id: order.purchase_id,
    p_attempt: order.attempt,
  }));
}

/** The purchase that an event is about, if it is one of ours. */
export function findPurchase(
  admin: Client,
  clues: Partial<PurchaseClues>,
): Promise<string | null> {
  return rows<string | null>(admin.rpc("find_purchase", {
    ...(clues.purchase && { p_purchase_id: clues.purchase }),
    ...(clues.session && { p_session: clues.session }),
    ...(clues.paymentIntent && { p_payment_intent: clues.paymentIntent }),
    ...(clues.charge && { p_charge: clues.charge }),
    ...(clues.subscription && { p_subscription: clues.subscription }),
  }));
}

const terms = z.object({
  purchase_id: z.string(),
  status: z.string(),
  kind: z.string(),
  /** What was sold instead of a listing. */
  credit_pack: z.string().nullable(),
  buyer_id: z.string().nullable(),
  customer: z.string().nullable(),
  session_id: z.string().nullable(),
  payment_intent_id: z.string().nullable(),
  subscription_id: z.string().nullable(),
  destination: z.string().nullable(),
});
/** What a sync needs to know of a purchase. */
export type PurchaseTerms = z.infer<typeof terms>;

export async function purchaseTerms(admin: Client, purchaseId: string): Promise<PurchaseTerms> {
  return terms.parse(await rows(admin.rpc("purchase_terms", { p_purchase_id: purchaseId })));
}

export function unsettledPurchases(admin: Client, userId: string): Promise<string[]> {
  return rows(admin.rpc("unsettled_purchases", { p_user_id: userId }));
}

export function duePurchases(admin: Client, limit: number): Promise<string[]> {
  return rows(admin.rpc("due_purchases", { p_limit: limit }));
}

/** The monthly purchases of whom this Stripe customer belongs to. */
export async function purchasesOfCustomer(
  admin: Client,
  stripeCustomerId: string,
): Promise<ReadonlySet<string>> {
  const customer = await rows(
    admin.from("customers").select("user_id").eq("stripe_customer_id", stripeCustomerId)
      .maybeSingle(),
  );
  if (customer === null) return new Set();
  const purchases = await rows(
    admin.from("purchases").select("id").eq("buyer_id", customer.user_id).eq("kind", "monthly"),
  );
  return new Set(purchases.map(({ id }) => id));
}

/** The caller's own licence. */
export function findLicence(
  client: Client,
  id: string,
): Promise<{ purchase_id: string } | null> {
  return rows(client.from("licences").select("purchase_id").eq("id", id).maybeSingle());
}

/** Whether the caller has a monthly licence whose subscription may still charge. */
export async function paysForLicences(client: Client): Promise<boolean> {
  const found = await rows(
    client.from("purchases").select("id").eq("kind", "monthly")
      .not("status", "in", "(open,expired,failed,canceled)").limit(1),
  );
  return found.length > 0;
}

const state = z.object({
  status: z.string(),
  licence: z.string().nullish(),
  applied: z.boolean(),
  /** What of the snapshot does not fit the row; then there is no licence. */
  problem: z.string().nullish(),
  /** The session of another purchase of the same listing, which must not be paid any more. */
  stale_session_id: z.string().nullish(),
});
export type PurchaseState = z.infer<typeof state>;

/** Posts the facts, whatever the token; applies the rest only if the token is newer than the last one applied. */
export async function applyPurchaseSnapshot(
  admin: Client,
  purchaseId: string,
  token: number,
  snapshot: PurchaseSnapshot,
): Promise<PurchaseState> {
  return state.parse(
    await rows(admin.rpc("apply_purchase_snapshot", {
      p_purchase_id: purchaseId,
      p_token: token,
      p_snapshot: JSON.parse(JSON.stringify(snapshot)),
    })),
  );
}
