import { createAdminClient } from "@supabase/server/core";
import type { PostgrestSingleResponse, SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Database, Json } from "./database.types.ts";
import { AppError } from "./domain/errors.ts";
import type { CustomerSnapshot } from "./domain/snapshot.ts";

export type Client = SupabaseClient<Database>;
/** The signed-in person, as their verified access token says. */
export interface User {
  id: string;
  email: string | null;
}

/** On whose behalf a use case works. */
export interface UserCall {
  user: User;
  /** Acts as the signed-in user: row level security applies. */
  supabase: Client;
  /** Bypasses row level security: only for what no policy can grant. */
  supabaseAdmin: Client;
}

export type SecretCall = Pick<UserCall, "supabaseAdmin">;

/** SQLSTATE 23503: what a row refers to is gone. */
const FOREIGN_KEY_VIOLATION = "23503";

type Functions = Database["public"]["Functions"];
type Tables = Database["public"]["Tables"];

/** A price of the catalogue; without tiers the list is empty. */
export type PriceRow = Omit<Tables["prices"]["Row"], "tiers"> & { tiers: Tier[] };
export type MessageRow = Tables["messages"]["Row"];
export type SubscriptionRow = Tables["subscriptions"]["Row"];

/** A client with the secret key, for callers that have proved themselves by other means than a Supabase key. */
export function adminClient(): Client {
  return createAdminClient<Database>();
}

/** The rows of a query, or an internal error: what the database refuses here is our own mistake, never the caller's. */
async function rows<T>(answer: PromiseLike<PostgrestSingleResponse<T>>): Promise<T> {
  const { data, error } = await answer;
  if (error === null) return data;
  throw new AppError("internal_error", "Something went wrong on our side.", {
    cause: new Error(`postgres ${error.code}: ${error.message}`),
  });
}

/** As the constraint of `prices.tiers` lets it be; `up_to` is null in the last one. */
const tierTable = z.array(z.object({
  up_to: z.number().nullable(),
  unit_amount_minor: z.number(),
  flat_amount_minor: z.number(),
}));
export type Tier = z.infer<typeof tierTable>[number];

function toPrice<T extends { tiers: Json | null }>(row: T): Omit<T, "tiers"> & { tiers: Tier[] } {
  return { ...row, tiers: tierTable.parse(row.tiers ?? []) };
}

/** A price as it is sold; `option` is its amount in a currency beside its own, when that one was asked for. */
export type SoldPrice = PriceRow & {
  option?: { currency: string; unit_amount_minor: number } | undefined;
};

/** An active price of the catalogue in a currency (default: its own), as the caller may read it. */
export async function findActivePrice(
  client: Client,
  lookupKey: string,
  currency?: string,
): Promise<SoldPrice | null> {
  const row = await rows(
    client.from("prices").select("*, price_currency_options(currency, unit_amount_minor)")
      .eq("lookup_key", lookupKey).eq("is_active", true).maybeSingle(),
  );
  if (row === null) return null;
  const { price_currency_options: options, ...price } = toPrice(row);
  if (currency === undefined || currency === price.currency) return price;
  const option = options.find((candidate) => candidate.currency === currency);
  return option === undefined ? null : { ...price, option };
}

const checkoutTermsSchema = z.object({
  trial_days: z.number(),
  automatic_tax: z.boolean(),
  allow_promotion_codes: z.boolean(),
});
export type CheckoutTerms = z.infer<typeof checkoutTermsSchema>;

/** Under which terms a user may buy a price; a trial is theirs once. */
export async function checkoutTerms(
  admin: Client,
  userId: string,
  lookupKey: string,
): Promise<CheckoutTerms> {
  return checkoutTermsSchema.parse(
    await rows(admin.rpc("checkout_terms", { p_user_id: userId, p_lookup_key: lookupKey })),
  );
}

/** Every lookup key that ever sold a plan, retired ones included: their subscribers keep what they bought. */
export async function catalogueKeys(client: Client): Promise<ReadonlySet<string>> {
  const prices = await rows(client.from("prices").select("lookup_key"));
  return new Set(prices.map((price) => price.lookup_key));
}

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

/** A price with the rank of its plan; also one that is no longer sold. */
export type PriceTermsRow = PriceRow & { rank: number };

