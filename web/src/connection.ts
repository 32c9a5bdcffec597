/** The app's own connection to its Supabase project: the one place of the web client that talks to the network. */

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { requireEnv } from "./env.ts";
import { reportReachable, reportUnreachable } from "./lib/connectivity.ts";

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

let connection: SupabaseClient | null = null;

/**
 * Made when the app is drawn, so that a build without settings can still show what is missing; and once, since two would
 * refresh the same session against each other.
 */
export function ownConnection(): SupabaseClient {
  if (connection) return connection;
  const { supabaseUrl, publishableKey } = requireEnv();
  connection = createClient(supabaseUrl, publishableKey, {
    global: { fetch: watchedFetch },
    // Repeats are TanStack Query's: two layers of them would multiply the wait before an error shows.
    db: { retry: false },
  });
  return connection;
}
