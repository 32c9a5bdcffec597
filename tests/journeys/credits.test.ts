import assert from "node:assert/strict";
import type postgres from "postgres";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { chargeOf, decide, openDispute, platformGap, refund } from "../support/marketplace.ts";
import { quiet } from "../support/sandbox.ts";
import { eventually, type Person, request, signUp, sql, stripe } from "../support/stack.ts";
import {
  choose,
  consumed,
  HOUR,
  myOverage,
  newestInvoice,
  passTo,
  payer,
  periodEnd,
  periodEndBefore,
  PRO_ALLOWANCE,
  report,
} from "../support/usage.ts";

Deno.test("prepaid credit is bought once, used up before money, and taken back by a refund", async () => {
  const { person, customer, clock, subscription } = await payer("credit");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  const bought = await request("/functions/v1/credits", {
    token: person.token,
    body: { lookup_key: "credits_10" },
  });
  assert.equal(bought.status, 200, bought.text);
  const back = mustLeave(
    await pay((bought.body as { url: string }).url, CARDS.success, "Pay"),
  );
  assert.equal(back.searchParams.get("credits"), "success");
  // The webhook and the way back, at the same moment and again: one grant.
  await Promise.all(
    [1, 2, 3].map(() => request("/functions/v1/sync", { token: person.token, body: {} })),
  );
  await quiet();
  const { data: grants } = await stripe().billing.creditGrants.list({ customer });
  assert.equal(grants.length, 1);
  const { credits } = await eventually(() => myOverage(person), (one) => one.credits !== null);
  assert.equal(credits?.balance_minor, 1_000);

  await consumed(person, PRO_ALLOWANCE + 100);
  await report();
  await passTo(clock, await periodEnd(subscription) + 60);
  await quiet();
  await passTo(clock, await periodEndBefore(subscription) + 2 * HOUR);
  await quiet();
  const invoice = await newestInvoice(customer);
  assert.equal(invoice.amount_paid, 1_500, "200 cents of usage came from the credit");
  const rest = await eventually(
    () => myOverage(person),
    (one) => one.credits?.balance_minor === 800,
  );
  assert.equal(rest.credits?.balance_minor, 800);

  const { data: intents } = await stripe().paymentIntents.list({ customer, limit: 100 });
  const intent = intents.find(({ metadata }) => metadata["credit_pack"] === "credits_10");
  await stripe().refunds.create({ payment_intent: intent?.id ?? "" });
  await eventually(() => myOverage(person), (one) => (one.credits?.balance_minor ?? 0) === 0);
});

Deno.test("credit is not sold to who cannot use it, nor at a price that is not the row's", async () => {
  const person = await signUp("nocredit");
  const buy = (of: Person, lookup_key: string) =>
    request("/functions/v1/credits", { token: of.token, body: { lookup_key } });
  assert.equal((await buy(person, "credits_10")).status, 403);
  assert.equal((await buy(person, "credits_0")).status, 404);
  const db = sql({ max: 1 });
  const { person: european } = await payer("european", "pro_monthly", "eur");
  await db`insert into public.credit_packs (lookup_key, name, currency, price_minor, credit_minor)
    values ('credits_usd', 'Dollars only', 'usd', 1000, 1000)`;
  assert.equal((await buy(european, "credits_usd")).status, 409);
  await db`delete from public.credit_packs where lookup_key = 'credits_usd'`;
  const { person: paying } = await payer("mismatch");
  await db`update public.credit_packs set price_minor = 1 where lookup_key = 'credits_50'`;
  try {
    assert.equal((await buy(paying, "credits_50")).status, 503);
    await db`update public.credit_pack_currency_options set price_minor = 1
      where lookup_key = 'credits_50' and currency = 'eur'`;
    assert.equal((await buy(european, "credits_50")).status, 503);
  } finally {
    await db`update public.credit_packs set price_minor = 5000 where lookup_key = 'credits_50'`;
    await db`update public.credit_pack_currency_options set price_minor = 5000
      where lookup_key = 'credits_50' and currency = 'eur'`;
    await db.end();
  }
});

