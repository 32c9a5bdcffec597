/** The limits under many connections. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { times, withPool } from "./people.ts";

async function withLimit(
  sql: postgres.Sql,
  limit: { name: string; scope: "user" | "address"; burst: number },
  work: () => Promise<void>,
): Promise<void> {
  await sql`insert into billing.rate_limits ${sql({ ...limit, period_seconds: 86_400 })}`;
  try {
    await work();
  } finally {
    await sql`delete from billing.rate_limits where name = ${limit.name}`;
  }
}

async function take(sql: postgres.Sql, name: string, user: string, address: string | null) {
  const [row] = await sql<{ wait: number }[]>`
    select public.take_rate(${name}, ${user}, ${address}) as wait`;
  return row?.wait ?? -1;
}

Deno.test("a thousand calls at once against a burst of twenty admit exactly twenty", async () => {
  await withPool(async (sql) => {
    await withLimit(sql, { name: "parallel-user", scope: "user", burst: 20 }, async () => {
      const user = crypto.randomUUID();
      const waits = await times(1000, () => take(sql, "parallel-user", user, null));
      assert.equal(waits.filter((wait) => wait === 0).length, 20);
      assert.ok(
        waits.every((wait) => wait === 0 || (wait > 4000 && wait <= 4330)),
        `${new Set(waits)}`,
      );
    });
  });
});

Deno.test("a thousand people of one address have together what it has, while rows are pruned", async () => {
  await withPool(async (sql) => {
    await withLimit(sql, { name: "parallel-address", scope: "address", burst: 50 }, async () => {
      const waits = await times(1000, async (index) => {
        if (index % 50 === 0) await sql`select billing.prune_rate_buckets()`;
        return await take(sql, "parallel-address", crypto.randomUUID(), "192.0.2.1");
      });
      assert.equal(waits.filter((wait) => wait === 0).length, 50);
    });
  });
});
