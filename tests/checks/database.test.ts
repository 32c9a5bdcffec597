import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, npmBin, ROOT } from "../support/run.ts";
import { sql, stack } from "../support/stack.ts";

/** The official CLI, unmodified, against the stack's database; its own files stay out of the user's home. */
async function supabase(...args: string[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), "tollgate-cli-"));
  try {
    return await mustRun(npmBin("supabase"), args, {
      env: {
        HOME: home,
        PGSSLMODE: "disable",
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
      },
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Scans every index once, and fails for one that no plan would use. The advisor calls an index unused until it has been scanned,
 * which on a fresh database says nothing about the index; this does.
 */
async function scanEveryIndex(): Promise<void> {
  const db = sql({ max: 1 });
  try {
    const indexes = await db<
      { name: string; method: string; table: string; column: string; predicate: string | null }[]
    >`
      select c.relname as name, m.amname as method, i.indrelid::regclass::text as table,
        pg_get_indexdef(i.indexrelid, 1, true) as column, pg_get_expr(i.indpred, i.indrelid) as predicate
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
      where c.relnamespace in ('public'::regnamespace, 'billing'::regnamespace, 'billing_months'::regnamespace)
        and c.relkind = 'i' and not i.indisprimary`;
    assert.ok(indexes.length > 5);
    await db`set enable_seqscan = off`;
    await db`set enable_sort = off`;
    for (const { name, method, table, column, predicate } of indexes) {
      const query = method === "gin"
        ? `select 1 from ${table} where ${column} @@ 'word'::tsquery`
        : `select 1 from ${table} where ${column} is not null and (${
          predicate ?? "true"
        }) order by ${column}`;
      const plan = await db.unsafe(`explain ${query}`);
      assert.match(JSON.stringify(plan), new RegExp(name), `${name} does not serve: ${query}`);
      await db.unsafe(query);
    }
    await db`select pg_stat_force_next_flush()`;
  } finally {
    await db.end();
  }
}

Deno.test("the official advisors find nothing, not even at level info", async () => {
  await scanEveryIndex();
  await supabase(
    "db",
    "advisors",
    `--remote=${stack().db_url}`,
    "--level",
    "info",
    "--fail-on",
    "info",
  );
});

Deno.test("the committed types are the ones the schema generates", async () => {
  const generated = await supabase(
    "gen",
    "types",
    "typescript",
    `--remote=${stack().db_url}`,
    "--schema",
    "public",
  );
  const committed = readFileSync(`${ROOT}supabase/functions/_shared/database.types.ts`, "utf8");
  assert.equal(
    generated.trim(),
    committed.trim(),
    "run `npm run schema` and commit what it writes",
  );
});

Deno.test("every migration is applied, in order", async () => {
  const list = await supabase(
    "migration",
    "list",
    `--remote=${stack().db_url}`,
    "--output-format",
    "json",
  );
  assert.match(list, /20261122100000/);
});
