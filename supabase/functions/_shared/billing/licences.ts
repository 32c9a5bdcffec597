import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { mayStillBill } from "../domain/snapshot.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";

/**
 * Lets a monthly licence end with its period, or takes that back. Answers the row of the library.
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
  const fields = fieldsFor(wish.action, present);
  if (fields !== null) {
    const attempt = await db.nextSyncToken(supabaseAdmin);
    await callingStripe(() =>
      stripe().subscriptions.update(id, fields, {
        idempotencyKey: `licence:${wish.licence_id}:${wish.action}:${attempt}`,
      })
    );
  }
  await syncPurchase(supabaseAdmin, licence.purchase_id);
  return { licence: await db.libraryRow(supabase, wish.licence_id) };
}

/** Null: it is as it should be. An end set in the portal is a date instead of a flag. */
function fieldsFor(
  action: "cancel" | "resume",
  { cancel_at, cancel_at_period_end }: Stripe.Subscription,
): Stripe.SubscriptionUpdateParams | null {
  const ends = cancel_at_period_end || cancel_at !== null;
  if (action === "cancel") return ends ? null : { cancel_at_period_end: true };
  if (!ends) return null;
  return cancel_at_period_end ? { cancel_at_period_end: false } : { cancel_at: "" };
}