for (const currency of ["eur", "gbp"] as const) {
  Deno.test(`who pays in ${currency} buys credit in ${currency}, and it pays for their usage`, async () => {
    const { person, customer, clock, subscription } = await payer(
      currency,
      "pro_monthly",
      currency,
    );
    assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
    const bought = await request("/functions/v1/credits", {
      token: person.token,
      body: { lookup_key: "credits_50" },
    });
    assert.equal(bought.status, 200, bought.text);
    mustLeave(await pay((bought.body as { url: string }).url, CARDS.success, "Pay"));
    await request("/functions/v1/sync", { token: person.token, body: {} });
    const { data: charges } = await stripe().charges.list({ customer, limit: 1 });
    assert.deepEqual([charges[0]?.currency, charges[0]?.amount], [currency, 5_000]);
    const { credits } = await eventually(() => myOverage(person), (one) => one.credits !== null);
    assert.deepEqual([credits?.balance_minor, credits?.currency], [5_500, currency]);

    await consumed(person, PRO_ALLOWANCE + 100);
    const { spent_minor } = await myOverage(person);
    await report();
    await passTo(clock, await periodEnd(subscription) + 60);
    await quiet();
    await passTo(clock, await periodEndBefore(subscription) + 2 * HOUR);
    await eventually(
      () => myOverage(person),
      (one) => one.credits?.balance_minor === 5_500 - spent_minor,
    );
  });
}

async function packUrl(person: Person, lookup_key = "credits_10"): Promise<string> {
  const { status, body, text } = await request("/functions/v1/credits", {
    token: person.token,
    body: { lookup_key },
  });
  assert.equal(status, 200, text);
  return (body as { url: string }).url;
}

async function payFor(person: Person, url: string): Promise<void> {
  mustLeave(await pay(url, CARDS.success, "Pay"));
  await request("/functions/v1/sync", { token: person.token, body: {} });
  await quiet();
}

/** Their purchases of packs, the oldest first; the ledger sums to zero whenever we look. */
async function packs(db: postgres.Sql, { id }: Person) {
  const sums = await db<{ total: number }[]>`
    select sum(balance_minor)::int as total from billing.ledger_balances group by currency`;
  assert.ok(sums.length > 0 && sums.every(({ total }) => total === 0), JSON.stringify(sums));
  return await db<{ id: string; status: string; kinds: string[] }[]>`
    select p.id, p.status, array(
      select t.kind from billing.ledger_transactions t where t.purchase_id = p.id order by t.id
    ) as kinds
    from public.purchases p where p.buyer_id = ${id} and p.credit_pack is not null order by p.created_at`;
}

async function openProblems(db: postgres.Sql, subject: string): Promise<string[]> {
  const rows = await db<{ kind: string }[]>`
    select kind from billing.problems where subject = ${subject} and resolved_at is null`;
  return rows.map(({ kind }) => kind);
}

/** Somebody who can use credit. After the work our balance at Stripe has moved as the ledger says. */
async function accounted(
  work: (buyer: { db: postgres.Sql; person: Person; customer: string }) => Promise<void>,
): Promise<void> {
  const db = sql();
  try {
    const { person, customer } = await payer("packs");
    await quiet();
    const gap = await platformGap(db);
    await work({ db, person, customer });
    await quiet();
    assert.equal(await platformGap(db), gap, "our balance at Stripe is not what the ledger says");
  } finally {
    await db.end();
  }
}

const balanceOf = async (person: Person) => (await myOverage(person)).credits?.balance_minor ?? 0;

