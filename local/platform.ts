import type postgres from "postgres";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import { LOCAL } from "./paths.ts";
import { connect, type Database } from "./postgres.ts";

/**
 * What a hosted project's database is before the first migration: roles, schemas, default grants, `auth`. Runs once per cluster;
 * each step leaves a mark, so that a start which was interrupted goes on where it stopped.
 * Returns false when the cluster was made by an older version of these files.
 */
export async function preparePlatform(database: Database, jwtSecret: string): Promise<boolean> {
  const sql = connect(database.adminUrl, { max: 1 });
  try {
    const wanted = await fingerprint();
    const marks = await readMarks(sql);
    if (!marks.has("roles")) await runOnce(sql, "roles", "1_roles.sql", wanted);
    if (!marks.has("auth")) {
      await createAuthSchema(database, jwtSecret);
      await runOnce(sql, "auth", "2_auth.sql", wanted);
    }
    return marks.size === 0 || [...marks.values()].every((mark) => mark === wanted);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function readMarks(sql: postgres.Sql): Promise<Map<string, string>> {
  await sql`create schema if not exists tollgate_platform`;
  await sql`create table if not exists tollgate_platform.steps (name text primary key, version text not null)`;
  const rows = await sql<{ name: string; version: string }[]>`
    select name, version from tollgate_platform.steps`;
  return new Map(rows.map((row) => [row.name, row.version]));
}

async function runOnce(
  sql: postgres.Sql,
  name: string,
  file: string,
  version: string,
): Promise<void> {
  const text = await Deno.readTextFile(`${LOCAL}/platform/${file}`);
  await sql.begin(async (transaction) => {
    await transaction.unsafe(text).simple();
    await transaction`insert into tollgate_platform.steps (name, version) values (${name}, ${version})`;
  });
}

/** The tables of `auth` are @supabase/lite's own, made by it and owned by the role Supabase uses. */
async function createAuthSchema(database: Database, jwtSecret: string): Promise<void> {
  const connection = createPostgresConnection({
    url: database.urlFor("supabase_auth_admin"),
    postgresOptions: { max: 1, onnotice: () => {} },
  });
  try {
    const app = new App({
      connection,
      auth: { enabled: true, jwt_secret: jwtSecret },
      // Migrations are the official CLI's business; its history tables must be its own.
      db: { migrations: { enabled: false } },
    });
    await app.ensureSystemSchema();
  } finally {
    await connection.close();
  }
}

async function fingerprint(): Promise<string> {
  const texts: string[] = [];
  for (const folder of ["platform", "extensions"]) {
    const names = [...Deno.readDirSync(`${LOCAL}/${folder}`)].map((entry) => entry.name).sort();
    for (const name of names) {
      if (!name.endsWith(".ts")) texts.push(await Deno.readTextFile(`${LOCAL}/${folder}/${name}`));
    }
  }
  const bytes = new TextEncoder().encode(texts.join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
