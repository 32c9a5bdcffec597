import assert from "node:assert/strict";
import type postgres from "postgres";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import {
  balanced,
  buy,
  call,
  canRead,
  creator,
  ledger,
  library,
  marketplaceSync,
  owned,
  owner,
  publish,
  purchase,
  refund,
  refused,
  rpc,
} from "../support/marketplace.ts";
import { customerOf, quiet, sandbox } from "../support/sandbox.ts";
import { type Person, request, signUp, sql, stripe } from "../support/stack.ts";

const CHECKOUT = { method: "POST", path: "/v1/checkout/sessions" };

/** A conversation of this person that runs what they bought, with one message in it; answers the message. */
async function ask(person: Person, listing_id: string): Promise<string> {
  const conversation = await person.client.from("conversations").insert({ title: "", listing_id })
    .select("id").single();
  if (conversation.error) throw conversation.error;
  return await askAgain(person, conversation.data.id);
}

async function askAgain(person: Person, conversation_id: string): Promise<string> {
  const message = await person.client.from("messages")
    .insert({ conversation_id, role: "user", content: "What is a fraction?" }).select("id")
    .single();
  if (message.error) throw message.error;
  return message.data.id;
}

Deno.test("a bought agent answers in its own words until the money went back", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await owner(listing);
  const message_id = await ask(buyer, listing);
  const reply = await call<{ message: { content: string; conversation_id: string } }>(
    buyer,
    "reply",
    { message_id },
  );
  assert.match(reply.message.content, /^Tutor answers, told: “Explain everything slowly/);
  const later = await askAgain(buyer, reply.message.conversation_id);
  const { purchase_id } = await owned(buyer);
  await refund(db, purchase_id);
  assert.deepEqual(await refused(buyer, "reply", { message_id: later }), [403, "licence_required"]);
  const stranger = await signUp("stranger");
  const { error } = await stranger.client.from("conversations")
    .insert({ title: "", listing_id: listing });
  assert.equal(error?.code, "42501");
  await db.end();
});

Deno.test("Stripe being away is said so, and the same purchase goes on afterwards, in the session that was made unheard", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  await sandbox("/faults", { kind: "status", status: 503, times: 3, match: CHECKOUT });
  const away = await refused(buyer, "purchase", { listing_id: listing });
  assert.deepEqual(away, [502, "billing_unavailable"]);
  await sandbox("/faults", { kind: "timeout_after", times: 3, match: CHECKOUT });
  const unheard = await refused(buyer, "purchase", { listing_id: listing });
  assert.deepEqual(unheard, [502, "billing_unavailable"]);
  await sandbox("/faults", undefined, "DELETE");
  await buy(buyer, listing);
  await owned(buyer);
  const [row] =
    await db`select count(*)::int as n from public.purchases where buyer_id = ${buyer.id}`;
  assert.equal(row?.["n"], 1);
  const [customer] = await db<{ id: string }[]>`
    select stripe_customer_id as id from public.customers where user_id = ${buyer.id}`;
  const { data } = await stripe().checkout.sessions.list({ customer: customer?.id ?? "" });
  assert.equal(data.length, 1);
  await db.end();
});

Deno.test("a session that was paid and never written down is found, and nobody pays twice", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const customer = await customerOf(buyer);
  await quiet();
  await sandbox("/delivery", { mode: "drop" });
  try {
    // Made by a version of us that named the product otherwise, and died before it wrote the session down.
    const lost = await lostSession(db, buyer, { listing, customer, account: seller.account });
    mustLeave(await pay(lost, CARDS.success, "Pay"));
    assert.deepEqual(await refused(buyer, "purchase", { listing_id: listing }), [
      409,
      "already_owned",
    ]);
  } finally {
    await sandbox("/delivery", { mode: "normal" });
  }
  assert.equal(await canRead(buyer, listing), true);
  assert.equal(await balanced(db, seller), 1_600);
  await db.end();
});

async function lostSession(
  db: postgres.Sql,
  buyer: Person,
  { listing, customer, account }: { listing: string; customer: string; account: string },
): Promise<string> {
  const [row] = await db<{ id: string }[]>`
    select public.begin_purchase(${buyer.id}, ${listing}) ->> 'purchase_id' as id`;
  const metadata = { purchase_id: row?.id ?? "" };
  const session = await stripe().checkout.sessions.create({
    mode: "payment",
    customer,
    metadata,
    line_items: [{
      quantity: 1,
      price_data: { currency: "usd", unit_amount: 2_000, product_data: { name: "Old name" } },
    }],
    payment_intent_data: {
      metadata,
      transfer_group: metadata.purchase_id,
      transfer_data: { destination: account },
      application_fee_amount: 400,
    },
    success_url: "http://127.0.0.1:3000/library",
  }, { idempotencyKey: `purchase:${metadata.purchase_id}:1` });
  return session.url ?? "";
}

