/**
 * Everything that goes over the network. Pages and hooks call these functions; they answer plain values
 * in the client's own shapes (times in milliseconds) or throw one `ApiError`.
 */

import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import * as z from "zod/mini";
import type { Database } from "../../supabase/functions/_shared/database.types.ts";
import { requireEnv } from "./env.ts";
import { reportReachable, reportUnreachable } from "./lib/connectivity.ts";
import { parseTime } from "./lib/dates.ts";
import { ApiError, fromAuth, fromFunction, fromNetwork, fromRest } from "./lib/errors.ts";
import { type Cursor, isBefore } from "./lib/paging.ts";
import type { Catalogue } from "./lib/plans.ts";
import type { Agent, Conversation, Message } from "./lib/records.ts";
import type { Entitlements } from "./lib/subscription.ts";

const TIMEOUT_MS = 30_000;
/** One page of a conversation; PostgREST would silently cut a longer answer at its own maximum. */
export const MESSAGES_PER_PAGE = 60;
const CONVERSATIONS_SHOWN = 200;

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
// Shapes

/** bigint arrives as a number or, from some servers, as text. */
const count = z.coerce.number();
const time = z.pipe(z.nullish(z.string()), z.transform(parseTime));

const entitlementsSchema = z.object({
  plan: z.object({ id: z.string(), name: z.string(), rank: count }),
  source: z.string(),
  status: z.nullable(z.string()),
  features: z.array(z.string()),
  limits: z.record(z.string(), z.nullable(count)),
  subscription: z.nullable(z.object({
    id: z.string(),
    status: z.string(),
    price_lookup_key: z.nullable(z.string()),
    quantity: z.nullable(count),
    current_period_end: time,
    ends_at: time,
    trial_end: time,
  })),
});

const usageSchema = z.array(z.object({
  metric: z.string(),
  used: count,
  limit_value: z.nullable(count),
  resets_at: time,
  plan: z.string(),
}));

/** Checkout and the portal live at Stripe, or at the sandbox: any web address, nothing else. */
const redirectSchema = z.object({ url: z.url({ protocol: /^https?$/ }) });
const messageSchema = z.object({
  id: z.string(),
  conversation_id: z.string(),
  role: z.string(),
  content: z.string(),
  reply_to: z.nullable(z.string()),
  created_at: z.string(),
});

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
// Plans, entitlements, usage

/** Plans with limits, features and active prices, lowest first. Readable without an account. */
export async function getCatalogue(): Promise<Catalogue> {
  const [plans, features] = await Promise.all([
    rest(
      db().from("plans").select(
        "id,name,description,rank,is_default,plan_limits(metric_id,limit_value),plan_features(feature_id),prices(lookup_key,plan_id,currency,unit_amount_minor,billing_interval,is_active)",
      ).eq("is_public", true).order("rank"),
    ),
    rest(db().from("features").select("id,name,rank").order("rank")),
  ]);
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
      prices: plan.prices.filter((row) => row.is_active).map((row) => ({
        lookupKey: row.lookup_key,
        planId: row.plan_id,
        currency: row.currency,
        amountMinor: Number(row.unit_amount_minor),
        interval: row.billing_interval === "year" ? "year" as const : "month" as const,
      })),
    })),
  };
}

export async function getEntitlements(): Promise<Entitlements> {
  return toEntitlements(await rest(db().rpc("my_entitlements")));
}

function toEntitlements(value: unknown): Entitlements {
  const { subscription, ...rest } = understand(entitlementsSchema, value);
  return {
    ...rest,
    subscription: subscription && {
      id: subscription.id,
      status: subscription.status,
      priceLookupKey: subscription.price_lookup_key,
      quantity: subscription.quantity,
      currentPeriodEnd: subscription.current_period_end,
      endsAt: subscription.ends_at,
      trialEnd: subscription.trial_end,
    },
  };
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
  const rows = understand(usageSchema, await rest(db().rpc("my_usage")));
  return rows.map((row) => ({
    metric: row.metric,
    used: row.used,
    limit: row.limit_value,
    resetsAt: row.resets_at,
    plan: row.plan,
  }));
}

// ---------------------------------------------------------------------------------------------------
// Money: always a page of Stripe's, never a form of ours

export type PortalFlow = "cancel" | "update" | "payment_method";

/** Opens a Checkout session for a price of the catalogue and returns the address to go to. */
export async function openCheckout(lookupKey: string): Promise<string> {
  return (await call("checkout", { lookup_key: lookupKey }, redirectSchema)).url;
}

export async function openPortal(flow?: PortalFlow): Promise<string> {
  return (await call("portal", flow ? { flow } : {}, redirectSchema)).url;
}

/** Asks the server to fetch our present state from Stripe; answers what we are entitled to now. */
export async function syncBilling(): Promise<Entitlements> {
  const answer = await call("sync", {}, z.object({ entitlements: z.unknown() }));
  return toEntitlements(answer.entitlements);
}

// ---------------------------------------------------------------------------------------------------
// Conversations and messages

const CONVERSATION_COLUMNS = "id,title,updated_at";
const MESSAGE_COLUMNS = "id,conversation_id,role,content,reply_to,created_at";

function toConversation(row: { id: string; title: string; updated_at: string }): Conversation {
  return { id: row.id, title: row.title, updatedAt: parseTime(row.updated_at) ?? 0 };
}

function toMessage(row: z.infer<typeof messageSchema>): Message {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    role: row.role === "assistant" ? "assistant" : "user",
    content: row.content,
    replyTo: row.reply_to,
    createdAt: row.created_at,
  };
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
    z.object({ message: messageSchema }),
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
