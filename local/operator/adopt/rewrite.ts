/**
 * Our own files as they are in another project: what the API serves is in a schema of its own, so that no table, view or
 * function of the application can be in the way, and ours in none of its. Pure.
 */
export interface Naming {
  /** Takes the place of `public`. */
  schema: string;
  /** Stands before the name of every Edge Function; empty when none of them is taken. */
  prefix: string;
}

/** Supabase's, Postgres's and our private ones: making ours there would mix them, and taking ours out would take them along. */
const RESERVED = new Set([
  ...["public", "auth", "storage", "realtime", "extensions", "vault", "graphql", "graphql_public"],
  ...["cron", "net", "pgbouncer", "pgmq", "pgmq_public", "pgsodium", "pgsodium_masks", "pgtle"],
  ...["supabase_functions", "supabase_migrations", "information_schema", "postgrest"],
  ...["billing", "billing_months"],
]);

/** It stands in SQL as it is, so nothing that would have to be quoted. */
export function isSchemaName(name: string): boolean {
  return /^[a-z][a-z0-9_]{0,39}$/.test(name) && !name.startsWith("pg_") && !RESERVED.has(name);
}

export function isPrefix(prefix: string): boolean {
  return /^([a-z][a-z0-9-]{0,30}-)?$/.test(prefix);
}

/** What our functions share; the CLI deploys no folder with an underscore before its name. */
export const SHARED = "_tollgate";

/**
 * Right in a project that is only ours: every function that anybody makes from now on is closed to PUBLIC. In somebody else's it
 * would close theirs. Ours are closed by name as well.
 */
const GLOBAL_DEFAULT =
  /^-- Without a schema:[^\n]*\nalter default privileges revoke execute on functions from public;\n\n/m;

export function rewriteSql(text: string, { schema, prefix }: Naming): string {
  return text
    .replace(GLOBAL_DEFAULT, "")
    .replace(/(?<![\w."$])public\.(?=\S)/g, `${schema}.`)
    .replace(/\bschema public\b/g, `schema ${schema}`)
    .replaceAll("'/functions/v1/'", `'/functions/v1/${prefix}'`);
}

export function rewriteTypeScript(text: string, { schema }: Naming): string {
  return text
    .replace(/(["'])public\1/g, `"${schema}"`)
    .replace(/(["'])\.\.\/_shared\//g, `$1../${SHARED}/`);
}

/** The schema is made first, and clients may look into it: what they may do there, every object says for itself. */
export function schemaMigration({ schema }: Naming): string {
  return `-- Tollgate's API. Its private side is in the schemas billing and billing_months.

create schema ${schema};

comment on schema ${schema} is 'Tollgate: plans, entitlements, usage and money, for clients. Exposed by the API.';

revoke all on schema ${schema} from public;
grant usage on schema ${schema} to anon, authenticated, service_role;
`;
}
