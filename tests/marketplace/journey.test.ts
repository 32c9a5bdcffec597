import assert from "node:assert/strict";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import {
  balanced,
  buy,
  call,
  canRead,
  creator,
  library,
  owned,
  owner,
  platformGap,
  publish,
  purchase,
  refused,
  rpc,
  type Seller,
} from "../support/marketplace.ts";
import { quiet, sandbox } from "../support/sandbox.ts";
import { eventually, request, signUp, sql, stack, stranger, stripe } from "../support/stack.ts";

Deno.test("a creator publishes, a buyer pays, and by the webhook alone there is a licence and the money adds up", async () => {
  const db = sql();
  const gap = await platformGap(db);
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const url = await purchase(buyer, listing);
  assert.equal(await canRead(buyer, listing), false);
  const back = mustLeave(await pay(url, CARDS.success, "Pay"));
  assert.equal(back.pathname, "/library");
  assert.equal(back.searchParams.get("purchase"), "success");
  const row = await owned(buyer);
  assert.deepEqual([row.amount_minor, row.currency, row.purchase_status], [2_000, "usd", "paid"]);
  assert.ok(row.receipt_url);
  assert.equal(await canRead(buyer, listing), true);
  await quiet();
  assert.equal(await balanced(db, seller), 1_600);
  assert.equal(await platformGap(db), gap);
  const { currencies } = await rpc<Seller>(seller, "my_seller");
  assert.deepEqual(currencies.map(({ balance_minor, sales }) => [balance_minor, sales]), [[
    1_600,
    1,
  ]]);
  await db.end();
});

Deno.test("by the way back alone, with no event delivered, the same licence is there, and the events add nothing", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  await quiet();
  await sandbox("/delivery", { mode: "hold" });
  try {
    const buyer = await signUp("buyer");
    await buy(buyer, listing);
    assert.deepEqual(await library(buyer), []);
    await Promise.all([call(buyer, "sync"), call(buyer, "sync")]);
    assert.equal((await library(buyer))[0]?.status, "active");
    assert.equal(await balanced(db, seller), 1_600);
    const [before] = await db`select count(*)::int as n from billing.ledger_transactions`;
    await sandbox("/delivery", { mode: "normal" });
    await quiet();
    const [after] = await db`select count(*)::int as n from billing.ledger_transactions`;
    assert.deepEqual(after, before);
    assert.equal((await library(buyer)).length, 1);
  } finally {
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
});

Deno.test("two tabs share one Checkout, and what was bought cannot be bought again", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const urls = await Promise.all(Array.from({ length: 4 }, () => purchase(buyer, listing)));
  assert.equal(new Set(urls).size, 1);
  mustLeave(await pay(urls[0] ?? "", CARDS.success, "Pay"));
  await owned(buyer);
  assert.deepEqual(await refused(buyer, "purchase", { listing_id: listing }), [
    409,
    "already_owned",
  ]);
  await db.end();
});

Deno.test("a price that changed while Checkout was open closes that Checkout, and the new one has the new price", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const old = await purchase(buyer, listing);
  const { error } = await seller.client.from("listings").update({ price_minor: 3_000 })
    .eq("id", listing);
  assert.equal(error, null);
  const url = await purchase(buyer, listing);
  assert.notEqual(url, old);
  const page = await pay(old, CARDS.success, "Pay").catch((reason: Error) => reason);
  assert.ok(!("leftTo" in page) || !page.leftTo.includes("success"));
  mustLeave(await pay(url, CARDS.success, "Pay"));
  assert.equal((await owned(buyer)).amount_minor, 3_000);
  await quiet();
  assert.equal(await balanced(db, seller), 2_400);
  await db.end();
});

Deno.test("one's own listing, a draft, a withdrawn one, one that does not exist, and a price in the request are refused", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await signUp("buyer");
  const buying = (body: unknown) => refused(buyer, "purchase", body);
  assert.deepEqual(await refused(seller, "purchase", { listing_id: listing }), [
    409,
    "own_listing",
  ]);
  for (
    const forged of [{ amount_minor: 50 }, { price_minor: 1 }, { fee_minor: 0 }, {
      destination: "acct_1",
    }]
  ) {
    assert.deepEqual(await buying({ listing_id: listing, ...forged }), [400, "invalid_request"]);
  }
  assert.deepEqual(await buying({ listing_id: crypto.randomUUID() }), [404, "listing_not_found"]);
  assert.deepEqual(await buying({ listing_id: "//evil.example" }), [400, "invalid_request"]);
  await db`update public.listings set status = 'withdrawn' where id = ${listing}`;
  assert.deepEqual(await buying({ listing_id: listing }), [409, "listing_not_available"]);
  const draft = await seller.client.from("listings").insert({
    ...{ title: "Draft", description: "", category: "agent", kind: "one_time" },
    ...{ price_minor: 500, currency: "usd" },
  }).select("id").single();
  assert.deepEqual(await buying({ listing_id: draft.data?.id }), [404, "listing_not_found"]);
  await db.end();
});

