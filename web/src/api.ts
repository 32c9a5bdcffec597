/**
 * Everything that goes over the network. Pages and hooks call these functions; they answer plain values
 * in the client's own shapes (times in milliseconds) or throw one `ApiError`.
 */

import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import * as z from "zod/mini";
import type { Database } from "../../supabase/functions/_shared/database.types.ts";
import { requireEnv } from "./env.ts";
import { reportReachable, reportUnreachable } from "./lib/connectivity.ts";
import {
  changeAnswer,
  currencyOptionsAnswer,
  entitledAnswer,
  entitlementsAnswer,
  invoicesAnswer,
  messageAnswer,
  previewAnswer,
  pricesAnswer,
  redirectAnswer,
  toMessage,
  toPrice,
  usageAnswer,
} from "./lib/answers.ts";
import {
  creditGrantsAnswer,
  creditPacksAnswer,
  historyAnswer,
  notificationEmailsAnswer,
  notificationsAnswer,
  overageAnswer,
  overagePricesAnswer,
  toOveragePrice,
} from "./lib/usage-answers.ts";
import { parseTime } from "./lib/dates.ts";
import { ApiError, fromAuth, fromFunction, fromNetwork, fromRest } from "./lib/errors.ts";
import { type Cursor, isBefore } from "./lib/paging.ts";
import type { Catalogue } from "./lib/plans.ts";
import type { Preview } from "./lib/plan-change.ts";
import type { Overage } from "./lib/overage.ts";
import type {
  Agent,
  Conversation,
  CreditGrant,
  CreditPack,
  Invoice,
  Message,
  Notification,
  NotificationEmails,
} from "./lib/records.ts";
import type { Entitlements } from "./lib/subscription.ts";
import type { DayUsage, Range } from "./lib/usage-history.ts";

const TIMEOUT_MS = 30_000;
/** One page of a conversation; PostgREST would silently cut a longer answer at its own maximum. */
export const MESSAGES_PER_PAGE = 60;
export const INVOICES_PER_PAGE = 10;
const CONVERSATIONS_SHOWN = 200;
const NOTIFICATIONS_SHOWN = 30;
const PRICE_COLUMNS =
  "lookup_key,plan_id,currency,unit_amount_minor,billing_interval,is_active,trial_days,tiers_mode,tiers";
const INVOICE_COLUMNS =
  "id,number,status,currency,total_minor,amount_due_minor,amount_paid_minor,hosted_invoice_url,invoice_pdf,stripe_created_at";

// ---------------------------------------------------------------------------------------------------
// Connection

/** No request may hang for ever, and the pages must know when nothing is answered at all. */
async function watchedFetch(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  try {
    const response = await fetch(input, { ...init, signal });
    reportReachable();
    return response;
  } catch (error) {
    if (!init.signal?.aborted) reportUnreachable();
    throw error;
  }
}

let connection: SupabaseClient<Database> | null = null;

/** Made on first use, so that a build without settings can still show what is missing. */
function db(): SupabaseClient<Database> {
  if (connection) return connection;
  const { supabaseUrl, publishableKey } = requireEnv();
  connection = createClient<Database>(supabaseUrl, publishableKey, {
    global: { fetch: watchedFetch },
    // Repeats are TanStack Query's: two layers of them would multiply the wait before an error shows.
    db: { retry: false },
  });
  return connection;
}

/** Waits for an answer of PostgREST and returns its data, or throws what it refused. */
async function rest<T>(
  request: PromiseLike<{ data: T; error: unknown; status: number }>,
): Promise<NonNullable<T>> {
  const { data, error, status } = await request;
  if (error) throw fromRest(error, status);
  if (data === null || data === undefined) {
    throw new ApiError("not_found", "No row", { status: 404 });
  }
  return data;
}

/** A shape that is not understood is an error to be seen, never a page full of blanks. */
function understand<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new ApiError("unexpected_shape", `The server answered in a shape we do not know: ${where}`);
}

/** Calls an Edge Function; its error body is read here because supabase-js only says "non-2xx". */
async function call<T>(name: string, body: Record<string, unknown>, schema: z.ZodMiniType<T>) {
  const { data, error } = await db().functions.invoke(name, { body });
  if (!error) return understand(schema, data);
  if (!(error instanceof FunctionsHttpError)) throw fromNetwork(error.context ?? error);
  const response: Response = error.context;
  throw fromFunction(response.status, await response.json().catch(() => null));
}

// ---------------------------------------------------------------------------------------------------
// Who is here

export interface User {
  id: string;
  email: string;
}

/** Calls back at once with the stored session, then on every change, also from another tab. */
export function watchUser(onChange: (user: User | null) => void): () => void {
  const { data } = db().auth.onAuthStateChange((_event, session) => {
    onChange(session ? { id: session.user.id, email: session.user.email ?? "" } : null);
  });
  return () => data.subscription.unsubscribe();
}

