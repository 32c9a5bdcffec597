/** Paying beyond the allowance under many connections: the cap, the ledger and the outbox stay exact. */
import assert from "node:assert/strict";
import postgres from "postgres";
import {
  agree,
  as,
  ask,
  counted,
  counter,
  createPerson,
  meter,
  type Outcome,
  type Person,
  snapshot,
  times,
  UNIT_MINOR,
  withPool,
  written,
} from "./people.ts";

const WRITERS = 500;
const ALLOWANCE = 500;
const CAP_OF_ALL = 10_000_000;

interface Books {
  quantity: number;
  claimed: number;
  amount: number;
  spent: number;
  overage: number;
  outbox: number;
}

async function use(sql: postgres.Sql, person: Person, used: number): Promise<void> {
  await ask(sql, person);
  await sql`update billing.usage_counters set used = ${used}
    where user_id = ${person.id} and metric_id = 'message'`;
}

async function books(sql: postgres.Sql, person: Person): Promise<Books> {
  const [row] = await sql<Books[]>`
    select coalesce(sum(u.quantity), 0)::int as quantity, coalesce(sum(u.claimed), 0)::int as claimed,
      coalesce(sum(u.amount_minor), 0)::float8 as amount,
      (select a.spent_minor::float8 from billing.overage_accounts a where a.user_id = ${person.id}) as spent,
      (select (coalesce(sum(c.overage), 0)
        + (select coalesce(sum(d.overage), 0) from billing.usage_days d where d.user_id = ${person.id}))::int
        from billing.usage_counters c where c.user_id = ${person.id}) as overage,
      (select coalesce(sum(o.quantity), 0)::int from billing.usage_outbox o
        where o.user_id = ${person.id} and o.kind = 'event') as outbox
    from billing.overage_usage u where u.user_id = ${person.id}`;
  assert.ok(row);
  return row;
}

function byTheSecretKey(sql: postgres.Sql, person: Person): Promise<Outcome> {
  return sql.begin(async (tx): Promise<Outcome> => {
    await tx`set local role service_role`;
    await tx`insert into public.messages (conversation_id, user_id, role, content)
      values (${person.conversation}, ${person.id}, 'user', 'Hello')`;
    return "written";
  }).catch((error): Outcome => {
    if (error instanceof postgres.PostgresError && error.code === "PGRST") return "refused";
    throw error;
  });
}

Deno.test("500 parallel writers against a cap admit exactly what the cap allows, five times", async () => {
  await withPool(async (sql) => {
    for (let run = 0; run < 5; run++) {
      const person = await createPerson(sql);
      await meter(sql, person);
      await agree(sql, person, 201);
      await use(sql, person, ALLOWANCE - 50);
      const outcomes = await times(
        WRITERS,
        (index) => index % 3 === 0 ? byTheSecretKey(sql, person) : ask(sql, person),
      );
      assert.equal(written(outcomes), 150, "50 of the allowance and 100 for 200 of 201 cents");
      assert.equal(await counter(sql, "message", person), ALLOWANCE + 100);
      const { quantity, amount, spent, overage } = await books(sql, person);
      assert.deepEqual({ quantity, amount, spent, overage }, {
        quantity: 100,
        amount: 200,
        spent: 200,
        overage: 100,
      });
      const notices = await sql`select kind, threshold from public.notifications
        where user_id = ${person.id} order by kind, threshold`;
      assert.deepEqual(
        notices.map((row) => `${row.kind} ${row.threshold}`),
        [
          "allowance 80",
          "allowance 100",
          "spending_cap 80",
          "spending_cap 100",
        ].sort((a, b) => a.localeCompare(b, "en", { numeric: true })),
      );
    }
  });
});

Deno.test("a cap that is raised, lowered and switched off under fire is never passed", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await meter(sql, person);
    await agree(sql, person, 40);
    await use(sql, person, ALLOWANCE);
    const before = await counted(sql, "messages", person);
    const outcomes = times(WRITERS, () => ask(sql, person));
    await agree(sql, person, 80);
    await agree(sql, person, 20);
    await agree(sql, person, 300);
    const first = written(await outcomes);
    const second = written(await times(WRITERS, () => ask(sql, person)));
    assert.equal(first + second, 150);
    await as(sql, person, (tx) => tx`select public.set_overage(false)`);
    assert.equal(written(await times(20, () => ask(sql, person))), 0);
    assert.equal(await counted(sql, "messages", person), before + 150);
    assert.equal((await books(sql, person)).spent, 300);
  });
});

