import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import postgres from "postgres";
import { ROOT } from "../support/run.ts";
import { sql } from "../support/stack.ts";
import { plantExamples } from "../support/examples.ts";

/**
 * Every block of SQL in the documentation is run, so that none rots:
 *
 * - ` ```sql ` is a question: it runs in a read-only transaction, as an operator would ask it;
 * - ` ```sql writes ` changes something: it runs in a transaction that is rolled back, over rows made for it;
 * - ` ```sql grafana ` is a panel: its macros are replaced as Grafana replaces them, and a role that `billing.allow_monitor` let in
 *   runs it;
 * - ` ```sql by hand ` cannot run in a transaction, or needs what no test has; there are few.
 *
 * What a reader replaces stands in angle brackets or ends in `…`.
 */
interface Block {
  file: string;
  line: number;
  kind: string;
  text: string;
}

const DOCS = ["docs/operations.md", "docs/grafana.md", "docs/local.md"];

const BLOCKS = DOCS.flatMap((file) => blocksOf(file, readFileSync(`${ROOT}${file}`, "utf8")));
const KINDS = ["", "writes", "grafana", "by hand"];
const MONITOR = "monitor_of_docs";

function blocksOf(file: string, text: string): Block[] {
  return Array.from(text.matchAll(/^( *)```sql(.*)\n([\s\S]*?)^\1```$/gm), (match) => ({
    file,
    line: text.slice(0, match.index).split("\n").length,
    kind: (match[2] ?? "").trim(),
    text: match[3] ?? "",
  }));
}

/** What stands for the reader's own in the examples. */
function filled(text: string, examples: Record<string, string>): string {
  const known = text.replaceAll(/<[a-z]+(?:[- ][a-z]+)*>|\w+_…/g, (name) => {
    const value = examples[name];
    assert.ok(value !== undefined, `no example stands for ${name}`);
    return value;
  });
  return known.replaceAll("…", "");
}

/** As Grafana does it for Postgres: grafana.com/docs/grafana/latest/datasources/postgres/query-editor. */
function withoutMacros(text: string): string {
  return text
    .replaceAll(
      /\$__timeFilter\(([^)]+)\)/g,
      "$1 between '2026-01-01T00:00:00Z' and '2027-01-01T00:00:00Z'",
    )
    .replaceAll(
      /\$__timeGroupAlias\(([^,]+),\s*'?(\w+)'?\)/g,
      'floor(extract(epoch from $1) / 3600) * 3600 as "time"',
    )
    .replaceAll(/\$__timeFrom\(\)/g, "'2026-01-01T00:00:00Z'")
    .replaceAll(/\$__timeTo\(\)/g, "'2027-01-01T00:00:00Z'");
}

class Rollback extends Error {}

async function inVain(
  db: postgres.Sql,
  work: (transaction: postgres.TransactionSql) => Promise<void>,
): Promise<void> {
  await db.begin(async (transaction) => {
    await work(transaction);
    throw new Rollback();
  }).catch((error) => {
    if (!(error instanceof Rollback)) throw error;
  });
}

Deno.test("every block of SQL in the documentation runs", async (t) => {
  const strange = BLOCKS.filter(({ kind }) => !KINDS.includes(kind));
  assert.deepEqual(strange, []);
  const count = (kind: string) => BLOCKS.filter((block) => block.kind === kind).length;
  assert.ok(count("") >= 25 && count("writes") >= 12 && count("grafana") >= 10);
  assert.ok(count("by hand") <= 3);
  const db = sql({ max: 1 });
  try {
    for (const block of BLOCKS.filter(({ kind }) => kind !== "by hand")) {
      await t.step(`${block.file}:${block.line} ${block.kind}`, () => runBlock(db, block));
    }
  } finally {
    await db.end();
  }
});

async function runBlock(db: postgres.Sql, { kind, text }: Block): Promise<void> {
  await inVain(db, async (transaction) => {
    const examples = await plantExamples(transaction);
    if (kind === "grafana") {
      await transaction.unsafe(`create role ${MONITOR}; grant ${MONITOR} to postgres`);
      await transaction`select billing.allow_monitor(${MONITOR}::regrole)`;
      await transaction.unsafe(`set local role ${MONITOR}`);
    }
    // Planted rows are of this transaction, so it becomes read-only only now.
    if (kind !== "writes") await transaction`set local transaction_read_only to on`;
    await transaction.unsafe(withoutMacros(filled(text, examples))).simple();
  });
}

Deno.test("a query of the documentation that is wrong would be found", async () => {
  const db = sql({ max: 1 });
  const wrong: [string, string, RegExp][] = [
    ["", "select no_such_column from billing.problems", /no_such_column/],
    ["", "delete from billing.problems", /read-only transaction/],
    ["grafana", "select * from billing.problems", /permission denied/],
    [
      "grafana",
      "select * from public.customers where $__timeFilter(created_at)",
      /permission denied/,
    ],
    ["writes", "select billing.retry_usage(0)", /is not parked/],
    ["", "select '<nobody>'", /no example/],
  ];
  try {
    for (const [kind, text, reason] of wrong) {
      await assert.rejects(runBlock(db, { file: "", line: 0, kind, text }), reason, text);
    }
  } finally {
    await db.end();
  }
});

Deno.test("who monitors reads numbers, and nothing of anybody", async () => {
  const db = sql({ max: 1 });
  try {
    await inVain(db, async (transaction) => {
      await transaction.unsafe(`create role ${MONITOR}; grant ${MONITOR} to postgres`);
      await transaction`select billing.allow_monitor(${MONITOR}::regrole)`;
      const readable = await transaction<{ name: string; columns: string[] }[]>`
        select c.oid::regclass::text as name, array_agg(a.attname::text) as columns
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace in ('public'::regnamespace, 'billing'::regnamespace, 'auth'::regnamespace)
          and c.relkind in ('r', 'v', 'p', 'm')
          and has_table_privilege(${MONITOR}, c.oid, 'select, insert, update, delete')
        group by 1 order by 1`;
      assert.ok(readable.length >= 9);
      for (const { name, columns } of readable) {
        assert.match(name, /^billing\.(health|monitor_\w+)$/);
        assert.deepEqual(
          columns.filter((column) =>
            /user|customer|email|_id$/.test(column) && !/^(plan|metric)_id$/.test(column)
          ),
          [],
          name,
        );
      }
      const [runs] = await transaction<{ of: string }[]>`
        select count(*) as of from billing.monitor_runs`;
      await transaction.unsafe(`set local role ${MONITOR}`);
      const [theirs] = await transaction<{ of: string }[]>`
        select count(*) as of from billing.monitor_runs`;
      assert.equal(theirs?.of, runs?.of);
    });
    await assert.rejects(db`select billing.allow_monitor('anon')`, /a role of its own/);
  } finally {
    await db.end();
  }
});