/** Signs up; `needsConfirmation` when the project asks people to confirm their e-mail first. */
export async function signUp(email: string, password: string, comeBackTo: string) {
  const emailRedirectTo = `${location.origin}${comeBackTo}`;
  const { data, error } = await db().auth.signUp({ email, password, options: { emailRedirectTo } });
  if (error) throw fromAuth(error);
  return { needsConfirmation: data.session === null };
}

export async function signIn(email: string, password: string): Promise<void> {
  const { error } = await db().auth.signInWithPassword({ email, password });
  if (error) throw fromAuth(error);
}

/** Ends the session on this device, also when the server cannot be told. */
export async function signOut(): Promise<void> {
  await db().auth.signOut({ scope: "local" });
}

// ---------------------------------------------------------------------------------------------------
// One's own data

/** Everything that is known about the signed-in person, as a JSON file. */
export async function exportData(): Promise<Blob> {
  const { data, error } = await db().functions.invoke("privacy", { body: { action: "export" } });
  if (!error) return new Blob([JSON.stringify(data, null, 2)], { type: "application/json" });
  if (!(error instanceof FunctionsHttpError)) throw fromNetwork(error.context ?? error);
  const response: Response = error.context;
  throw fromFunction(response.status, await response.json().catch(() => null));
}

/** Asks for the deletion of the account; `confirm` is its e-mail address. Nobody can sign in to it from then on. */
export async function deleteAccount(confirm: string): Promise<void> {
  await call("privacy", { action: "delete", confirm }, z.object({ deletion: z.object({}) }));
}

// ---------------------------------------------------------------------------------------------------
// Plans, entitlements, usage

/** Plans with limits, features and active prices, lowest first. Readable without an account. */
export async function getCatalogue(): Promise<Catalogue> {
  const [plans, features, options, overage, overageOptions] = await Promise.all([
    rest(
      db().from("plans").select(
        `id,name,description,rank,is_default,plan_limits(metric_id,limit_value),plan_features(feature_id),prices(${PRICE_COLUMNS})`,
      ).eq("is_public", true).order("rank"),
    ),
    rest(db().from("features").select("id,name,rank").order("rank")),
    rest(
      db().from("price_currency_options").select("lookup_key,currency,unit_amount_minor"),
    ),
    rest(
      db().from("overage_prices").select("lookup_key,plan_id,metric_id,currency,unit_amount_minor")
        .eq("is_active", true),
    ),
    rest(
      db().from("overage_price_currency_options").select("lookup_key,currency,unit_amount_minor"),
    ),
  ]);
  const currencyOptions = understand(currencyOptionsAnswer, options);
  const overagePrices = understand(overagePricesAnswer, overage);
  const overageCurrencies = understand(currencyOptionsAnswer, overageOptions);
  return {
    features,
    plans: plans.map((plan) => ({
      id: plan.id,
      name: plan.name,
      description: plan.description ?? "",
      rank: plan.rank,
      isDefault: plan.is_default,
      limits: Object.fromEntries(
        plan.plan_limits.map((row) => [
          row.metric_id,
          row.limit_value === null ? null : Number(row.limit_value),
        ]),
      ),
      features: plan.plan_features.map((row) => row.feature_id),
      prices: understand(pricesAnswer, plan.prices)
        .flatMap((row) => toPrice(row, currencyOptions) ?? []),
      overage: overagePrices.filter((row) => row.plan_id === plan.id)
        .map((row) => toOveragePrice(row, overageCurrencies)),
    })),
  };
}

export async function getEntitlements(): Promise<Entitlements> {
  return understand(entitlementsAnswer, await rest(db().rpc("my_entitlements")));
}

export interface Usage {
  metric: string;
  used: number;
  /** null = unlimited. */
  limit: number | null;
  /** Milliseconds; null for what never resets. */
  resetsAt: number | null;
  plan: string;
}

export async function getUsage(): Promise<Usage[]> {
  const rows = understand(usageAnswer, await rest(db().rpc("my_usage")));
  return rows.map((row) => ({
    metric: row.metric,
    used: row.used,
    limit: row.limit_value,
    resetsAt: row.resets_at,
    plan: row.plan,
  }));
}

/** What was used per UTC day that has any; both ends included. */
export async function getUsageHistory(metric: string, { from, to }: Range): Promise<DayUsage[]> {
  const args = { p_from: from, p_to: to, p_metric: metric };
  return understand(historyAnswer, await rest(db().rpc("usage_history", args)));
}

// ---------------------------------------------------------------------------------------------------
// Beyond the plan

