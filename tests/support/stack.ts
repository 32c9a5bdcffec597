import { readFileSync } from "node:fs";
import postgres from "postgres";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import Stripe from "stripe";
import type { Database } from "../../supabase/functions/_shared/database.types.ts";

/** What `stack.json` says about the stack the test run has started. */
export interface StackFile {
  web_url: string;
  api_url: string;
  db_url: string;
  stripe_url: string;
  inbox_url: string;
  publishable_key: string;
  secret_key: string;
  webhook_secret: string;
}

/** The stack that `tests/run.ts` started for this run; it never is the one of `npm start`. */
export function stack(): StackFile {
  const path = Deno.env.get("TEST_STACK");
  if (!path) throw new Error("TEST_STACK is not set: run the tests with `npm test`.");
  return JSON.parse(readFileSync(path, "utf8"));
}

/** A connection pool as the owner of the database, to look behind the API. The caller ends it. */
export function sql(
  options: postgres.Options<Record<string, postgres.PostgresType>> = {},
): postgres.Sql {
  return postgres(stack().db_url, { max: 4, onnotice: () => {}, ...options });
}

/** Stripe's SDK against the sandbox, as an operator would use it. */
export function stripe(): Stripe {
  const url = new URL(stack().stripe_url);
  return new Stripe(Deno.env.get("TEST_STRIPE_SECRET_KEY") ?? "sk_test_tollgate_sandbox", {
    apiVersion: "2026-10-28.endive",
    host: url.hostname,
    port: url.port,
    protocol: "http",
    httpClient: Stripe.createFetchHttpClient(),
    telemetry: false,
  });
}

export interface Person {
  id: string;
  email: string;
  password: string;
  token: string;
  client: SupabaseClient<Database>;
}

const PASSWORD = "correct horse battery staple";

/** Signs up a new person over HTTP, as the web client does. */
export async function signUp(name = "person"): Promise<Person> {
  const { api_url, publishable_key } = stack();
  const client = createClient<Database>(api_url, publishable_key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const email = `${name}-${crypto.randomUUID()}@example.com`;
  const { data, error } = await client.auth.signUp({ email, password: PASSWORD });
  if (error) throw error;
  if (!data.session || !data.user) throw new Error("sign-up gave no session");
  return { id: data.user.id, email, password: PASSWORD, token: data.session.access_token, client };
}

/** Somebody who has not signed in. */
export function stranger(): SupabaseClient<Database> {
  const { api_url, publishable_key } = stack();
  return createClient<Database>(api_url, publishable_key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

/** A raw request to the API, for what supabase-js hides: status, headers and body as they are. */
export async function request(
  path: string,
  init: {
    method?: string;
    token?: string | null;
    body?: unknown;
    headers?: Record<string, string>;
  } = {},
): Promise<{ status: number; headers: Headers; body: unknown; text: string }> {
  const { api_url, publishable_key } = stack();
  const response = await fetch(`${api_url}${path}`, {
    method: init.method ?? (init.body === undefined ? "GET" : "POST"),
    headers: {
      apikey: publishable_key,
      "content-type": "application/json",
      ...(init.token && { authorization: `Bearer ${init.token}` }),
      ...init.headers,
    },
    body: init.body === undefined
      ? undefined
      : typeof init.body === "string"
      ? init.body
      : JSON.stringify(init.body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parse(text), text };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Asks until the answer satisfies, at most `timeoutMs`; then fails with the last answer. */
export async function eventually<T>(
  ask: () => Promise<T>,
  satisfied: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = await ask();
  while (!satisfied(last)) {
    if (Date.now() > deadline) {
      throw new Error(`still not so after ${timeoutMs} ms: ${JSON.stringify(last)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
    last = await ask();
  }
  return last;
}
