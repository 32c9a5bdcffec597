/** The limits under many connections. */
import assert from "node:assert/strict";
import postgres from "postgres";
import {
  as,
  ask,
  counted,
  counter,
  createAgent,
  createPerson,
  type Outcome,
  type Person,
  snapshot,
  subscribe,
  times,
  withPool,
  written,
} from "./people.ts";

const INSERTS = 200;
const RUNS = 10;

/** Two bulk inserts over the same people in opposite order, as somebody who may write for everybody. */
async function bulk(sql: postgres.Sql, group: Person[], role: string): Promise<void> {
  const rows = group.map((person) => ({
    user_id: person.id,
    conversation_id: person.conversation,
    role,
    content: "imported",
  }));
  await sql`insert into public.messages ${sql(rows)}`;
}

Deno.test("200 parallel messages against a limit of 50 leave exactly 50, ten times", async () => {
  await withPool(async (sql) => {
    for (let run = 0; run < RUNS; run++) {
      const person = await createPerson(sql);
      const outcomes = await times(INSERTS, () => ask(sql, person));
      assert.equal(written(outcomes), 50);
      assert.equal(await counted(sql, "messages", person), 50);
      assert.equal(await counter(sql, "message", person), 50);
    }
  });
});

Deno.test("a mix of clients, the secret key and the owner admits exactly 50 as well", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const outcomes = await times(INSERTS, (index) => {
      if (index % 3 === 0) return ask(sql, person);
      return sql.begin(async (tx): Promise<Outcome> => {
        if (index % 3 === 1) await tx`set local role service_role`;
        await tx`insert into public.messages (conversation_id, user_id, role, content)
          values (${person.conversation}, ${person.id}, 'user', 'Hello')`;
        return "written";
      }).catch((error): Outcome => {
        if (error instanceof postgres.PostgresError && error.code === "PGRST") return "refused";
        throw error;
      });
    });
    assert.equal(written(outcomes), 50);
    assert.equal(await counted(sql, "messages", person), 50);
  });
});

Deno.test("a subscription that begins in the middle is in force at once, and exactly", async () => {
  await withPool(async (sql) => {
    for (let run = 0; run < 3; run++) {
      const person = await createPerson(sql);
      const outcomes = times(800, () => ask(sql, person));
      await subscribe(sql, person, "pro_monthly");
      const first = written(await outcomes);
      assert.ok(first >= 50 && first <= 500, `${first} were admitted`);
      const second = written(await times(600, () => ask(sql, person)));
      assert.equal(first + second, 500);
      assert.equal(await counted(sql, "messages", person), 500);
    }
  });
});

Deno.test("a subscription that ends and begins under fire never admits more than it allows", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const outcomes = times(400, () => ask(sql, person));
    for (const key of ["pro_monthly", null, "pro_yearly", null]) await subscribe(sql, person, key);
    const first = written(await outcomes);
    const second = written(await times(100, () => ask(sql, person)));
    assert.equal(second, first < 50 ? 50 - first : 0);
    const [row] = await sql<{ allowance: number }[]>`
      select allowance::int from billing.usage_counters
      where user_id = ${person.id} and metric_id = 'message'`;
    assert.equal(row?.allowance, 50);
  });
});

Deno.test("a limit that changes while first messages arrive is the limit of everybody", async () => {
  await withPool(async (sql) => {
    const group = await times(30, () => createPerson(sql));
    try {
      const asking = Promise.all(group.map((person) => ask(sql, person)));
      await sql`update public.plan_limits set limit_value = 51
        where plan_id = 'free' and metric_id = 'message'`;
      await asking;
      const rows = await sql<{ allowance: number }[]>`
        select distinct allowance::int from billing.usage_counters
        where metric_id = 'message' and user_id = any (${group.map((person) => person.id)})`;
      assert.deepEqual(rows.map((row) => row.allowance), [51]);
    } finally {
      await sql`update public.plan_limits set limit_value = 50
        where plan_id = 'free' and metric_id = 'message'`;
    }
  });
});

Deno.test("bulk inserts over the same people in opposite orders do not deadlock", async () => {
  await withPool(async (sql) => {
    const group = await times(25, () => createPerson(sql));
    const backwards = [...group].reverse();
    for (const role of ["user", "assistant"]) {
      await times(20, (index) => bulk(sql, index % 2 === 0 ? group : backwards, role));
    }
    for (const person of group) assert.equal(await counter(sql, "message", person), 20);
  });
});

