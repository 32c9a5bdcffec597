/**
 * The connection: the one place of the web client that talks to the network. An answer is a value in a
 * shape that is understood, or one `ApiError`.
 */

import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import * as z from "zod/mini";
import type { Database } from "../../../supabase/functions/_shared/database.types.ts";
import { requireEnv } from "../env.ts";
import { reportReachable, reportUnreachable } from "../lib/connectivity.ts";
import { ApiError, fromFunction, fromNetwork, fromRest } from "../lib/errors.ts";

const TIMEOUT_MS = 30_000;

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
export function db(): SupabaseClient<Database> {
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
export async function rest<T>(
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
export function understand<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new ApiError("unexpected_shape", `The server answered in a shape we do not know: ${where}`);
}

/** Calls an Edge Function; its error body is read here because supabase-js only says "non-2xx". */
export async function call<T>(
  name: string,
  body: Record<string, unknown>,
  schema: z.ZodMiniType<T>,
) {
  return understand(schema, await invoke(name, body));
}

/** The same, for an answer that is a document of its own. */
export async function download(name: string, body: Record<string, unknown>): Promise<Blob> {
  const text = JSON.stringify(await invoke(name, body), null, 2);
  return new Blob([text], { type: "application/json" });
}

async function invoke(name: string, body: Record<string, unknown>): Promise<unknown> {
  const { data, error } = await db().functions.invoke(name, { body });
  if (!error) return data;
  if (!(error instanceof FunctionsHttpError)) throw fromNetwork(error.context ?? error);
  const response: Response = error.context;
  throw fromFunction(response.status, await response.json().catch(() => null));
}