Deno.test("a grant and a change of plan in the middle charge what was beyond the allowance, and once", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await meter(sql, person);
    await agree(sql, person, CAP_OF_ALL);
    await use(sql, person, ALLOWANCE - 20);
    const outcomes = times(600, () => ask(sql, person));
    const [grant] = await sql<{ id: string }[]>`
      select billing.grant_plan(${person.id}, 'business', null, 'test') as id`;
    await meter(sql, person, undefined, "business");
    await sql`select billing.revoke_grant(${grant?.id ?? ""})`;
    await meter(sql, person);
    const admitted = written(await outcomes);
    assert.equal(admitted, 600, "everything is admitted, free or paid");
    assert.equal(await counter(sql, "message", person), ALLOWANCE - 20 + 600);
    const { quantity, overage, amount, spent } = await books(sql, person);
    assert.equal(quantity, overage);
    assert.equal(amount, quantity * UNIT_MINOR);
    assert.equal(spent, amount);
    assert.ok(quantity <= 580, `${quantity} were charged, and 20 at least were free`);
  });
});

Deno.test("a subscription that is cancelled under fire is not charged afterwards", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await meter(sql, person);
    await agree(sql, person, CAP_OF_ALL);
    await use(sql, person, ALLOWANCE);
    const outcomes = times(300, () => ask(sql, person));
    const [row] = await sql<{ token: string }[]>`select public.next_sync_token() as token`;
    await snapshot(sql, person, row?.token ?? "", null);
    const after = await books(sql, person);
    assert.equal(written(await outcomes), (await books(sql, person)).quantity);
    assert.equal((await books(sql, person)).quantity, after.quantity, "no unit after the snapshot");
    assert.equal(written(await times(20, () => ask(sql, person))), 0);
  });
});

Deno.test("days and periods that roll over, claims and writers at once: the outbox sums up to the ledger", async () => {
  await withPool(async (sql) => {
    const group = await times(4, () => createPerson(sql));
    for (const person of group) {
      // A period that ends in the past: the first message beyond the allowance rolls it.
      await meter(sql, person, { start: "-31 days", end: "-1 hours" });
      await agree(sql, person, CAP_OF_ALL);
      await use(sql, person, ALLOWANCE);
    }
    let leased = 0;
    const worker = async (): Promise<void> => {
      for (let round = 0; round < 15; round++) {
        await sql`select public.claim_usage()`;
        const rows = await sql<{ id: string; stripe_customer_id: string; lease: string }[]>`
          select id, stripe_customer_id, lease from public.lease_usage(3)`;
        assert.equal(new Set(rows.map((row) => row.stripe_customer_id)).size, rows.length);
        for (const row of rows) {
          leased++;
          if (Math.random() < 0.3) {
            await sql`select public.usage_failed(${row.id}, 'lost', now(), ${row.lease})`;
          } else await sql`select public.usage_sent(${row.id})`;
        }
      }
    };
    const rollover = async (): Promise<void> => {
      for (const person of group) {
        await sql`update billing.usage_counters set period_day = period_day - 1
          where user_id = ${person.id} and metric_id = 'message'`;
        await sql`update billing.overage_accounts set period_end = now() + interval '100 milliseconds'
          where user_id = ${person.id} and period_start < now()`;
      }
    };
    const writers = times(800, (index) => ask(sql, group[index % group.length] ?? group[0]!));
    await Promise.all([writers, worker(), worker(), worker(), rollover()]);
    await sql`select public.claim_usage()`;
    assert.equal(written(await writers), 800);
    assert.ok(leased > 0);
    for (const person of group) {
      const { quantity, claimed, outbox, overage, amount } = await books(sql, person);
      assert.equal(claimed, quantity);
      assert.equal(outbox, claimed);
      assert.equal(overage, quantity);
      assert.equal(amount, quantity * UNIT_MINOR);
      // One made the counter; the other 200 are within a new day's allowance, or beyond.
      const [row] = await sql<{ used: number }[]>`
        select (select used from billing.usage_counters where user_id = ${person.id} and metric_id = 'message')::int
          + (select coalesce(sum(used), 0) from billing.usage_days where user_id = ${person.id})::int as used`;
      assert.equal(row?.used, ALLOWANCE + 200);
    }
    await finishAll(sql, group);
  });
});