export async function findPriceTerms(
  client: Client,
  lookupKey: string,
): Promise<PriceTermsRow | null> {
  const row = await rows(
    client.from("prices").select("*, plans(rank)").eq("lookup_key", lookupKey).maybeSingle(),
  );
  if (row === null) return null;
  const { plans, ...price } = toPrice(row);
  return { ...price, rank: plans.rank };
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

/** Commits an event to the inbox before any work is done on it. */
export function receiveEvent(
  admin: Client,
  event: Functions["receive_stripe_event"]["Args"],
): Promise<string> {
  return rows(admin.rpc("receive_stripe_event", event));
}

export async function finishEvent(
  admin: Client,
  id: string,
  outcome: "processed" | "ignored",
): Promise<void> {
  await rows(admin.rpc("finish_stripe_event", { p_id: id, p_outcome: outcome }));
}

export async function failEvent(admin: Client, id: string, error: string): Promise<void> {
  await rows(admin.rpc("fail_stripe_event", { p_id: id, p_error: error }));
}

export type DueEvent = Functions["due_stripe_events"]["Returns"][number];

export function dueEvents(admin: Client, limit: number): Promise<DueEvent[]> {
  return rows(admin.rpc("due_stripe_events", { p_limit: limit }));
}

/** What the signed-in user may do now, as the web client reads it. */
export function myEntitlements(client: Client): Promise<Json> {
  return rows(client.rpc("my_entitlements"));
}

/** One of the caller's own messages, with the answer it already has. */
export async function findMessage(
  client: Client,
  id: string,
): Promise<{ message: MessageRow; reply: MessageRow | null } | null> {
  const found = await rows(
    client.from("messages").select("*").or(`id.eq.${id},reply_to.eq.${id}`),
  );
  const message = found.find((row) => row.id === id);
  if (message === undefined) return null;
  return { message, reply: found.find((row) => row.reply_to === id) ?? null };
}

/** Writes the assistant's answer; null when another request already did, or when its message was deleted meanwhile. */
export async function insertReply(
  admin: Client,
  reply: Tables["messages"]["Insert"],
): Promise<MessageRow | null> {
  const answer = await admin.from("messages")
    .upsert(reply, { onConflict: "reply_to", ignoreDuplicates: true }).select("*").maybeSingle();
  if (answer.error?.code === FOREIGN_KEY_VIOLATION) return null;
  return await rows(Promise.resolve(answer));
}

const reconcileRun = z.object({
  busy: z.boolean(),
  run: z.number().default(0),
  since: z.number().default(0),
  cursor: z.string().nullish(),
  listed: z.boolean().default(false),
});
export type ReconcileRun = z.infer<typeof reconcileRun>;

/** One event of Stripe's list, as the inbox keeps it. */
export interface ReconcileEvent {
  id: string;
  type: string;
  api_version: string | null;
  created: string;
  customer: string | null;
  payload: Json;
}

/** Leases the unfinished run of reconcile, or a new one; `busy` while somebody works on it. */
export async function beginReconcile(admin: Client): Promise<ReconcileRun> {
  return reconcileRun.parse(await rows(admin.rpc("begin_reconcile")));
}

/** Keeps a page of events and remembers the place; answers how many were never delivered. */
export function noteReconcilePage(
  admin: Client,
  run: number,
  page: { events: ReconcileEvent[]; cursor: string | null; listed: boolean },
): Promise<number> {
  return rows(admin.rpc("note_reconcile_page", {
    p_run: run,
    p_events: page.events.map((event) => ({ ...event })),
    p_cursor: page.cursor ?? "",
    p_listed: page.listed,
  }));
}

export function nextReconcileCustomers(
  admin: Client,
  run: number,
  limit: number,
): Promise<string[]> {
  return rows(admin.rpc("next_reconcile_customers", { p_run: run, p_limit: limit }));
}

export async function reconciled(
  admin: Client,
  run: number,
  stripeCustomerId: string,
): Promise<void> {
  await rows(admin.rpc("reconciled", { p_run: run, p_stripe_customer_id: stripeCustomerId }));
}

/** Gives the run back: done, or to be gone on with. Answers its figures. */
export function endReconcile(
  admin: Client,
  run: number,
  end: { done: boolean; error?: string },
): Promise<Json> {
  return rows(admin.rpc("end_reconcile", {
    p_run: run,
    p_done: end.done,
    ...(end.error !== undefined && { p_error: end.error }),
  }));
}

/** Stripe customers in the order of their ids. */
export function customersAfter(
  admin: Client,
  after: string | null,
  limit: number,
): Promise<string[]> {
  return rows(admin.rpc("customers_after", { p_after: after ?? "", p_limit: limit }));
}

/** Keys of the metered prices; what their items say of access is nothing. */
export type WantedItem = Functions["wanted_metered_items"]["Returns"][number];

export function wantedMeteredItems(
  admin: Client,
  stripeCustomerId: string,
): Promise<WantedItem[]> {
  return rows(
    admin.rpc("wanted_metered_items", { p_stripe_customer_id: stripeCustomerId }),
  );
}

export function customersWithoutMeteredItems(admin: Client, limit: number): Promise<string[]> {
  return rows(admin.rpc("customers_without_metered_items", { p_limit: limit }));
}

/** The metered price of a plan for the metric of another metered price; null when the plan has none. */
export async function meteredPriceOf(
  client: Client,
  planId: string,
  lookupKey: string,
): Promise<string | null> {
  const row = await rows(
    client.from("overage_prices").select("metric_id").eq("lookup_key", lookupKey).maybeSingle(),
  );
  if (row === null) return null;
  const wanted = await rows(
    client.from("overage_prices").select("lookup_key").eq("plan_id", planId)
      .eq("metric_id", row.metric_id).eq("is_active", true).maybeSingle(),
  );
  return wanted?.lookup_key ?? null;
}

const overageRefusals = z.enum(["overage_not_available", "invalid_cap"]);

/** Says yes or no to paying beyond the allowance, as the signed-in user. */
export async function setOverage(
  client: Client,
  wish: { enabled: boolean; cap_minor?: number | undefined },
): Promise<Json> {
  const { data, error } = await client.rpc("set_overage", {
    p_enabled: wish.enabled,
    ...(wish.cap_minor !== undefined && { p_cap_minor: wish.cap_minor }),
  });
  if (error === null) return data;
  const refusal = overageRefusals.safeParse(error.code);
  if (refusal.success) throw new AppError(refusal.data, error.message);
  throw new AppError("internal_error", "Something went wrong on our side.", {
    cause: new Error(`postgres ${error.code}: ${error.message}`),
  });
}

export function myOverage(client: Client): Promise<Json> {
  return rows(client.rpc("my_overage"));
}

const availability = z.object({ available: z.boolean() });

export async function isOverageAvailable(client: Client): Promise<boolean> {
  return availability.parse(await myOverage(client)).available;
}

/** Makes outbox rows of usage that is not in one; answers how many. */
export function claimUsage(
  admin: Client,
  limit: number,
  stripeCustomerId: string | null,
): Promise<number> {
  return rows(admin.rpc("claim_usage", {
    p_limit: limit,
    ...(stripeCustomerId !== null && { p_stripe_customer_id: stripeCustomerId }),
  }));
}

export type UsageRow = Functions["lease_usage"]["Returns"][number];

/** Rows to send now: at most one per customer and meter. */
export function leaseUsage(
  admin: Client,
  limit: number,
  stripeCustomerId: string | null,
): Promise<UsageRow[]> {
  return rows(admin.rpc("lease_usage", {
    p_limit: limit,
    ...(stripeCustomerId !== null && { p_stripe_customer_id: stripeCustomerId }),
  }));
}

export async function usageSent(admin: Client, id: number): Promise<void> {
  await rows(admin.rpc("usage_sent", { p_id: id }));
}

export async function usageFailed(
  admin: Client,
  row: UsageRow,
  failure: { error: string; notAccepted: boolean },
): Promise<void> {
  await rows(admin.rpc("usage_failed", {
    p_id: row.id,
    p_lease: row.lease,
    p_error: failure.error,
    p_not_accepted: failure.notAccepted,
  }));
}

export async function usageParked(admin: Client, id: number, reason: string): Promise<void> {
  await rows(admin.rpc("usage_parked", { p_id: id, p_reason: reason }));
}

/** Stripe did not count this event after all; false when the identifier is none of ours. */
export function usageRejected(
  admin: Client,
  identifier: string,
  reason: string,
): Promise<boolean> {
  return rows(admin.rpc("usage_rejected", { p_identifier: identifier, p_reason: reason }));
}

export type UsageSum = Functions["usage_sums"]["Returns"][number];

export function usageSums(
  admin: Client,
  options: { customer?: string | undefined; after?: string | undefined; limit: number },
): Promise<UsageSum[]> {
  return rows(admin.rpc("usage_sums", {
    p_limit: options.limit,
    ...(options.customer !== undefined && { p_stripe_customer_id: options.customer }),
    ...(options.after !== undefined && { p_after: options.after }),
  }));
}

/** Writes down what Stripe says beside what we say; answers the verdict. */
export function noteUsageCheck(admin: Client, sum: UsageSum, stripe: number): Promise<string> {
  return rows(admin.rpc("note_usage_check", {
    p_stripe_customer_id: sum.stripe_customer_id,
    p_metric_id: sum.metric_id,
    p_period_start: sum.period_start,
    p_stripe: stripe,
  }));
}

export type CreditPack = Tables["credit_packs"]["Row"];

export function findCreditPack(client: Client, lookupKey: string): Promise<CreditPack | null> {
  return rows(
    client.from("credit_packs").select("*").eq("lookup_key", lookupKey).eq("is_active", true)
      .maybeSingle(),
  );
}
