import assert from "node:assert/strict";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
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
