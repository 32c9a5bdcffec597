/**
 * The connection: whose client it is, the app says (`TollgateProvider`). An answer is a value in a shape that is
 * understood, or one `ApiError`.
 */

import { FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import * as z from "zod/mini";
import type { Database } from "../../../supabase/functions/_shared/database.types.ts";
import { ApiError, fromFunction, fromNetwork, fromRest } from "../lib/errors.ts";

export interface Connection {
  /** Signed in or not; the app's own. */
  client: SupabaseClient;
  /** Where the API has our objects, if not in `public`: what `npm run adopt` made. */
  schema?: string;
  /** What stands before the names of our Edge Functions, if anything does. */
  functionsPrefix?: string;
}

let connection: Connection | null = null;

/** One for all of the page, as there is one person in front of it. */
export function connect(to: Connection): void {
  connection = to;
}

function connected(): Connection {
  if (!connection) throw new Error("There is no TollgateProvider around this.");
  return connection;
}

/** Tables and functions of ours. */
export function db(): Pick<SupabaseClient<Database>, "from" | "rpc"> {
  const { client, schema } = connected();
  return schema === undefined ? client : client.schema(schema);
}

export function auth(): SupabaseClient["auth"] {
  return connected().client.auth;
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
  const { client, functionsPrefix = "" } = connected();
  const { data, error } = await client.functions.invoke(`${functionsPrefix}${name}`, { body });
  if (!error) return data;
  if (!(error instanceof FunctionsHttpError)) throw fromNetwork(error.context ?? error);
  const response: Response = error.context;
  throw fromFunction(response.status, await response.json().catch(() => null));
}