export async function getOverage(): Promise<Overage> {
  return understand(overageAnswer, await rest(db().rpc("my_overage")));
}

/** Says yes to paying beyond the allowance up to a cap in minor units, or no more with null. */
export function setOverage(capMinor: number | null): Promise<Overage> {
  const body = capMinor === null ? { enabled: false } : { enabled: true, cap_minor: capMinor };
  return call("overage", body, overageAnswer);
}

/** Opens a Checkout session for prepaid credit; it comes back to /account?credits=success or cancelled. */
export async function openCreditsCheckout(lookupKey: string): Promise<string> {
  return (await call("credits", { lookup_key: lookupKey }, redirectAnswer)).url;
}

export async function listCreditPacks(): Promise<CreditPack[]> {
  const rows = await rest(
    db().from("credit_packs").select(
      "lookup_key,name,currency,price_minor,credit_minor,expires_days,credit_pack_currency_options(currency,price_minor,credit_minor)",
    ).eq("is_active", true).order("price_minor"),
  );
  return understand(creditPacksAnswer, rows);
}

/** Newest first. */
export async function listCreditGrants(): Promise<CreditGrant[]> {
  const rows = await rest(
    db().from("credit_grants").select(
      "id,name,amount_minor,currency,stripe_created_at,effective_at,expires_at,voided_at",
    ).order("stripe_created_at", { ascending: false }).order("id"),
  );
  return understand(creditGrantsAnswer, rows);
}

/** Newest first. */
export async function listNotifications(): Promise<Notification[]> {
  const rows = await rest(
    db().from("notifications").select("id,kind,title,body,created_at,read_at")
      .order("id", { ascending: false }).limit(NOTIFICATIONS_SHOWN),
  );
  return understand(notificationsAnswer, rows);
}

/** Up to this one: what came after it was not seen yet. */
export async function markNotificationsRead(upTo: number): Promise<void> {
  await rest(db().rpc("mark_notifications_read", { p_up_to: upTo }));
}

export async function getNotificationEmails(): Promise<NotificationEmails> {
  return understand(notificationEmailsAnswer, await rest(db().rpc("my_notification_emails")));
}

export async function setNotificationEmails(isEnabled: boolean): Promise<NotificationEmails> {
  const answer = await rest(db().rpc("set_notification_emails", { p_enabled: isEnabled }));
  return understand(notificationEmailsAnswer, answer);
}

// ---------------------------------------------------------------------------------------------------
// Money: paid on a page of Stripe's, never in a form of ours

export type PortalFlow = "cancel" | "update" | "payment_method";

/** Opens a Checkout session for a price of the catalogue and returns the address to go to. */
export async function openCheckout(lookupKey: string, currency?: string): Promise<string> {
  const body = { lookup_key: lookupKey, ...(currency && { currency }) };
  return (await call("checkout", body, redirectAnswer)).url;
}

export async function openPortal(flow?: PortalFlow): Promise<string> {
  return (await call("portal", flow ? { flow } : {}, redirectAnswer)).url;
}

/** Asks the server to fetch our present state from Stripe; answers what we are entitled to now. */
export async function syncBilling(): Promise<Entitlements> {
  return (await call("sync", {}, entitledAnswer)).entitlements;
}

/** What a change to this price would cost, and when it would happen. Nothing is changed by asking. */
export function previewChange(lookupKey: string): Promise<Preview> {
  return call("subscription", { action: "preview", lookup_key: lookupKey }, previewAnswer);
}

export interface ChangeResult {
  outcome: "done" | "payment_required";
  /** The page on which the payment can be finished. */
  paymentUrl: string | null;
  entitlements: Entitlements;
}

/** Makes exactly the change that was previewed, or is refused with `preview_expired`. */
export async function changePlan({ toLookupKey, prorationDate }: Preview): Promise<ChangeResult> {
  const body = { action: "change", lookup_key: toLookupKey, proration_date: prorationDate };
  const { outcome, payment_url, entitlements } = await call("subscription", body, changeAnswer);
  return { outcome, paymentUrl: payment_url, entitlements };
}

export type EndingAction = "cancel" | "cancel_now" | "resume";

/** Ends the subscription with its period or at once, or takes an end or a planned change back. */
export async function endSubscription(action: EndingAction): Promise<Entitlements> {
  return (await call("subscription", { action }, entitledAnswer)).entitlements;
}

/** The currency in which a subscription is billed; it never changes. */
export async function getSubscriptionCurrency(id: string): Promise<string | null> {
  const rows = await rest(db().from("subscriptions").select("currency").eq("id", id));
  return rows[0]?.currency ?? null;
}

