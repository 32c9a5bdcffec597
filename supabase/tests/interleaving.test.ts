/**
 * The races between caching an allowance and changing it, one step at a time: one transaction is held open while the
 * other runs into it. Luck plays no part, as it does in concurrency.test.ts.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  agree,
  as,
  counter,
  createPerson,
  meter,
  type Outcome,
  type Person,
  snapshot,
  subscribe,
  withPool,
} from "./people.ts";

type Step = (tx: postgres.Sql | postgres.TransactionSql) => Promise<unknown>;

/** Holds `first` open until `second`, started after it, waits for it (or is done); then lets both finish. */
async function interleave(sql: postgres.Sql, first: Step, second: Step): Promise<void> {
  let pending: Promise<unknown> = Promise.resolve();
  await sql.begin(async (tx) => {
    await first(tx);
    await tx`reset role`;
    let done = false;
    pending = second(sql).finally(() => done = true);
    pending.catch(() => {});
    for (let tries = 0; tries < 100 && !done && !(await somebodyWaits(sql)); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  await pending;
}

async function somebodyWaits(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql<{ waiting: boolean }[]>`
    select exists (
      select from pg_locks l join pg_stat_activity a using (pid)
      where not l.granted and a.datname = current_database()
    ) as waiting`;
  return row?.waiting ?? false;
}

/** A first message, written by the backend, so that it can share a transaction with the test's own statements. */
function firstMessage(person: Person): Step {
  return (tx) =>
    tx`insert into public.messages (conversation_id, user_id, role, content)
      values (${person.conversation}, ${person.id}, 'user', 'Hello')`;
}

function entitle(person: Person, plan: string): Step {
  return (tx) =>
    tx`insert into public.entitlements (user_id, plan_id, source)
      values (${person.id}, ${plan}, 'subscription')`;
}

function changeLimit(limit: number): Step {
  return (tx) =>
    tx`update public.plan_limits set limit_value = ${limit}
      where plan_id = 'free' and metric_id = 'message'`;
}

async function allowance(sql: postgres.Sql, person: Person): Promise<number> {
  const [row] = await sql<{ allowance: number }[]>`
    select allowance::int from billing.usage_counters
    where user_id = ${person.id} and metric_id = 'message'`;
  return row?.allowance ?? -1;
}

Deno.test("a subscription that begins during the first message is not lost", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await interleave(sql, firstMessage(person), () => subscribe(sql, person, "pro_monthly"));
    assert.equal(await allowance(sql, person), 500);
  });
});

Deno.test("a first message that arrives during the change of an entitlement finds the new one", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await interleave(sql, entitle(person, "pro"), firstMessage(person));
    assert.equal(await allowance(sql, person), 500);
  });
});

Deno.test("an entitlement that ends during the first message has ended", async () => {
  await withPool(async (sql) => {
    for (const order of ["message first", "end first"]) {
      const person = await createPerson(sql);
      await entitle(person, "pro")(sql);
      // As if the metric were newer than the entitlement: there is no counter yet.
      await sql`delete from billing.usage_counters where user_id = ${person.id}`;
      const end: Step = (tx) => tx`delete from public.entitlements where user_id = ${person.id}`;
      const steps: [Step, Step] = order === "message first"
        ? [firstMessage(person), end]
        : [end, firstMessage(person)];
      await interleave(sql, ...steps);
      assert.equal(await allowance(sql, person), 50, order);
    }
  });
});

Deno.test("a limit that changes during the first message is the new limit", async () => {
  await withPool(async (sql) => {
    try {
      for (const order of ["message first", "change first"]) {
        const person = await createPerson(sql);
        const limit = order === "message first" ? 51 : 52;
        const steps: [Step, Step] = order === "message first"
          ? [firstMessage(person), changeLimit(limit)]
          : [changeLimit(limit), firstMessage(person)];
        await interleave(sql, ...steps);
        assert.equal(await allowance(sql, person), limit, order);
      }
    } finally {
      await changeLimit(50)(sql);
    }
  });
});

