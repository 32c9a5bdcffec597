import assert from "node:assert/strict";
import { mustLeave, mustStay, openPage, press } from "../support/hosted.ts";
import {
  balanced,
  buy,
  call,
  canRead,
  chargeOf,
  creator,
  daysPass,
  decide,
  fund,
  library,
  marketplaceSync,
  openDispute,
  type Owned,
  owned,
  publish,
  purchase,
  refund,
  refused,
  type Seller,
} from "../support/marketplace.ts";
import { priceOf, quiet } from "../support/sandbox.ts";
import { advance, onClock, seconds } from "../support/months.ts";
import { breakCard, entitlements } from "../support/subscription.ts";
import { eventually, type Person, request, signUp, sql, stripe } from "../support/stack.ts";

function licence(person: Person, licence_id: string | null, action: "cancel" | "resume") {
  return call<{ licence: Owned }>(person, "licence", { licence_id, action });
}

Deno.test("a monthly licence gives no plan, keeps nobody from buying one, and is paid for again every month", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
  const { person: buyer, clock, customer } = await onClock("subscriber");
  const back = await buy(buyer, listing, { button: "Subscribe" });
  assert.equal(back.pathname, "/library");
  const row = await owned(buyer);
  assert.deepEqual([row.kind, row.purchase_status], ["monthly", "active"]);
  assert.equal(await canRead(buyer, listing), true);
  await quiet();
  assert.equal(await balanced(db, seller), 800);
  assert.equal((await entitlements(buyer)).plan.id, "free");
  assert.deepEqual((await buyer.client.from("subscriptions").select("id")).data, []);
  assert.deepEqual(await refused(buyer, "purchase", { listing_id: listing }), [
    409,
    "already_owned",
  ]);
  await call(buyer, "checkout", { lookup_key: "pro_monthly" });
  await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("pro_monthly") }],
  });
  await eventually(() => entitlements(buyer), ({ plan }) => plan.id === "pro");
  const end = seconds(row.current_period_end);
  await advance(clock, end + 2 * 3_600);
  const renewed = await owned(buyer, ({ current_period_end }) => seconds(current_period_end) > end);
  assert.equal(renewed.status, "active");
  assert.equal(await balanced(db, seller), 1_600);
  const charges = await db`
    select charge_id from billing.ledger_transactions
    where purchase_id = ${renewed.purchase_id} and kind = 'transfer'`;
  assert.equal(new Set(charges.map((one) => one["charge_id"])).size, 2);
  await db.end();
});

Deno.test("a monthly licence ends with its period when it is cancelled, and goes on when that is taken back", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly" });
  // Their month is over an hour ago, and not paid again yet: what is valid now, is so by the grace.
  const { person: buyer, clock } = await onClock("canceller", 32);
  await buy(buyer, listing, { button: "Subscribe" });
  const { licence_id, current_period_end } = await owned(buyer);
  const stranger = await signUp("stranger");
  const theirs = await refused(stranger, "licence", { licence_id, action: "cancel" });
  assert.deepEqual(theirs, [404, "licence_not_found"]);
  const cancelled = await licence(buyer, licence_id, "cancel");
  assert.equal(cancelled.licence.cancel_at_period_end, true);
  assert.deepEqual([cancelled.licence.status, cancelled.licence.reason], ["revoked", "canceled"]);
  assert.equal(await canRead(buyer, listing), false);
  const resumed = await licence(buyer, licence_id, "resume");
  assert.deepEqual([resumed.licence.status, resumed.licence.cancel_at_period_end], [
    "active",
    false,
  ]);
  assert.equal(await canRead(buyer, listing), true);
  await licence(buyer, licence_id, "cancel");
  await advance(clock, seconds(current_period_end) + 3_600);
  await owned(buyer, ({ purchase_status }) => purchase_status === "canceled");
  const over = await refused(buyer, "licence", { licence_id, action: "resume" });
  assert.deepEqual(over, [409, "licence_ended"]);
  // And may be bought again.
  await purchase(buyer, listing);
  await db.end();
});

