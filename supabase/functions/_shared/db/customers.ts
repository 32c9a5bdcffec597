import type { Json } from "../database.types.ts";
import { type Client, rows, type Tables } from "./client.ts";
import { refusable } from "./refusals.ts";

export type SubscriptionRow = Tables["subscriptions"]["Row"];

/** The Stripe customer of a user, or null when they never went near a checkout. Under RLS this sees only one's own. */
export async function findCustomer(client: Client, userId: string): Promise<string | null> {
  const row = await rows(
    client.from("customers").select("stripe_customer_id").eq("user_id", userId).maybeSingle(),
  );
  return row?.stripe_customer_id ?? null;
}

/** Whether a Stripe customer is one of our users'. */
export async function isOurCustomer(admin: Client, stripeCustomerId: string): Promise<boolean> {
  const row = await rows(
    admin.from("customers").select("user_id").eq("stripe_customer_id", stripeCustomerId)
      .maybeSingle(),
  );
  return row !== null;
}

/** Refuses whoever has a token and no account any more. */
export async function requireUser(admin: Client, userId: string): Promise<void> {
  await refusable(admin.rpc("require_user", { p_user_id: userId }));
}

/** Binds a Stripe customer to a user; answers the one that was bound first when another request was quicker. */
export function linkCustomer(
  admin: Client,
  userId: string,
  stripeCustomerId: string,
): Promise<string> {
  return rows(admin.rpc("link_customer", {
    p_user_id: userId,
    p_stripe_customer_id: stripeCustomerId,
  }));
}

/** Binds a user to another Stripe customer, only if the one named is still the bound one; answers the bound one. */
export function relinkCustomer(
  admin: Client,
  userId: string,
  gone: string,
  stripeCustomerId: string,
): Promise<string> {
  return rows(admin.rpc("relink_customer", {
    p_user_id: userId,
    p_gone: gone,
    p_stripe_customer_id: stripeCustomerId,
  }));
}

export function findSubscriptions(client: Client, userId: string): Promise<SubscriptionRow[]> {
  return rows(
    client.from("subscriptions").select("*").eq("user_id", userId)
      .order("stripe_created_at", { ascending: false }),
  );
}

/** The subscription that gives the user their plan, or null when none does. */
export async function entitledSubscription(
  client: Client,
  userId: string,
): Promise<string | null> {
  const row = await rows(
    client.from("entitlements").select("subscription_id").eq("user_id", userId).maybeSingle(),
  );
  return row?.subscription_id ?? null;
}

/** The number of the user's checkout attempt; two tabs that ask for the same price share one. */
export function beginCheckout(admin: Client, userId: string, lookupKey: string): Promise<number> {
  return rows(admin.rpc("begin_checkout", { p_user_id: userId, p_lookup_key: lookupKey }));
}

export function isCurrentCheckout(
  admin: Client,
  userId: string,
  attempt: number,
): Promise<boolean> {
  return rows(admin.rpc("is_current_checkout", { p_user_id: userId, p_attempt: attempt }));
}

export async function closeCheckout(admin: Client, userId: string, attempt: number): Promise<void> {
  await rows(admin.rpc("close_checkout", { p_user_id: userId, p_attempt: attempt }));
}

/** What the signed-in user may do now, as the web client reads it. */
export function myEntitlements(client: Client): Promise<Json> {
  return rows(client.rpc("my_entitlements"));
}

/** Stripe customers in the order of their ids. */
export function customersAfter(
  admin: Client,
  after: string | null,
  limit: number,
): Promise<string[]> {
  return rows(admin.rpc("customers_after", { p_after: after ?? "", p_limit: limit }));
}
