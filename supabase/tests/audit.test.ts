/** The audit log under many connections. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { times, withPool } from "./people.ts";

interface Verdict {
  fault: unknown;
  next: number | null;
  head: { seq: number; hash: string };
}

async function verdict(sql: postgres.Sql): Promise<Verdict> {
  let after: number | null = null;
  while (true) {
    const [row]: { v: Verdict }[] = await sql<{ v: Verdict }[]>`
      select public.verify_audit(${after}) as v`;
    assert.ok(row);
    if (row.v.fault !== null || row.v.next === null) return row.v;
    after = row.v.next;
  }
}

Deno.test("four hundred audited commits at once make one chain without a gap, and none of them waits in a circle", async () => {
  await withPool(async (sql) => {
    const before = await verdict(sql);
    assert.equal(before.fault, null);
    const names = ["x-one", "x-two", "x-three", "x-four"];
    await sql`insert into billing.rate_limits
      select name, 'user', 1000000, 60 from unnest(${names}::text[]) name`;
    let rolledBack = 0;
    try {
      await times(400, async (index) => {
        await sql.begin(async (tx) => {
          // Each its own order of rows, most of them two.
          const first = names[index % 4] ?? "";
          await tx`update billing.rate_limits set burst = burst - 1 where name = ${first}`;
          if (index % 10 === 0) throw new Error("changed my mind");
          await tx`insert into billing.rate_limits values (${`y-${index}`}, 'user', 1, 1)`;
        }).catch((error) => {
          if (!(error instanceof Error) || error.message !== "changed my mind") throw error;
          rolledBack += 1;
        });
      });
      const after = await verdict(sql);
      assert.equal(after.fault, null);
      assert.equal(rolledBack, 40);
      assert.ok(after.head.seq - before.head.seq >= 4 + 2 * 360);
      const [known] = await sql<{ fault: string | null }[]>`
        select public.verify_audit(${before.head.seq}, 50000, ${before.head.seq}, ${before.head.hash})
          -> 'fault' ->> 'fault' as fault`;
      assert.equal(known?.fault, null);
    } finally {
      await sql`delete from billing.rate_limits where name like 'x-%' or name like 'y-%'`;
    }
  });
});

Deno.test("what is rolled back is not told", async () => {
  await withPool(async (sql) => {
    const subject = `rate_limit:z-${Date.now()}/user`;
    const name = subject.slice("rate_limit:".length, -"/user".length);
    await sql.begin(async (tx) => {
      await tx`insert into billing.rate_limits values (${name}, 'user', 1, 1)`;
      throw new Error("no");
    }).catch(() => {});
    const rows = await sql`select from billing.audit_log where subject = ${subject}`;
    assert.equal(rows.length, 0);
  });
});