Deno.test("a renewal that fails leaves the licence for the grace, and a licence bought once cannot be cancelled", async () => {
  const db = sql();
  const seller = await creator(db);
  const monthly = await publish(seller, { kind: "monthly" });
  const { person: buyer, clock, customer } = await onClock("late");
  await buy(buyer, monthly, { button: "Subscribe" });
  const row = await owned(buyer);
  await breakCard(customer);
  const [subscription] = (await stripe().subscriptions.list({ customer })).data;
  await stripe().subscriptions.update(subscription?.id ?? "", { default_payment_method: "" });
  await advance(clock, seconds(row.current_period_end) + 2 * 3_600);
  const late = await owned(buyer, ({ purchase_status }) => purchase_status === "past_due");
  assert.equal(late.status, "active");
  assert.equal(await canRead(buyer, monthly), true);
  assert.equal(await balanced(db, seller), 1_600);
  const once = await publish(await creator(db));
  const other = await signUp("buyer");
  await buy(other, once);
  const { licence_id } = await owned(other);
  const wrong = await refused(other, "licence", { licence_id, action: "cancel" });
  assert.deepEqual(wrong, [409, "not_monthly"]);
  await db.end();
});

Deno.test("credit that the buyer has at Stripe may pay a part of a month", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
  const { person: buyer, clock, customer } = await onClock("credited");
  await buy(buyer, listing, { button: "Subscribe" });
  const { current_period_end } = await owned(buyer);
  await stripe().customers.update(customer, { balance: -300 });
  const end = seconds(current_period_end);
  await advance(clock, end + 2 * 3_600);
  const row = await owned(buyer, (row) => seconds(row.current_period_end) > end);
  assert.deepEqual([row.status, row.purchase_status], ["active", "active"]);
  assert.equal(await canRead(buyer, listing), true);
  await db.end();
});

/** What Stripe says of the only subscription of this customer. */
async function stateAtStripe(customer: string): Promise<string | undefined> {
  const { data } = await stripe().subscriptions.list({ customer, status: "all" });
  assert.equal(data.length, 1);
  return data[0]?.status;
}

Deno.test("a month that is given back is the last one: nothing is charged any more, and it may be bought again", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
  const { person: buyer, clock, customer } = await onClock("regretful");
  await buy(buyer, listing, { button: "Subscribe" });
  const { purchase_id, current_period_end } = await owned(buyer);
  await refund(db, purchase_id, 400);
  assert.equal(await stateAtStripe(customer), "active");
  await refund(db, purchase_id);
  await owned(buyer, ({ purchase_status }) => purchase_status === "refunded");
  assert.equal(await stateAtStripe(customer), "canceled");
  await advance(clock, seconds(current_period_end) + 2 * 3_600);
  assert.equal(await balanced(db, seller), 0);
  await purchase(buyer, listing);
  await db.end();
});

Deno.test("a month that is lost to the bank is the last one", async () => {
  const db = sql();
  await fund(10_000);
  const listing = await publish(await creator(db), { kind: "monthly" });
  const { person: buyer, customer } = await onClock("disputer");
  await buy(buyer, listing, { button: "Subscribe" });
  await owned(buyer);
  await quiet();
  const dispute = await openDispute(await chargeOf(db, buyer));
  // While the bank has not decided it goes on.
  assert.equal(await stateAtStripe(customer), "active");
  await decide(dispute, "lost");
  await owned(buyer, ({ reason }) => reason === "dispute_lost");
  assert.equal(await stateAtStripe(customer), "canceled");
  await db.end();
});

Deno.test("a month that is given back takes nothing of what was paid again for another month", async () => {
  const db = sql();
  await fund(10_000);
  const seller = await creator(db);
  const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
  const { person: buyer, clock } = await onClock("disputer");
  await buy(buyer, listing, { button: "Subscribe" });
  const { purchase_id, current_period_end } = await owned(buyer);
  await quiet();
  await disputeAndWin(db, await chargeOf(db, buyer));
  assert.equal(await balanced(db, seller), 800);
  await advance(clock, seconds(current_period_end) + 2 * 3_600);
  await owned(buyer, (row) => seconds(row.current_period_end) > seconds(current_period_end));
  await quiet();
  assert.equal(await balanced(db, seller), 1_600);
  await disputeAndWin(db, await chargeOf(db, buyer));
  assert.equal(await balanced(db, seller), 1_600);
  await refund(db, purchase_id);
  assert.equal(await balanced(db, seller), 800);
  await db.end();
});