/** The newest page of our invoices, or the one before `cursor`; newest first. */
export async function listInvoices(cursor?: Cursor): Promise<Invoice[]> {
  let query = db().from("invoices").select(INVOICE_COLUMNS);
  if (cursor) {
    query = query.lte("stripe_created_at", cursor.createdAt)
      .or(isBefore("stripe_created_at", cursor));
  }
  const rows = await rest(
    query.order("stripe_created_at", { ascending: false }).order("id", { ascending: false })
      .limit(INVOICES_PER_PAGE),
  );
  return understand(invoicesAnswer, rows);
}

// ---------------------------------------------------------------------------------------------------
// Conversations and messages

const CONVERSATION_COLUMNS = "id,title,updated_at";
const MESSAGE_COLUMNS = "id,conversation_id,role,content,reply_to,created_at";

function toConversation(row: { id: string; title: string; updated_at: string }): Conversation {
  return { id: row.id, title: row.title, updatedAt: parseTime(row.updated_at) ?? 0 };
}

export async function listConversations(): Promise<Conversation[]> {
  const rows = await rest(
    db().from("conversations").select(CONVERSATION_COLUMNS)
      .order("updated_at", { ascending: false }).limit(CONVERSATIONS_SHOWN),
  );
  return rows.map(toConversation);
}

/** null when there is no such conversation, or when it is somebody else's: the two look the same. */
export async function getConversation(id: string): Promise<Conversation | null> {
  const rows = await rest(db().from("conversations").select(CONVERSATION_COLUMNS).eq("id", id));
  return rows[0] ? toConversation(rows[0]) : null;
}

/** The id is ours, so that a repeat after a lost answer finds the first try instead of a second row. */
export async function createConversation(id: string, title: string): Promise<void> {
  const { error, status } = await db().from("conversations").insert({ id, title });
  if (error && status !== 409) throw fromRest(error, status);
}

export async function renameConversation(id: string, title: string): Promise<void> {
  const { error, status } = await db().from("conversations").update({ title }).eq("id", id);
  if (error) throw fromRest(error, status);
}

export async function deleteConversation(id: string): Promise<void> {
  const { error, status } = await db().from("conversations").delete().eq("id", id);
  if (error) throw fromRest(error, status);
}

/** The newest page, or the one before `cursor`; newest first. Rows of one moment go by their id. */
export async function listMessages(conversationId: string, cursor?: Cursor): Promise<Message[]> {
  let query = db().from("messages").select(MESSAGE_COLUMNS).eq("conversation_id", conversationId);
  if (cursor) {
    query = query.lte("created_at", cursor.createdAt).or(isBefore("created_at", cursor));
  }
  const rows = await rest(
    query.order("created_at", { ascending: false }).order("id", { ascending: false })
      .limit(MESSAGES_PER_PAGE),
  );
  return rows.map(toMessage);
}

/**
 * Writes a message of the user; this is what costs one of today's messages. With the same id a repeat
 * is answered 409, which means that the first try arrived: it is read back and not charged again.
 */
export async function sendMessage(id: string, conversationId: string, content: string) {
  const row = { id, conversation_id: conversationId, role: "user", content };
  const inserted = await db().from("messages").insert(row).select(MESSAGE_COLUMNS).single();
  if (!inserted.error) return toMessage(inserted.data);
  if (inserted.status !== 409) throw fromRest(inserted.error, inserted.status);
  const earlier = await rest(db().from("messages").select(MESSAGE_COLUMNS).eq("id", id));
  if (!earlier[0]) throw fromRest(inserted.error, inserted.status);
  return toMessage(earlier[0]);
}

/** Asks for the assistant's answer; a repeat returns the answer that is already there. */
export async function requestReply(messageId: string): Promise<Message> {
  const answer = await call(
    "reply",
    { message_id: messageId },
    z.object({ message: messageAnswer }),
  );
  return toMessage(answer.message);
}

// ---------------------------------------------------------------------------------------------------
// Agents

const AGENT_COLUMNS = "id,name,instructions,updated_at";

export async function listAgents(): Promise<Agent[]> {
  const rows = await rest(db().from("agents").select(AGENT_COLUMNS).order("created_at"));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    instructions: row.instructions,
    updatedAt: parseTime(row.updated_at) ?? 0,
  }));
}

export interface AgentFields {
  name: string;
  instructions: string;
}

export async function createAgent(fields: AgentFields): Promise<void> {
  const { error, status } = await db().from("agents").insert(fields);
  if (error) throw fromRest(error, status);
}

export async function updateAgent(id: string, fields: AgentFields): Promise<void> {
  const { error, status } = await db().from("agents").update(fields).eq("id", id);
  if (error) throw fromRest(error, status);
}

export async function deleteAgent(id: string): Promise<void> {
  const { error, status } = await db().from("agents").delete().eq("id", id);
  if (error) throw fromRest(error, status);
}
