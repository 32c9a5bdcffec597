import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { type SubscriptionSnapshot, toSnapshot } from "../domain/snapshot.ts";
import { callingStripe, stripe } from "../stripe.ts";

/**
 * Makes our rows say what Stripe says about one customer, now.
 *
 * The token is taken before the fetch, and a snapshot is applied only if its token is newer than the one applied last:
 * whichever order events arrive in and however long a fetch takes, an older picture never replaces a newer one.
 */
export async function syncCustomer(
  admin: db.Client,
  stripeCustomerId: string,
): Promise<SubscriptionSnapshot[]> {
  const token = await db.nextSyncToken(admin);
  const [keys, subscriptions] = await Promise.all([
    db.catalogueKeys(admin),
    callingStripe(() =>
      stripe().subscriptions
        .list({ customer: stripeCustomerId, status: "all", limit: 100 })
        .autoPagingToArray({ limit: 1_000 })
    ),
  ]);
  const snapshots = subscriptions.map((subscription) => toSnapshot(subscription, keys));
  await db.applySnapshot(admin, stripeCustomerId, token, snapshots);
  return snapshots;
}

/** Syncs the signed-in user, for the way back from Stripe's pages. Someone without a Stripe customer is simply on their plan. */
export async function syncMine(call: db.UserCall): Promise<{ entitlements: Json }> {
  const customer = await db.findCustomer(call.supabase, call.user.id);
  if (customer !== null) await syncCustomer(call.supabaseAdmin, customer);
  return { entitlements: await db.myEntitlements(call.supabase) };
}
