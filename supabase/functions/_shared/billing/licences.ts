import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { cancelSubscription, HELD, syncPurchase } from "./purchase_sync.ts";

/** Nothing of the period that has begun is paid, so there is nothing to wait for. */
const UNPAID: readonly string[] = ["past_due", "unpaid", "incomplete"];

/**
 * Lets a monthly licence end with its period, or takes that back. One whose renewal could not be paid ends at once, and the
 * open month is written off (by syncPurchase). Answers the row of the library.
 *
 * Errors: `licence_not_found`, `not_monthly`, `licence_ended`, `billing_unavailable`.
 */
export async function changeLicence(
  wish: { licence_id: string; action: "cancel" | "resume" },
  { supabase, supabaseAdmin }: db.UserCall,
): Promise<{ licence: Json }> {
  const licence = await db.findLicence(supabase, wish.licence_id);
  if (licence === null) throw new AppError("licence_not_found", "There is no such licence.");
  const { subscription_id: id } = await db.purchaseTerms(supabaseAdmin, licence.purchase_id);
  if (id === null) throw new AppError("not_monthly", "This was bought once and does not renew.");
  const present = await callingStripe(() => stripe().subscriptions.retrieve(id));
  if (!mayStillBill(present.status)) {
    throw new AppError("licence_ended", "This licence has ended. Buy it again.");
  }
  const isLate = UNPAID.includes(present.status);
  if (isLate && wish.action === "cancel") await cancelSubscription(id);
  else await setEnding(wish, present, supabaseAdmin);
  await syncPurchase(supabaseAdmin, licence.purchase_id);
  return { licence: await db.libraryRow(supabase, wish.licence_id) };
}

async function setEnding(
  { licence_id, action }: { licence_id: string; action: "cancel" | "resume" },
  present: Stripe.Subscription,
  admin: db.Client,
): Promise<void> {
  const fields = fieldsFor(action, present);
  if (fields === null) return;
  const attempt = await db.nextSyncToken(admin);
  const idempotencyKey = `licence:${licence_id}:${action}:${attempt}`;
  await callingStripe(() => stripe().subscriptions.update(present.id, fields, { idempotencyKey }));
}

/** Null: it is as it should be. An end set in the portal is a date instead of a flag. */
function fieldsFor(
  action: "cancel" | "resume",
  { cancel_at, cancel_at_period_end, metadata }: Stripe.Subscription,
): Stripe.SubscriptionUpdateParams | null {
  const ends = cancel_at_period_end || cancel_at !== null;
  // An end that we had set because of a dispute becomes the buyer's own.
  const own = metadata[HELD] === undefined ? null : { metadata: { [HELD]: "" } };
  if (action === "cancel") return ends ? own : { cancel_at_period_end: true };
  if (!ends) return null;
  return cancel_at_period_end ? { cancel_at_period_end: false } : { cancel_at: "" };
}