Deno.test("bulk deletes and inserts of agents in opposite orders do not deadlock", async () => {
  await withPool(async (sql) => {
    const group = await times(20, () => createPerson(sql));
    for (const person of group) {
      await sql`insert into public.entitlements (user_id, plan_id, source)
        values (${person.id}, 'enterprise', 'subscription')`;
    }
    const ids = group.map((person) => person.id);
    await times(30, async (index) => {
      const order = index % 2 === 0 ? ids : [...ids].reverse();
      const rows = await sql<{ id: string }[]>`
        insert into public.agents ${
        sql(order.map((id) => ({ user_id: id, name: "x" })))
      } returning id`;
      await sql`delete from public.agents where id = any (${rows.map((row) => row.id)})`;
    });
    for (const person of group) assert.equal(await counter(sql, "agent", person), 0);
  });
});

Deno.test("parallel agents against a limit leave exactly that many, and deleting makes room", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    assert.equal(written(await times(60, () => createAgent(sql, person))), 1);
    await subscribe(sql, person, "pro_monthly");
    assert.equal(written(await times(60, () => createAgent(sql, person))), 4);
    await Promise.all([
      times(60, () => createAgent(sql, person)),
      times(
        10,
        () =>
          as(
            sql,
            person,
            (tx) => tx`delete from public.agents where id = (select id from public.agents limit 1)`,
          ),
      ),
    ]);
    await times(10, () => createAgent(sql, person));
    assert.equal(await counted(sql, "agents", person), 5);
    assert.equal(await counter(sql, "agent", person), 5);
  });
});

Deno.test("under repeatable read a lost race is a serialization failure, never a place too many", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const attempt = () =>
      as(sql, person, (tx) =>
        tx`
        insert into public.messages (conversation_id, role, content)
        values (${person.conversation}, 'user', 'Hello')`, "repeatable read")
        .catch((error): "lost" => {
          if (error instanceof postgres.PostgresError && error.code === "40001") return "lost";
          throw error;
        });
    let admitted = 0;
    for (let round = 0; round < 20 && admitted < 50; round++) {
      const outcomes = await times(100, attempt);
      admitted += outcomes.filter((outcome) => outcome === "written").length;
    }
    assert.ok(admitted > 0 && admitted <= 50, `${admitted} were admitted`);
    assert.equal(await counted(sql, "messages", person), admitted);
    assert.equal(await counter(sql, "message", person), admitted);
  });
});

Deno.test("snapshots applied in any order at once end at the newest", async () => {
  await withPool(async (sql) => {
    for (let run = 0; run < 5; run++) {
      const person = await createPerson(sql);
      await subscribe(sql, person, "pro_monthly");
      const tokens = await times(30, async () => {
        const [row] = await sql<{ token: string }[]>`select public.next_sync_token() as token`;
        return row?.token ?? "";
      });
      const newest = tokens.reduce((a, b) => BigInt(a) > BigInt(b) ? a : b);
      await Promise.all(
        tokens.map((token) =>
          snapshot(sql, person, token, token === newest ? "business_yearly" : "pro_yearly")
        ),
      );
      const [row] = await sql<{ plan_id: string; allowance: number; price_lookup_key: string }[]>`
        select e.plan_id, c.allowance::int, s.price_lookup_key
        from public.entitlements e
        join billing.usage_counters c on c.user_id = e.user_id and c.metric_id = 'message'
        join public.subscriptions s on s.id = e.subscription_id
        where e.user_id = ${person.id}`;
      assert.deepEqual({ ...row }, {
        plan_id: "business",
        allowance: 2000,
        price_lookup_key: "business_yearly",
      });
    }
  });
});

Deno.test("parallel checkouts of one person share one number, and one customer", async () => {
  await withPool(async (sql) => {
    const person = await createPerson(sql);
    const attempts = await times(50, async () => {
      const [row] = await sql<{ attempt: number }[]>`
        select public.begin_checkout(${person.id}, 'pro_monthly')::int as attempt`;
      return row?.attempt;
    });
    assert.deepEqual([...new Set(attempts)], [1]);
    const customers = await times(50, async (index) => {
      const [row] = await sql<{ id: string }[]>`
        select public.link_customer(${person.id}, ${`cus_${index}x${Date.now()}`}) as id`;
      return row?.id;
    });
    assert.equal(new Set(customers).size, 1);
  });
});

Deno.test("due events are leased to one worker each", async () => {
  await withPool(async (sql) => {
    const prefix = `evt_${crypto.randomUUID()}`;
    await sql`insert into billing.stripe_events (id, type, stripe_created_at, next_attempt_at)
      select ${prefix} || n, 'x', now(), now() - interval '1 day' from generate_series(1, 100) n`;
    try {
      const leased = await times(
        30,
        () => sql<{ id: string }[]>`select id from public.due_stripe_events(10)`,
      );
      const ids = leased.flat().map((row) => row.id).filter((id) => id.startsWith(prefix));
      assert.equal(ids.length, 100);
      assert.equal(new Set(ids).size, 100);
    } finally {
      await sql`delete from billing.stripe_events where starts_with(id, ${prefix})`;
    }
  });
});
