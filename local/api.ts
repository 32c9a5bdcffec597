import { App } from "@supabase/lite";
import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { Callers } from "./caller.ts";
import type { ProjectConfig } from "./config.ts";
import { connect, type Database } from "./postgres.ts";

/**
 * Auth and REST: two @supabase/lite apps over the one database, each with the role its counterpart has on Supabase. REST connects
 * as `authenticator`, which owns nothing, so that nothing it does on its own account can change a grant.
 */
export type Api = {
  auth: (request: Request) => Promise<Response>;
  rest: (request: Request) => Promise<Response>;
  stop: () => Promise<void>;
};

export type ApiOptions = {
  database: Database;
  config: ProjectConfig;
  jwtSecret: string;
  publishableKey: string;
  secretKey: string;
  apiUrl: string;
  siteUrl: string;
  log: (line: string) => void;
};

/**
 * @supabase/lite answers 500 where its driver will not take an argument, or where it has not foreseen a constraint's refusal.
 * PostgREST hands both to Postgres and answers 400: https://docs.postgrest.org/en/stable/references/errors.html
 */
async function asPostgrest(response: Response): Promise<Response> {
  if (response.status !== 500) return response;
  const text = await response.clone().text();
  const code = /violates check constraint/.test(text)
    ? "23514"
    : /ERR_INVALID_ARG_TYPE|insufficient data left in message|Maximum call stack/.test(text)
    ? "22P02"
    : null;
  if (code === null) return response;
  const message = code === "23514" ? "violates check constraint" : "invalid input syntax";
  return Response.json({ code, details: null, hint: null, message }, { status: 400 });
}

export async function startApi(options: ApiOptions): Promise<Api> {
  const auth = poolFor(options.database, "supabase_auth_admin", 5);
  const rest = poolFor(options.database, "authenticator", 20);
  trustTheMigrationsGrants(rest);
  const callers = new Callers(options);
  const authApp = newAuthApp(options, auth);
  const restApp = newRestApp(options, rest, callers);
  const loud = quietDatabaseErrors(options.log);
  await Promise.all([authApp.init(), restApp.init()]);
  const listener = await reloadSchemaOnNotify(options.database, rest);
  return {
    auth: async (request) => await authApp.fetch(request),
    rest: async (request) => {
      const identified = await callers.identify(request);
      return identified instanceof Response
        ? identified
        : await asPostgrest(await restApp.fetch(identified));
    },
    stop: async () => {
      loud();
      await listener.end({ timeout: 1 });
      await Promise.all([auth, rest].map((pool) => pool.driver.end({ timeout: 2 })));
    },
  };
}

function poolFor(database: Database, role: string, max: number): PostgresConnection {
  return createPostgresConnection({
    url: database.urlFor(role),
    postgresOptions: {
      max,
      onnotice: () => {},
      types: { json: jsonType(114), jsonb: jsonType(3802) },
      connection: { application_name: `tollgate ${role}` },
    },
  });
}

/**
 * lite hands the arguments of an RPC and the values of json columns to the driver as JSON text, and the driver's own serializer
 * would make a JSON string of that text: `p_list jsonb` would arrive as "[1,2]" in quotes. So JSON text passes as it is; what is not
 * JSON was a plain string. (A string that looks like JSON, such as "5", arrives as what it looks like.)
 */
function jsonType(oid: number) {
  return {
    to: oid,
    from: [oid],
    serialize: (value: unknown) => isJsonText(value) ? value : JSON.stringify(value),
    parse: (value: string): unknown => JSON.parse(value),
  };
}

function isJsonText(value: unknown): value is string {
  if (typeof value !== "string") return false;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

function newRestApp(
  { config: { api } }: ApiOptions,
  connection: PostgresConnection,
  callers: Callers,
) {
  return new App({
    connection,
    api: { enabled: true, schemas: api.schemas, max_rows: api.max_rows },
    auth: { enabled: false },
    db: { migrations: { enabled: false } },
    studio: { enabled: false },
    options: {
      server: { admin: false, disableStudio: true, apiKeys: { resolver: callers.resolve } },
    },
  });
}

function newAuthApp(options: ApiOptions, connection: PostgresConnection) {
  const { auth } = options.config;
  return new App({
    connection,
    auth: {
      enabled: true,
      jwt_secret: options.jwtSecret,
      jwt_expiry: auth.jwt_expiry,
      publishable_key: options.publishableKey,
      secret_key: options.secretKey,
      site_url: options.siteUrl,
      additional_redirect_urls: auth.additional_redirect_urls,
      enable_signup: auth.enable_signup,
      minimum_password_length: auth.minimum_password_length,
      enable_refresh_token_rotation: auth.enable_refresh_token_rotation,
      refresh_token_reuse_interval: auth.refresh_token_reuse_interval,
      email: {
        enable_signup: auth.email.enabled,
        enable_confirmations: auth.email.enable_confirmations,
      },
    },
    db: { migrations: { enabled: false } },
    studio: { enabled: false },
    options: { server: { admin: false, disableStudio: true } },
  });
}

/** Refusals a policy, a constraint or a trigger meant: they are the caller's answer, not news for the terminal. */
const MEANT = /^(42501|PGRST|PT\d{3}|P0001|2[23]\w{3})$/;

/** lite prints every error of the database as an object; what is worth a developer's eye is one line. Returns the undoing. */
function quietDatabaseErrors(log: (line: string) => void): () => void {
  const original = console.error;
  console.error = (...values: unknown[]) => {
    const [first] = values;
    if (!(first instanceof postgres.PostgresError)) original(...values);
    else if (!MEANT.test(first.code)) log(`rest: ${first.code} ${first.message}`);
  };
  return () => {
    console.error = original;
  };
}

/**
 * On its first request lite grants ALL on every table of a schema with row security to anon, authenticated and service_role. That
 * would undo the migrations' own revokes, which is the very thing to be tested here; telling it that it has been done is the only
 * way to stop it. (As `authenticator` it could not do it anyway, but would fail every request trying.)
 */
function trustTheMigrationsGrants(connection: PostgresConnection): void {
  if (!Reflect.has(connection, "rlsState")) {
    throw new Error("@supabase/lite changed: look at how it sets up row security before going on.");
  }
  Reflect.set(connection, "rlsState", "active");
}

/** As PostgREST does: an event trigger announces every change of the schema. */
async function reloadSchemaOnNotify(database: Database, connection: PostgresConnection) {
  const listener = connect(database.adminUrl, { max: 1, idle_timeout: 0 });
  await listener.listen("pgrst", (payload) => {
    if (payload === "" || payload.startsWith("reload")) void connection.clearSchemaCache();
  });
  return listener;
}