/** The creator's share is taken back, and paid again. */
async function disputeAndWin(db: ReturnType<typeof sql>, charge: string): Promise<void> {
  const dispute = await openDispute(charge);
  await marketplaceSync();
  await decide(dispute, "won");
  await db`update billing.purchase_disputes set next_attempt_at = now() where id = ${dispute}`;
  await marketplaceSync();
  await quiet();
}

const BANK = { paid: "000123456789", fails: "000111111113" };

/** Pays a Checkout by bank debit, which takes a moment to be paid. */
async function debit(buyer: Person, listing: string, account: string): Promise<void> {
  const page = await openPage(await purchase(buyer, listing));
  const method = { "US bank account": "bank", "Account number": account };
  mustLeave(await press(page, "Pay", { ...method, "Name on card": "Ada Lovelace" }));
}

Deno.test("a payment that takes days gives the licence when it has arrived, and cannot be made twice meanwhile", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("patient");
  await debit(buyer, listing, BANK.paid);
  await call(buyer, "sync");
  const [waiting] = await library(buyer);
  assert.deepEqual([waiting?.purchase_status, waiting?.licence_id], ["processing", null]);
  assert.equal(await canRead(buyer, listing), false);
  const again = await refused(buyer, "purchase", { listing_id: listing });
  assert.deepEqual(again, [409, "purchase_processing"]);
  await daysPass(5);
  await owned(buyer);
  await quiet();
  assert.equal(await balanced(db, seller), 1_600);
  await db.end();
});

Deno.test("a payment that fails days later gives nothing, and the listing may be bought again", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("unlucky");
  await debit(buyer, listing, BANK.fails);
  await daysPass(5);
  await eventually(async () => {
    const [row] = await db`select status from public.purchases where buyer_id = ${buyer.id}`;
    return row?.["status"];
  }, (status) => status === "failed");
  assert.equal(await canRead(buyer, listing), false);
  assert.equal(await balanced(db, seller), 0);
  await buy(buyer, listing);
  await eventually(() => canRead(buyer, listing), (can) => can);
  await db.end();
});

Deno.test("a creator onboards on Stripe's page, and until then cannot publish", async () => {
  const seller = await signUp("newcomer");
  const wish = { action: "onboard", display_name: "Newcomer", country: "US" };
  const { url } = await call<{ url: string }>(seller, "seller", wish);
  const listing = await seller.client.from("listings").insert({
    ...{ title: "Too early", description: "", category: "agent", kind: "one_time" },
    ...{ price_minor: 500, currency: "usd" },
  }).select("id").single();
  const early = await request("/rest/v1/rpc/publish_listing", {
    token: seller.token,
    body: { p_listing_id: listing.data?.id },
  });
  assert.equal(early.status, 409, early.text);
  const page = await openPage(url);
  mustStay(await press(page, "Agree and submit"));
  const back = mustLeave(
    await press(page, "Agree and submit", {
      ...{ "First name": "Ada", "Last name": "Lovelace" },
      "Account number or IBAN": "000123456789",
    }),
  );
  assert.equal(`${back.pathname}${back.search}`, "/sell?onboarding=return");
  const { seller: now } = await call<{ seller: Seller }>(seller, "seller", { action: "refresh" });
  assert.deepEqual([now.status, now.requirements], ["active", []]);
  const again = await call<{ url: string }>(seller, "seller", wish);
  const more = await call<{ url: string }>(seller, "seller", { action: "update" });
  assert.ok(again.url && more.url);
  await publish(seller);
});

Deno.test("a template of the house is sold the same way, to our own account", async () => {
  const db = sql();
  const [house] = await db<{ id: string }[]>`
    insert into public.listings (title, description, category, kind, price_minor, currency, status, version, published_at)
    values ('Contract template', 'Ready to use', 'template', 'one_time', 900, 'usd', 'published', 1, now()) returning id`;
  const listing = house?.id ?? "";
  await db`
    insert into public.listing_definitions (listing_id, version, name, instructions)
    values (${listing}, 1, 'Contract', 'Write a contract.')`;
  const buyer = await signUp("buyer");
  await buy(buyer, listing);
  const { purchase_id } = await owned(buyer);
  assert.equal(await canRead(buyer, listing), true);
  const kinds =
    await db`select kind from billing.ledger_transactions where purchase_id = ${purchase_id}`;
  assert.deepEqual(kinds.map(({ kind }) => kind), ["charge"]);
  await db.end();
});