Deno.test("an offer that was given up by somebody who died is closed by the clock", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  await purchase(buyer, listing);
  await seller.client.from("listings").update({ price_minor: 3_000 }).eq("id", listing);
  const [order] = await db<{ stale: string }[]>`
    select public.begin_purchase(${buyer.id}, ${listing}) ->> 'stale_session_id' as stale`;
  const stale = order?.stale ?? "";
  assert.equal((await stripe().checkout.sessions.retrieve(stale)).status, "open");
  await db`
    update public.purchases set due_at = now() - interval '1 second' where checkout_session_id = ${stale}`;
  await marketplaceSync();
  assert.equal((await stripe().checkout.sessions.retrieve(stale)).status, "expired");
  await db.end();
});

Deno.test("a Checkout that was opened before the listing was withdrawn is closed by the clock, and cannot be paid then", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const kept = await publish(await creator(db));
  const buyer = await signUp("buyer");
  const url = await purchase(buyer, listing);
  const other = await purchase(buyer, kept);
  await rpc(seller, "withdraw_listing", { p_listing_id: listing });
  await marketplaceSync();
  const page = await pay(url, CARDS.success, "Pay").catch((reason: Error) => reason);
  assert.ok(!("leftTo" in page) || !page.leftTo.includes("success"));
  assert.deepEqual(await library(buyer), []);
  // What is still for sale can still be paid.
  mustLeave(await pay(other, CARDS.success, "Pay"));
  assert.equal((await owned(buyer)).listing_id, kept);
  await db.end();
});

Deno.test("who pays after the withdrawal and before their Checkout was closed has bought it", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const url = await purchase(buyer, listing);
  await rpc(seller, "withdraw_listing", { p_listing_id: listing });
  mustLeave(await pay(url, CARDS.success, "Pay"));
  await owned(buyer);
  assert.equal(await canRead(buyer, listing), true);
  await marketplaceSync();
  assert.equal(await canRead(buyer, listing), true);
  await quiet();
  assert.equal(await balanced(db, seller), 1_600);
  await db.end();
});

Deno.test("a purchase whose events were all lost is found by the clock", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  await quiet();
  await sandbox("/delivery", { mode: "drop" });
  try {
    const buyer = await signUp("buyer");
    await buy(buyer, listing);
    assert.deepEqual(await library(buyer), []);
    await db`
      update public.purchases set due_at = now() - interval '1 second' where buyer_id = ${buyer.id}`;
    assert.ok(((await marketplaceSync())["synced"] ?? 0) > 0);
    assert.equal((await library(buyer))[0]?.status, "active");
  } finally {
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
});

Deno.test("metadata that names somebody else's purchase gives nothing", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const victim = await signUp("victim");
  await purchase(victim, listing);
  const [row] = await db<
    { id: string }[]
  >`select id from public.purchases where buyer_id = ${victim.id}`;
  const before = await ledger(db, "buyers", "usd");
  const other = await customerOf(await signUp("other"));
  await stripe().paymentIntents.create({
    ...{ amount: 2_000, currency: "usd", customer: other, confirm: true },
    payment_method: "pm_card_visa",
    metadata: { purchase_id: row?.id ?? "" },
  });
  await quiet();
  assert.equal(await canRead(victim, listing), false);
  assert.equal(await ledger(db, "buyers", "usd"), before);
  const [now] = await db`select status from public.purchases where id = ${row?.id ?? ""}`;
  assert.equal(now?.["status"], "open");
  await db.end();
});

Deno.test("a request that is no request of ours is refused before anything is asked of Stripe", async () => {
  const person = await signUp("forger");
  const bad: [string, unknown][] = [
    ["seller", { action: "onboard", display_name: "", country: "US" }],
    ["seller", { action: "onboard", display_name: "A", country: "usa" }],
    ["seller", { action: "onboard", display_name: "A", country: "US", account: "acct_1" }],
    ["seller", { action: "refresh", return_url: "https://evil.example" }],
    ["purchase", { listing_id: crypto.randomUUID(), success_url: "https://evil.example" }],
    ["licence", { licence_id: crypto.randomUUID(), action: "refund" }],
  ];
  for (const [name, body] of bad) {
    assert.deepEqual(
      await refused(person, name, body),
      [400, "invalid_request"],
      JSON.stringify(body),
    );
  }
  const answer = await request("/functions/v1/purchase", { token: person.token, body: "{" });
  assert.equal(answer.status, 400);
});