Deno.test("a creator who is onboarded again under another name has it at Stripe, and on what they sell", async () => {
  const db = sql();
  const seller = await creator(db, "newcomer");
  const listing = await publish(seller);
  const wish = { action: "onboard", display_name: "The old hand", country: "US" };
  await call(seller, "seller", wish);
  const account = await stripe().v2.core.accounts.retrieve(seller.account);
  assert.equal(account.display_name, "The old hand");
  // What Stripe says is what counts: it must not bring the old name back.
  const { seller: now } = await call<{ seller: Seller }>(seller, "seller", { action: "refresh" });
  assert.equal(now.display_name, "The old hand");
  const [row] = await db`select seller_name from public.listings where id = ${listing}`;
  assert.equal(row?.["seller_name"], "The old hand");
  const nameless = await refused(seller, "seller", { ...wish, display_name: " " });
  assert.deepEqual(nameless, [400, "invalid_request"]);
  await db.end();
});

Deno.test("transfers that Stripe stops pause the sale and say why; what was bought stays", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await owner(listing);
  await sandbox(`/accounts/${seller.account}`, { transfers: "restricted" });
  const paused = await eventually(
    () => rpc<Seller>(seller, "my_seller"),
    ({ status }) => status === "paused",
  );
  assert.ok(paused.paused_reason);
  const other = await signUp("buyer");
  assert.deepEqual(await refused(other, "purchase", { listing_id: listing }), [
    409,
    "seller_paused",
  ]);
  assert.equal(await canRead(buyer, listing), true);
  await sandbox(`/accounts/${seller.account}`, { transfers: "active" });
  await eventually(() => rpc<Seller>(seller, "my_seller"), ({ status }) => status === "active");
  await buy(other, listing);
  await owned(other);
  await db.end();
});

Deno.test("transfers that stopped unheard of are noticed when Stripe refuses the sale", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  await quiet();
  await sandbox("/delivery", { mode: "drop" });
  try {
    await sandbox(`/accounts/${seller.account}`, { transfers: "restricted" });
    const buyer = await signUp("buyer");
    assert.deepEqual(await refused(buyer, "purchase", { listing_id: listing }), [
      409,
      "seller_paused",
    ]);
    assert.equal((await rpc<Seller>(seller, "my_seller")).status, "paused");
  } finally {
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
});

Deno.test("a withdrawn listing keeps its licences, and so does a creator who leaves", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await owner(listing);
  await rpc(seller, "withdraw_listing", { p_listing_id: listing });
  assert.equal(await canRead(buyer, listing), true);
  await db`delete from auth.users where id = ${seller.id}`;
  assert.equal(await canRead(buyer, listing), true);
  assert.equal((await library(buyer))[0]?.title, "Patient tutor");
  assert.equal(await balanced(db, seller), 1_600);
  await db.end();
});

Deno.test("who has not bought reads the listing and not what it sells; nobody without a session buys or sells", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const other = await signUp("stranger");
  const { data } = await other.client.from("listings").select("title").eq("id", listing);
  assert.deepEqual(data, [{ title: "Patient tutor" }]);
  assert.equal(await canRead(other, listing), false);
  const open = await stranger().from("listing_definitions").select("instructions");
  assert.ok(open.error || open.data.length === 0);
  for (const name of ["purchase", "seller", "licence"]) {
    const body = { listing_id: listing };
    assert.equal((await request(`/functions/v1/${name}`, { body })).status, 401, name);
  }
  for (const name of ["marketplace-sync", "ledger-check"]) {
    const { publishable_key: apikey } = stack();
    const asUser = await request(`/functions/v1/${name}`, {
      token: other.token,
      body: {},
      headers: { apikey },
    });
    assert.equal(asUser.status, 401, name);
  }
  const licence = { licence_id: crypto.randomUUID(), action: "cancel" };
  assert.deepEqual(await refused(other, "licence", licence), [404, "licence_not_found"]);
  assert.deepEqual(await refused(other, "seller", { action: "update" }), [403, "seller_required"]);
  await db.end();
});