Deno.test("two tabs share one checkout of a pack, and once it is paid the same pack is bought again: each in the ledger", async () => {
  await accounted(async ({ db, person, customer }) => {
    const [one = "", two] = await Promise.all([packUrl(person), packUrl(person)]);
    assert.equal(one, two);
    await payFor(person, one);
    assert.deepEqual((await packs(db, person)).map(({ status, kinds }) => [status, ...kinds]), [
      ["paid", "charge"],
    ]);
    const again = await packUrl(person);
    assert.notEqual(again, one);
    await payFor(person, again);
    assert.deepEqual((await packs(db, person)).map(({ status, kinds }) => [status, ...kinds]), [
      ["paid", "charge"],
      ["paid", "charge"],
    ]);
    assert.equal((await stripe().billing.creditGrants.list({ customer })).data.length, 2);
    await eventually(() => balanceOf(person), (balance) => balance === 2_000);
    const { data } = await person.client.rpc("my_library");
    assert.deepEqual(data, [], "credit is no agent");
  });
});

Deno.test("a pack whose price or credit changed is sold at the new one, and the old checkout is closed", async () => {
  await accounted(async ({ db, person }) => {
    const old = await packUrl(person);
    await db`update public.credit_packs set credit_minor = 1100 where lookup_key = 'credits_10'`;
    try {
      const url = await packUrl(person);
      assert.notEqual(url, old);
      await payFor(person, url);
      await eventually(() => balanceOf(person), (balance) => balance === 1_100);
      assert.deepEqual((await packs(db, person)).map(({ status }) => status), ["expired", "paid"]);
    } finally {
      await db`update public.credit_packs set credit_minor = 1000 where lookup_key = 'credits_10'`;
    }
  });
});

Deno.test("a part of a pack's price is given back and an operator is told; the rest takes the credit", async () => {
  await accounted(async ({ db, person }) => {
    await payFor(person, await packUrl(person));
    const [bought] = await packs(db, person);
    const purchase = bought?.id ?? "";
    await refund(db, purchase, 400);
    assert.equal((await packs(db, person))[0]?.status, "partially_refunded");
    assert.deepEqual(await openProblems(db, purchase), ["credit_partly_refunded"]);
    assert.equal(await balanceOf(person), 1_000);
    await refund(db, purchase);
    const [given] = await packs(db, person);
    assert.deepEqual([given?.status, given?.kinds], ["refunded", ["charge", "refund", "refund"]]);
    assert.deepEqual(await openProblems(db, purchase), []);
    await eventually(() => balanceOf(person), (balance) => balance === 0);
  });
});

Deno.test("a dispute takes a pack's credit back; won, it is given again; lost, it is not", async () => {
  await accounted(async ({ db, person, customer }) => {
    await payFor(person, await packUrl(person));
    const [bought] = await packs(db, person);
    const purchase = bought?.id ?? "";
    const dispute = await openDispute(await chargeOf(db, person));
    assert.equal((await packs(db, person))[0]?.status, "disputed");
    await eventually(() => balanceOf(person), (balance) => balance === 0);
    await decide(dispute, "won");
    assert.equal((await packs(db, person))[0]?.status, "paid");
    await eventually(() => balanceOf(person), (balance) => balance === 1_000);
    assert.deepEqual(await openProblems(db, purchase), ["credit_dispute_won"]);
    // Whoever voids it by hand has the last word.
    const { data } = await stripe().billing.creditGrants.list({ customer });
    const alive = data.filter(({ voided_at }) => voided_at === null);
    assert.deepEqual([data.length, alive.length], [2, 1]);
    await stripe().billing.creditGrants.voidGrant(alive[0]?.id ?? "");
    await request("/functions/v1/sync", { token: person.token, body: {} });
    await quiet();
    assert.equal((await stripe().billing.creditGrants.list({ customer })).data.length, 2);
  });
  await accounted(async ({ db, person, customer }) => {
    await payFor(person, await packUrl(person));
    await decide(await openDispute(await chargeOf(db, person)), "lost");
    assert.equal((await packs(db, person))[0]?.status, "lost");
    await eventually(() => balanceOf(person), (balance) => balance === 0);
    const { data } = await stripe().billing.creditGrants.list({ customer });
    assert.deepEqual(data.map(({ voided_at }) => voided_at !== null), [true]);
  });
});
