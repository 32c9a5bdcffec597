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

export type Functions = Database["public"]["Functions"];
export type Tables = Database["public"]["Tables"];

/** A client with the secret key, for callers that have proved themselves by other means than a Supabase key. */
export function adminClient(): Client {
  return createAdminClient<Database>();
}

/** The rows of a query, or an internal error: what the database refuses here is our own mistake, never the caller's. */
export async function rows<T>(answer: PromiseLike<PostgrestSingleResponse<T>>): Promise<T> {
  const { data, error } = await answer;
  if (error === null) return data;
  // Whatever they asked for: of somebody who is leaving the database refuses everything that may cost money.
  if (error.code === "account_deleted") throw new AppError("account_deleted", error.message);
  throw new AppError("internal_error", "Something went wrong on our side.", {
    cause: new Error(`postgres ${error.code}: ${error.message}`),
  });
}