/** Nothing of these people is left for other tests to find. */
async function finishAll(sql: postgres.Sql, group: Person[]): Promise<void> {
  await sql`update billing.usage_outbox set status = 'sent', sent_at = now(), lease_until = null
    where user_id = any (${group.map((person) => person.id)})`;
}

Deno.test("forty that ask for work at once: each customer and meter is given out once", async () => {
  await withPool(async (sql) => {
    const group = await times(10, () => createPerson(sql));
    for (const person of group) {
      await meter(sql, person);
      await agree(sql, person, CAP_OF_ALL);
      await use(sql, person, ALLOWANCE);
      for (let part = 0; part < 3; part++) {
        await ask(sql, person);
        await sql`select public.claim_usage(1000, ${`cus_${person.id.replaceAll("-", "")}`})`;
      }
    }
    const leases = (await times(
      40,
      () =>
        sql<
          { stripe_customer_id: string; quantity: string }[]
        >`select * from public.lease_usage(4)`,
    )).flat().filter((row) =>
      group.some((p) => row.stripe_customer_id.endsWith(p.id.replaceAll("-", "")))
    );
    assert.equal(leases.length, 10);
    assert.equal(new Set(leases.map((row) => row.stripe_customer_id)).size, 10);
    await finishAll(sql, group);
  });
});

Deno.test("bulk inserts beyond the allowance in opposite orders, and snapshots of the same people, do not deadlock", async () => {
  await withPool(async (sql) => {
    const group = await times(12, () => createPerson(sql));
    for (const person of group) {
      await meter(sql, person);
      await agree(sql, person, CAP_OF_ALL);
      await use(sql, person, ALLOWANCE - 5);
    }
    const rows = group.map((person) => ({
      user_id: person.id,
      conversation_id: person.conversation,
      role: "user",
      content: "imported",
    }));
    const backwards = [...rows].reverse();
    await Promise.all([
      times(20, (index) => sql`insert into public.messages ${sql(index % 2 ? rows : backwards)}`),
      times(24, (index) => meter(sql, group[index % group.length] ?? group[0]!)),
      times(10, () => sql`select public.claim_usage()`),
      times(12, (index) => agree(sql, group[index] ?? group[0]!, CAP_OF_ALL - index)),
    ]);
    for (const person of group) {
      const { quantity, spent } = await books(sql, person);
      assert.equal(quantity, 15);
      assert.equal(spent, 30);
    }
    await finishAll(sql, group);
  });
});

Deno.test("the same request fifty times at once is taken once", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const request = crypto.randomUUID();
    const answers = await times(50, () =>
      sql<{ answer: { used: number } }[]>`
        select public.consume_usage(${person.id}, 'tool', 3, ${request}) as answer`);
    assert.deepEqual(new Set(answers.map((rows) => rows[0]?.answer.used)), new Set([3]));
    assert.equal(await counter(sql, "tool", person), 3);
  });
});

Deno.test("under repeatable read a writer beyond the allowance fails, and never passes the cap", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    await meter(sql, person);
    await agree(sql, person, 20);
    await use(sql, person, ALLOWANCE);
    const outcomes = await times(60, () =>
      as(sql, person, (tx) =>
        tx`
        insert into public.messages (conversation_id, role, content)
        values (${person.conversation}, 'user', 'Hello')`, "repeatable read").catch(
          (error): Outcome => {
            if (error instanceof postgres.PostgresError && error.code === "40001") return "refused";
            throw error;
          },
        ));
    const { quantity, spent } = await books(sql, person);
    assert.equal(written(outcomes), quantity);
    assert.ok(spent <= 20 && spent > 0);
  });
});
