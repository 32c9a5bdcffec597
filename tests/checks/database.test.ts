import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type postgres from "postgres";
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

/** Ends a transaction whose work is not to stay. */
class Undo extends Error {
  constructor(readonly found: boolean) {
    super("undo");
  }
}

/** Runs the query if its plan names the index. A scan counts also in a transaction that is undone. */
async function scans(db: postgres.ISql, index: string, query: string): Promise<boolean> {
  const plan = await db.unsafe(`explain ${query}`);
  if (!new RegExp(`\\b${index}\\b`).test(JSON.stringify(plan))) return false;
  await db.unsafe(query);
  return true;
}

async function dropRivals(db: postgres.ISql, index: string): Promise<void> {
  const rivals = await db<{ name: string; table: string; constraint: string | null }[]>`
    select r.indexrelid::regclass::text as name, r.indrelid::regclass::text as table,
      quote_ident(c.conname) as constraint
    from pg_index i join pg_class n on n.oid = i.indexrelid
    join pg_index r on r.indrelid = i.indrelid and r.indexrelid <> i.indexrelid
    left join pg_constraint c on c.conindid = r.indexrelid and c.contype in ('p', 'u', 'x')
    where n.relname = ${index}
      and not exists (select from pg_inherits h where h.inhrelid = r.indexrelid)`;
  for (const { name, table, constraint } of rivals) {
    await db.unsafe(
      constraint === null
        ? `drop index ${name}`
        : `alter table ${table} drop constraint ${constraint} cascade`,
    );
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
      if (await scans(db, name, query)) continue;
      // Of two that could serve, statistics choose. So it is asked again without the others, which come back at once.
      const served = await db.begin(async (transaction) => {
        await dropRivals(transaction, name);
        const found = await scans(transaction, name, query);
        throw new Undo(found);
      }).catch((error: unknown) => {
        if (error instanceof Undo) return error.found;
        throw error;
      });
      assert.ok(served, `${name} does not serve: ${query}`);
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
