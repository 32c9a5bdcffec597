import { createAdminClient } from "@supabase/server/core";
import type { PostgrestSingleResponse, SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../database.types.ts";
import { AppError } from "../domain/errors.ts";

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

/** Where the API serves our objects from; another one in a project that took Tollgate in (docs/adopt.md). */
const SCHEMA = "public";

export type Functions = Database[typeof SCHEMA]["Functions"];
export type Tables = Database[typeof SCHEMA]["Tables"];

/** A client with the secret key, for callers that have proved themselves by other means than a Supabase key. */
export function adminClient(trace: Trace): Client {
  return createAdminClient<Database>({ supabaseOptions: traced(trace) });
}

/** What the database is told of a request beside its key: the audit log says it with every change. */
export interface Trace {
  requestId: string;
  /** Whose call it is. Believed only from the secret key, and known only once the caller is verified. */
  userId?: string;
}

/** Options for a client that says on whose behalf it asks, as far as that is known at that moment. */
export function traced(
  trace: Trace,
): { db: { schema: typeof SCHEMA }; global: { fetch: typeof fetch } } {
  return {
    db: { schema: SCHEMA },
    global: {
      fetch: (input, init) => {
        const headers = new Headers(init?.headers);
        headers.set("x-request-id", trace.requestId);
        if (trace.userId !== undefined) headers.set("x-on-behalf-of", trace.userId);
        return fetch(input, { ...init, headers });
      },
    },
  };
}

/** The rows of a query, or an internal error: what the database refuses here is our own mistake, never the caller's. */
export async function rows<T>(answer: PromiseLike<PostgrestSingleResponse<T>>): Promise<T> {
  const { data, error } = await answer;
  if (error === null) return data;
  // An access token outlives its user by up to an hour.
  if (error.code === "23503" && /not present in table "users"/.test(error.details ?? "")) {
    throw new AppError("unauthorized", "This account does not exist any more.");
  }
  // Whatever they asked for: of somebody who is leaving the database refuses everything that may cost money.
  if (error.code === "account_deleted") throw new AppError("account_deleted", error.message);
  // While a restored backup converges, whoever must report usage first comes again later.
  if (error.code === "usage_held") throw new AppError("usage_held", error.message);
  throw new AppError("internal_error", "Something went wrong on our side.", {
    cause: new Error(`postgres ${error.code}: ${error.message}`),
  });
}