Deno.test("a limit and an entitlement that change at once agree in the end", async () => {
  await withPool(async (sql) => {
    try {
      const person = await createPerson(sql);
      await entitle(person, "pro")(sql);
      const end: Step = (tx) => tx`delete from public.entitlements where user_id = ${person.id}`;
      await interleave(sql, end, changeLimit(53));
      assert.equal(await allowance(sql, person), 53);
      await interleave(sql, changeLimit(54), entitle(person, "business"));
      assert.equal(await allowance(sql, person), 2000);
      await interleave(sql, changeLimit(55), end);
      assert.equal(await allowance(sql, person), 55);
    } finally {
      await changeLimit(50)(sql);
    }
  });
});

Deno.test("a refusal waits for the message before it, and takes its place when that one fails", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await firstMessage(person)(sql);
    await sql`update billing.usage_counters set used = 49 where user_id = ${person.id}`;
    let outcome = "";
    const last = () =>
      as(sql, person, (tx) =>
        tx`insert into public.messages (conversation_id, role, content)
        values (${person.conversation}, 'user', 'Hello')`).then((result) => outcome = result);
    await interleave(sql, firstMessage(person), last);
    assert.equal(outcome, "refused");
    await sql`update billing.usage_counters set used = 49 where user_id = ${person.id}`;
    await interleave(sql, async (tx) => {
      await tx`savepoint before`;
      await firstMessage(person)(tx);
      await tx`rollback to savepoint before`;
    }, last);
    assert.equal(outcome, "written");
  });
});

Deno.test("the catalogue is not changed under repeatable read", async () => {
  await withPool(async (sql) => {
    await assert.rejects(
      sql.begin("isolation level repeatable read", (tx) => changeLimit(50)(tx)),
      /read committed only/,
    );
  });
});

/** Somebody whose next message is the first beyond the allowance. */
async function payer(sql: postgres.Sql, capMinor: number): Promise<Person> {
  const person = await createPerson(sql);
  await meter(sql, person);
  await agree(sql, person, capMinor);
  await firstMessage(person)(sql);
  await sql`update billing.usage_counters set used = 500 where user_id = ${person.id} and metric_id = 'message'`;
  return person;
}

function tried(step: Step): { step: Step; outcome: () => Outcome } {
  let outcome: Outcome = "written";
  return {
    step: (tx) =>
      Promise.resolve(step(tx)).catch((error) => {
        if (error.code !== "PGRST") throw error;
        outcome = "refused";
      }),
    outcome: () => outcome,
  };
}

async function ledger(
  sql: postgres.Sql,
  person: Person,
): Promise<{ quantity: number; claimed: number }> {
  const [row] = await sql<{ quantity: number; claimed: number }[]>`
    select coalesce(sum(quantity), 0)::int as quantity, coalesce(sum(claimed), 0)::int as claimed
    from billing.overage_usage where user_id = ${person.id}`;
  assert.ok(row);
  return row;
}

Deno.test("a claim leaves alone what is being written, and one for an invoice waits for it", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 1000);
    await firstMessage(person)(sql);
    await interleave(sql, firstMessage(person), (tx) => tx`select public.claim_usage()`);
    assert.deepEqual(await ledger(sql, person), { quantity: 2, claimed: 0 });
    const customer = `cus_${person.id.replaceAll("-", "")}`;
    await interleave(
      sql,
      firstMessage(person),
      (tx) => tx`select public.claim_usage(100, ${customer})`,
    );
    assert.deepEqual(await ledger(sql, person), { quantity: 3, claimed: 3 });
    await interleave(
      sql,
      (tx) => tx`select public.claim_usage(100, ${customer})`,
      firstMessage(person),
    );
    assert.deepEqual(await ledger(sql, person), { quantity: 4, claimed: 3 });
    await sql`update billing.usage_outbox set status = 'sent', sent_at = now() where user_id = ${person.id}`;
  });
});

