/** Buying under many connections: one purchase, one licence, every movement of money once. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { createPerson, type Person, times, withPool } from "./people.ts";

const PARALLEL = 50;
/** The ledger is for ever, so what a run leaves there must not meet that of another. */
const run = () => crypto.randomUUID().replaceAll("-", "").slice(0, 12);

async function createListing(sql: postgres.Sql, seller: Person): Promise<string> {
  const agent = crypto.randomUUID();
  const listing = crypto.randomUUID();
  const account = `acct_${seller.id.replaceAll("-", "")}`;
  await sql`select public.begin_seller(${seller.id}, 'Ada', 'DE')`;
  await sql`select public.link_seller_account(s.id, ${account})
    from public.sellers s where s.user_id = ${seller.id}`;
  await sql`select public.apply_seller_snapshot(
    ${account}, public.next_sync_token(), '{"transfers_status": "active"}')`;
  await sql`insert into public.agents (id, user_id, name, instructions)
    values (${agent}, ${seller.id}, 'Helper', 'Help.')`;
  await sql`insert into public.listings
      (id, seller_id, agent_id, title, price_minor, status, version, published_at)
    select ${listing}, s.id, ${agent}, 'A helper', 1000, 'published', 1, now()
    from public.sellers s where s.user_id = ${seller.id}`;
  return listing;
}

interface Begun {
  purchase_id: string;
  attempt: number;
}

async function begin(sql: postgres.Sql, buyer: Person, listing: string): Promise<Begun> {
  const [row] = await sql<{ doc: Begun }[]>`
    select public.begin_purchase(${buyer.id}, ${listing}) as doc`;
  assert.ok(row);
  return row.doc;
}

/** A payment, as a snapshot of Stripe tells it. */
function paid(id: string) {
  const at = "2026-11-20T10:00:00Z";
  const fact = (source: string, kind: string, amount_minor: number) => ({
    source: `${source}_${id}`,
    kind,
    amount_minor,
    currency: "usd",
    occurred_at: at,
  });
  return {
    session_status: "complete",
    payment_status: "paid",
    charge_id: `ch_${id}`,
    charges: [{ id: `ch_${id}`, amount_minor: 1000, status: "succeeded", created: at }],
    facts: [
      { ...fact("ch", "charge", 1000), fee_minor: 59 },
      fact("tr", "transfer", 1000),
      fact("fee", "application_fee", 200),
    ],
  };
}

async function apply(sql: postgres.Sql, purchase: string, snapshot: postgres.JSONValue) {
  await sql`select public.apply_purchase_snapshot(
    ${purchase}, public.next_sync_token(), ${sql.json(snapshot)})`;
}

async function balances(sql: postgres.Sql, purchase: string): Promise<Record<string, number>> {
  const rows = await sql<{ kind: string; sum: number }[]>`
    select a.kind, sum(e.amount_minor)::int as sum
    from billing.ledger_transactions t
    join billing.ledger_entries e on e.transaction_id = t.id
    join billing.ledger_accounts a on a.id = e.account_id
    where t.purchase_id = ${purchase} group by a.kind`;
  return Object.fromEntries(rows.map(({ kind, sum }) => [kind, sum]));
}

Deno.test("50 tabs that buy the same listing share one purchase and one session", async () => {
  await withPool(async (sql) => {
    const listing = await createListing(sql, await createPerson(sql));
    const buyer = await createPerson(sql);
    const begun = await times(PARALLEL, () => begin(sql, buyer, listing));
    assert.equal(new Set(begun.map((doc) => doc.purchase_id)).size, 1);
    const purchase = begun[0]?.purchase_id ?? "";
    const sessions = await times(PARALLEL, async (index) => {
      const [row] = await sql<{ id: string }[]>`
        select public.note_purchase_session(${purchase}, 1, ${`cs_${run()}${index}`}) as id`;
      return row?.id;
    });
    assert.equal(new Set(sessions).size, 1);
    const attempts = await times(PARALLEL, async () => {
      const [row] = await sql<{ attempt: number }[]>`
        select public.end_purchase_attempt(${purchase}, 1) as attempt`;
      return row?.attempt;
    });
    assert.deepEqual([...new Set(attempts)], [2]);
  });
});

