import type { Json } from "../database.types.ts";
import type { CustomerSnapshot } from "../domain/snapshot.ts";
import { type Client, rows } from "./client.ts";

/** A number newer than every earlier one: taken before a fetch, it orders what was fetched. */
export function nextSyncToken(admin: Client): Promise<number> {
  return rows(admin.rpc("next_sync_token"));
}

/** Why a snapshot is applied, as the access log keeps it; `reconcile` also notes what it changes. */
export type SyncCause = "snapshot" | "reconcile" | "rebuild";

/** Applies a customer's whole state; an older token than the one applied last changes nothing. */
export function applySnapshot(
  admin: Client,
  stripeCustomerId: string,
  token: number,
  snapshot: CustomerSnapshot,
  cause: SyncCause,
): Promise<Json> {
  return rows(admin.rpc("apply_customer_snapshot", {
    p_stripe_customer_id: stripeCustomerId,
    p_token: token,
    p_cause: cause,
    ...lists(snapshot),
  }));
}

/** What applying a snapshot would change; changes nothing. */
export function compareSnapshot(
  admin: Client,
  stripeCustomerId: string,
  snapshot: CustomerSnapshot,
): Promise<Json> {
  return rows(admin.rpc("compare_customer_snapshot", {
    p_stripe_customer_id: stripeCustomerId,
    ...lists(snapshot),
  }));
}

function lists({ subscriptions, invoices, ...metering }: CustomerSnapshot) {
  return {
    p_subscriptions: subscriptions.map((subscription) => ({ ...subscription })),
    p_invoices: invoices.map((invoice) => ({ ...invoice })),
    p_metering: {
      metered_items: metering.metered_items.map((item) => ({ ...item })),
      credit_grants: metering.credit_grants.map((grant) => ({ ...grant })),
      credit_balances: metering.credit_balances.map((balance) => ({ ...balance })),
    },
  };
}

/** The lease on a customer, and the token to fetch under; null while somebody else has it. */
export function beginSync(admin: Client, stripeCustomerId: string): Promise<number | null> {
  return rows<number | null>(admin.rpc("begin_sync", { p_stripe_customer_id: stripeCustomerId }));
}

/** Gives the lease up, or renews it when events came in that no fetch has covered. */
export function continueSync(
  admin: Client,
  stripeCustomerId: string,
  lease: number,
): Promise<number | null> {
  return rows<number | null>(
    admin.rpc("continue_sync", { p_stripe_customer_id: stripeCustomerId, p_token: lease }),
  );
}

export async function endSync(
  admin: Client,
  stripeCustomerId: string,
  lease: number,
): Promise<void> {
  await rows(admin.rpc("end_sync", { p_stripe_customer_id: stripeCustomerId, p_token: lease }));
}
