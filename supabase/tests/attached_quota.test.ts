/** A foreign table behind the gate, under many connections. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { as, counter, createPerson, type Outcome, type Person, times, withPool } from "./people.ts";

const LIMIT = 50;

/** An application's own table, in its own schema, with its own kinds of columns; gone again afterwards. */
async function withForeignTable(
  work: (sql: postgres.Sql, table: string) => Promise<void>,
): Promise<void> {
  await withPool(async (sql) => {
    const schema = `app_${crypto.randomUUID().replaceAll("-", "")}`;
    const table = `${schema}.lines`;
    await sql.unsafe(`
      create schema ${schema};
      grant usage on schema ${schema} to authenticated, service_role;
      create table ${table} (
        line_no bigint generated always as identity primary key,
        author uuid not null default auth.uid() references auth.users (id) on delete cascade,
        kind smallint not null default 1
      );
      alter table ${table} enable row level security;
      grant select, insert on ${table} to authenticated, service_role;
      create policy "Authors write" on ${table} for all to authenticated
        using (author = (select auth.uid())) with check (author = (select auth.uid()));`).simple();
    try {
      await work(sql, table);
    } finally {
      await sql`select billing.detach_quota(${table}::regclass)`;
      await sql.unsafe(`drop schema ${schema} cascade`);
    }
  });
}

async function attach(sql: postgres.Sql, table: string): Promise<void> {
  await sql`select billing.attach_quota(${table}::regclass, 'author', 'message', 'kind = 1')`;
}

function say(sql: postgres.Sql, table: string, person: Person): Promise<Outcome> {
  return as(sql, person, (tx) => tx`insert into ${tx(table)} default values`);
}

async function lines(sql: postgres.Sql, table: string, person: Person): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from ${sql(table)} where author = ${person.id} and kind = 1`;
  return row?.count ?? -1;
}

Deno.test("parallel clients leave exactly the limit in a foreign table", async () => {
  await withForeignTable(async (sql, table) => {
    await attach(sql, table);
    for (let run = 0; run < 5; run++) {
      const person = await createPerson(sql);
      await times(200, () => say(sql, table, person));
      assert.equal(await lines(sql, table, person), LIMIT);
      assert.equal(await counter(sql, "message", person), LIMIT);
    }
  });
});

Deno.test("clients, the secret key and the owner together leave exactly the limit too", async () => {
  await withForeignTable(async (sql, table) => {
    await attach(sql, table);
    const person = await createPerson(sql);
    await times(200, async (index) => {
      if (index % 3 === 0) return void await say(sql, table, person);
      await sql.begin(async (tx) => {
        if (index % 3 === 1) await tx`set local role service_role`;
        await tx`insert into ${tx(table)} (author, kind)
          select ${person.id}, n from generate_series(1, 2) n`;
      }).catch((error: unknown) => {
        if (!(error instanceof postgres.PostgresError) || error.code !== "PGRST") throw error;
      });
    });
    assert.equal(await lines(sql, table, person), LIMIT);
    assert.equal(await counter(sql, "message", person), LIMIT);
  });
});

Deno.test("a transaction that rolls back burns nothing", async () => {
  await withForeignTable(async (sql, table) => {
    await attach(sql, table);
    const person = await createPerson(sql);
    await say(sql, table, person);
    await times(30, () =>
      as(sql, person, async (tx) => {
        await tx`insert into ${tx(table)} default values`;
        throw new Error("changed their mind");
      }).catch((error: unknown) => {
        if (!(error instanceof Error) || error.message !== "changed their mind") throw error;
      }));
    assert.equal(await counter(sql, "message", person), 1);
    await times(100, () => say(sql, table, person));
    assert.equal(await lines(sql, table, person), LIMIT);
  });
});

Deno.test("bulk inserts into a foreign table and into messages do not deadlock", async () => {
  await withForeignTable(async (sql, table) => {
    await attach(sql, table);
    const group = await times(25, () => createPerson(sql));
    const backwards = [...group].reverse();
    await times(20, async (index) => {
      const order = index % 2 === 0 ? group : backwards;
      if (index % 4 < 2) {
        await sql`insert into ${sql(table)} ${sql(order.map(({ id }) => ({ author: id })))}`;
      } else {
        await sql`insert into public.messages ${
          sql(order.map(({ id, conversation }) => ({
            user_id: id,
            conversation_id: conversation,
            role: "user",
            content: "imported",
          })))
        }`;
      }
    });
    for (const person of group) assert.equal(await counter(sql, "message", person), 20);
  });
});

Deno.test("a table is attached and detached while people write, and none of them fails", async () => {
  await withForeignTable(async (sql, table) => {
    const person = await createPerson(sql);
    const writing = times(60, () => say(sql, table, person));
    for (let round = 0; round < 3; round++) {
      await attach(sql, table);
      await sql`select billing.detach_quota(${table}::regclass)`;
    }
    await attach(sql, table);
    await writing;
    const counted = Math.max(0, await counter(sql, "message", person));
    assert.ok(counted <= LIMIT, `${counted} were counted`);
    const before = await lines(sql, table, person);
    await times(100, () => say(sql, table, person));
    assert.equal(await counter(sql, "message", person), LIMIT);
    assert.equal(await lines(sql, table, person), before + LIMIT - counted);
  });
});

Deno.test("two who attach the same table at once leave one gate", async () => {
  await withForeignTable(async (sql, table) => {
    await times(10, () => attach(sql, table));
    const [row] = await sql<{ gates: number; triggers: number }[]>`
      select (select count(*)::int from billing.quota_gates where table_id = ${table}::regclass) as gates,
        (select count(*)::int from pg_trigger where tgrelid = ${table}::regclass and not tgisinternal) as triggers`;
    assert.deepEqual({ ...row }, { gates: 1, triggers: 3 });
  });
});