Deno.test("while the price changes, whoever buys pays what was asked, and holds one purchase", async () => {
  await withPool(async (sql) => {
    const listing = await createListing(sql, await createPerson(sql));
    const buyer = await createPerson(sql);
    await Promise.all([
      times(PARALLEL, () => begin(sql, buyer, listing)),
      ...[1100, 1200, 1300].map((price) =>
        sql`update public.listings set price_minor = ${price} where id = ${listing}`
      ),
    ]);
    const held = await sql<{ amount: number; price: number }[]>`
      select p.amount_minor::int as amount, l.price_minor::int as price
      from public.purchases p join public.listings l on l.id = p.listing_id
      where p.buyer_id = ${buyer.id} and p.holds`;
    assert.equal(held.length, 1);
    await begin(sql, buyer, listing);
    const [now] = await sql<{ same: boolean }[]>`
      select p.amount_minor = l.price_minor as same
      from public.purchases p join public.listings l on l.id = p.listing_id
      where p.buyer_id = ${buyer.id} and p.holds`;
    assert.equal(now?.same, true);
  });
});

Deno.test("buyers of two listings of two creators, begun and paid at once, do not deadlock", async () => {
  await withPool(async (sql) => {
    const listings = await times(2, async () => createListing(sql, await createPerson(sql)));
    const buyers = await times(12, () => createPerson(sql));
    await Promise.all(
      buyers.flatMap((buyer, index) =>
        (index % 2 === 0 ? listings : [...listings].reverse()).map(async (listing) => {
          const { purchase_id: purchase } = await begin(sql, buyer, listing);
          const snapshot = paid(run());
          await times(3, () => apply(sql, purchase, snapshot));
        })
      ),
    );
    const [row] = await sql<{ licences: number; sales: number }[]>`
      select (select count(*)::int from public.licences where listing_id = any (${listings})) as licences,
        (select sum(sales_count)::int from public.listings where id = any (${listings})) as sales`;
    assert.deepEqual({ ...row }, { licences: 24, sales: 24 });
  });
});

Deno.test("the same facts applied at once, in any order, are posted once", async () => {
  await withPool(async (sql) => {
    const listing = await createListing(sql, await createPerson(sql));
    const buyer = await createPerson(sql);
    const { purchase_id: purchase } = await begin(sql, buyer, listing);
    const snapshot = paid(run());
    await times(PARALLEL, (index) =>
      apply(sql, purchase, {
        ...snapshot,
        facts: index % 2 === 0 ? snapshot.facts : [...snapshot.facts].reverse(),
      }));
    assert.deepEqual(await balances(sql, purchase), {
      buyers: -1000,
      platform: 141,
      stripe_fees: 59,
      creator: 800,
    });
    const [licences] = await sql<{ count: number }[]>`
      select count(*)::int as count from public.licences where user_id = ${buyer.id}`;
    assert.equal(licences?.count, 1);
  });
});

Deno.test("two operators who refund the rest at once ask for it once", async () => {
  await withPool(async (sql) => {
    const listing = await createListing(sql, await createPerson(sql));
    const { purchase_id: purchase } = await begin(sql, await createPerson(sql), listing);
    await apply(sql, purchase, paid(run()));
    const asked = await times(20, async () => {
      try {
        await sql`select billing.refund_purchase(${purchase})`;
        return true;
      } catch (error) {
        if (error instanceof postgres.PostgresError && error.code === "23514") return false;
        throw error;
      }
    });
    assert.equal(asked.filter(Boolean).length, 1);
    // Leased by another test's worker it would be in the way.
    await sql`delete from billing.refund_requests where purchase_id = ${purchase}`;
  });
});

Deno.test("nobody, the owner of the database neither, changes what was posted", async () => {
  await withPool(async (sql) => {
    const listing = await createListing(sql, await createPerson(sql));
    const { purchase_id: purchase } = await begin(sql, await createPerson(sql), listing);
    await apply(sql, purchase, paid(run()));
    for (
      const statement of [
        "update billing.ledger_entries set amount_minor = amount_minor * 2",
        "delete from billing.ledger_transactions",
        "truncate billing.ledger_accounts cascade",
      ]
    ) {
      await assert.rejects(() => sql.unsafe(statement), /only ever added to/);
    }
    await assert.rejects(
      () =>
        sql`insert into billing.ledger_transactions (source, kind, amount_minor, currency, occurred_at)
          values (${`hand_${run()}`}, 'refund', 1, 'usd', now())`,
      /not balanced/,
    );
  });
});