Deno.test("two claims at once make one row of one unit", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 1000);
    await firstMessage(person)(sql);
    const customer = `cus_${person.id.replaceAll("-", "")}`;
    const claim: Step = (tx) => tx`select public.claim_usage(100, ${customer})`;
    await interleave(sql, claim, claim);
    const rows =
      await sql`select quantity::int, sequence from billing.usage_outbox where user_id = ${person.id}`;
    assert.deepEqual(rows.map((row) => [row["quantity"], row["sequence"]]), [[1, 1]]);
    await sql`update billing.usage_outbox set status = 'sent', sent_at = now() where user_id = ${person.id}`;
  });
});

Deno.test("a cap that is lowered during a message counts for the next", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 1000);
    await interleave(sql, firstMessage(person), () => agree(sql, person, 2));
    const next = tried(firstMessage(person));
    await next.step(sql);
    assert.equal(next.outcome(), "refused");
    assert.equal((await ledger(sql, person)).quantity, 1);
  });
});

Deno.test("a message that waits for the one before it finds the cap as that one left it", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 2);
    const second = tried(firstMessage(person));
    await interleave(sql, firstMessage(person), second.step);
    assert.equal(second.outcome(), "refused");
    assert.deepEqual(
      [(await ledger(sql, person)).quantity, await counter(sql, "message", person)],
      [1, 501],
    );
  });
});

Deno.test("a message that arrives during the end of the subscription is not charged", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 1000);
    const [row] = await sql<{ token: string }[]>`select public.next_sync_token() as token`;
    const message = tried(firstMessage(person));
    const end: Step = (tx) =>
      tx`select public.apply_customer_snapshot(${`cus_${person.id.replaceAll("-", "")}`}, ${
        row?.token ?? ""
      }, '[]')`;
    await interleave(sql, end, message.step);
    assert.equal(message.outcome(), "refused");
    assert.equal((await ledger(sql, person)).quantity, 0);
    await snapshot(
      sql,
      person,
      (await sql<{ token: string }[]>`select public.next_sync_token() as token`)[0]?.token ?? "",
      null,
    );
  });
});

Deno.test("a period that rolls over during a snapshot is the snapshot's, and nothing is counted twice", async () => {
  await withPool(async (sql) => {
    const person = await payer(sql, 1000);
    await firstMessage(person)(sql);
    await sql`update billing.overage_accounts set period_end = now() where user_id = ${person.id}`;
    await interleave(sql, firstMessage(person), () => meter(sql, person));
    const [account] = await sql<{ spent: number; first: boolean }[]>`
      select a.spent_minor::int as spent, a.period_start = min(u.period_start) as first
      from billing.overage_accounts a join billing.overage_usage u using (user_id)
      where user_id = ${person.id} group by a.user_id`;
    // The one of the rolled period stays where it was written; the account is where Stripe says it is.
    assert.deepEqual(account, { spent: 2, first: true });
    assert.equal((await ledger(sql, person)).quantity, 2);
  });
});

Deno.test("of two prices asked for at once each gets an attempt of its own", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const begin = async (tx: postgres.Sql | postgres.TransactionSql, key: string) => {
      const [row] = await tx<{ attempt: number }[]>`
        select public.begin_checkout(${person.id}, ${key})::int as attempt`;
      return row?.attempt;
    };
    assert.equal(await begin(sql, "pro_monthly"), 1);
    let [business, pro]: (number | undefined)[] = [];
    await interleave(
      sql,
      async (tx) => business = await begin(tx, "business_monthly"),
      async (other) => pro = await begin(other, "pro_monthly"),
    );
    assert.deepEqual([business, pro], [2, 3]);
    assert.equal(await begin(sql, "pro_monthly"), 3);
  });
});
