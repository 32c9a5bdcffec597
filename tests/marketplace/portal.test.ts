import assert from "node:assert/strict";
import { openPage } from "../support/hosted.ts";
import { balanced, buy, call, canRead, creator, owned, publish } from "../support/marketplace.ts";
import { customerOf, priceOf, quiet } from "../support/sandbox.ts";
import { entitlements } from "../support/subscription.ts";
import { eventually, type Person, signUp, sql, stripe } from "../support/stack.ts";

async function portalOf(person: Person): Promise<string> {
  const { url } = await call<{ url: string }>(person, "portal", {});
  return (await openPage(url)).html;
}

Deno.test("the portal offers no plan to the subscription of a licence, whose payments are the creator's", async () => {
  const db = sql({ max: 2 });
  const listing = await publish(await creator(db), { kind: "monthly", price_minor: 1_000 });
  await db.end();
  const buyer = await signUp("portal");
  const customer = await customerOf(buyer);
  await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("pro_monthly") }],
  });
  await eventually(() => entitlements(buyer), ({ plan }) => plan.id === "pro");
  assert.match(await portalOf(buyer), />Change plan</);
  await buy(buyer, listing, { button: "Subscribe" });
  await owned(buyer);
  const page = await portalOf(buyer);
  assert.doesNotMatch(page, />Change plan</);
  assert.match(page, />Cancel/);
});

Deno.test("a first month that credit at Stripe pays for wholly is a licence, and an operator is told", async () => {
  const db = sql({ max: 2 });
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
  const buyer = await signUp("credit");
  const customer = await customerOf(buyer);
  await stripe().customers.update(customer, { balance: -1_500 });
  await buy(buyer, listing, { button: "Subscribe" });
  const row = await owned(buyer);
  assert.deepEqual([row.status, row.purchase_status], ["active", "active"]);
  assert.equal(await canRead(buyer, listing), true);
  await quiet();
  assert.equal(await balanced(db, seller), 0);
  const told = await db`
    select details from billing.problems
    where kind = 'licence_paid_by_credit' and subject = ${row.purchase_id}`;
  assert.equal(told.length, 1);
  await db.end();
});
