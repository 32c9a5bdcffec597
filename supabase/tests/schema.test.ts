import assert from "node:assert/strict";
import postgres from "postgres";
import { databaseUrl } from "./database.ts";
import { dumpSchema, SCHEMA_FILE } from "./schema.ts";

/** Privileges and the catalogue of another major version print differently. */
async function isMajor(version: number): Promise<boolean> {
  const sql = postgres(databaseUrl(), { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql<
      { version: string }[]
    >`select current_setting('server_version_num') as version`;
    return Math.floor(Number(row?.version) / 10_000) === version;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

Deno.test("supabase/schema.sql is what the migrations make", async () => {
  if (!(await isMajor(17))) return;
  assert.equal(
    await dumpSchema(databaseUrl()),
    await Deno.readTextFile(SCHEMA_FILE),
    "run `deno run -A supabase/tests/schema.ts` and commit supabase/schema.sql",
  );
});
