import assert from "node:assert/strict";
import type postgres from "postgres";
import { mustLeave, mustStay, openPage, pay, press } from "../support/hosted.ts";
import {
  balanced,
  buy,
  call,
  canRead,
  chargeOf,
  type Creator,
  creator,
  decide,
  fund,
  library,
  openDispute,
  type Owned,
  owned,
  publish,
  purchase,
  refused,
} from "../support/marketplace.ts";
import { quiet } from "../support/sandbox.ts";
import { advance, type Late, lateLicence, onClock, seconds } from "../support/months.ts";
import { signUp, sql, stripe } from "../support/stack.ts";

const CARD = {
  "Card number": "4242 4242 4242 4242",
  "Expiry": "12 / 40",
  "CVC": "123",
  "Name on card": "Ada Lovelace",
};

interface LateSale extends Late {
  db: postgres.Sql;
  seller: Creator;
  listing: string;
}

async function late(work: (late: LateSale) => Promise<void>): Promise<void> {
  const db = sql();
  try {
    const seller = await creator(db);
    const listing = await publish(seller, { kind: "monthly", price_minor: 1_000 });
    await work({ db, seller, listing, ...await lateLicence(db, listing) });
  } finally {
    await db.end();
  }
}

async function invoiceOf(customer: string): Promise<string | null | undefined> {
  return (await stripe().invoices.list({ customer })).data[0]?.status;
}

Deno.test("a licence that is not paid past its grace says what is open, and paying that brings it back", async () => {
  await late(async ({ db, seller, listing, buyer, row }) => {
    assert.deepEqual([row.reason, row.purchase_status], ["payment_failed", "past_due"]);
    assert.equal(row.open_minor, 1_000);
    assert.equal(await canRead(buyer, listing), false);
    assert.deepEqual(await refused(buyer, "purchase", { listing_id: listing }), [
      409,
      "licence_unpaid",
    ]);
    const page = mustStay(await press(await openPage(row.open_invoice_url ?? ""), "Pay", CARD));
    assert.match(page.html, /this invoice is paid/);
    const paid = await owned(buyer);
    assert.deepEqual([paid.purchase_status, paid.open_invoice_url], ["active", null]);
    assert.equal(await canRead(buyer, listing), true);
    await quiet();
    assert.equal(await balanced(db, seller), 1_600);
  });
});

Deno.test("a licence that is not paid past its grace can be cancelled: nothing is owed, and it can be bought again", async () => {
  await late(async ({ listing, buyer, customer, row }) => {
    const { licence_id } = row;
    const stranger = await signUp("stranger");
    const wish = { licence_id, action: "cancel" };
    assert.deepEqual(await refused(stranger, "licence", wish), [404, "licence_not_found"]);
    const { licence } = await call<{ licence: Owned }>(buyer, "licence", wish);
    assert.deepEqual([licence.purchase_status, licence.open_invoice_url], ["canceled", null]);
    assert.equal(await invoiceOf(customer), "void");
    assert.deepEqual(await refused(buyer, "licence", wish), [409, "licence_ended"]);
    await quiet();
    const url = await purchase(buyer, listing);
    mustLeave(await pay(url, CARD["Card number"], "Subscribe"));
    await quiet();
    const statuses = (await library(buyer)).map(({ status }) => status);
    assert.deepEqual(statuses, ["active", "revoked"]);
  });
});

Deno.test("a licence that Stripe gives up leaves no month that could still be paid for nothing", async () => {
  await late(async ({ listing, buyer, customer, clock, row }) => {
    await advance(clock, seconds(row.current_period_end) + 20 * 86_400);
    await owned(buyer, ({ purchase_status }) => purchase_status === "canceled");
    await quiet();
    assert.equal(await invoiceOf(customer), "void");
    assert.equal((await library(buyer))[0]?.open_invoice_url, null);
    await purchase(buyer, listing);
  });
});

/** Whether the only subscription of this customer ends with its month. */
async function ends(customer: string): Promise<boolean | undefined> {
  await quiet();
  return (await stripe().subscriptions.list({ customer })).data[0]?.cancel_at_period_end;
}

Deno.test("while a bank decides about a month the next one is not charged; won, it goes on, unless the buyer has ended it", async () => {
  const db = sql();
  await fund(10_000);
  const listing = await publish(await creator(db), { kind: "monthly", price_minor: 1_000 });
  const { person: buyer, clock, customer } = await onClock("disputer");
  await buy(buyer, listing, { button: "Subscribe" });
  const { licence_id, current_period_end } = await owned(buyer);
  await quiet();
  const first = await openDispute(await chargeOf(db, buyer));
  const held = await owned(buyer, (row) => row.cancel_at_period_end);
  assert.equal(held.status, "suspended");
  assert.equal(await ends(customer), true);
  await decide(first, "won");
  await owned(buyer, (row) => !row.cancel_at_period_end);
  assert.equal(await ends(customer), false);
  const end = seconds(current_period_end);
  await advance(clock, end + 2 * 3_600);
  await owned(buyer, (row) => seconds(row.current_period_end) > end);
  await quiet();
  const second = await openDispute(await chargeOf(db, buyer));
  await owned(buyer, (row) => row.cancel_at_period_end);
  await call(buyer, "licence", { licence_id, action: "cancel" });
  await decide(second, "won");
  const row = await owned(buyer);
  assert.equal(row.cancel_at_period_end, true);
  assert.equal(await ends(customer), true);
  await db.end();
});

Deno.test("a month that is undecided when it ends is the last one, and nothing is charged for the next", async () => {
  const db = sql();
  await fund(10_000);
  const listing = await publish(await creator(db), { kind: "monthly", price_minor: 1_000 });
  // Their month is over by our own time as well.
  const { person: buyer, clock, customer } = await onClock("disputer", 32);
  await buy(buyer, listing, { button: "Subscribe" });
  const { current_period_end } = await owned(buyer);
  await quiet();
  const dispute = await openDispute(await chargeOf(db, buyer));
  assert.equal(await ends(customer), true);
  await advance(clock, seconds(current_period_end) + 2 * 3_600);
  assert.equal((await stripe().charges.list({ customer })).data.length, 1);
  await decide(dispute, "won");
  const row = await owned(buyer, ({ status }) => status === "revoked");
  assert.deepEqual([row.purchase_status, row.reason], ["canceled", "canceled"]);
  await purchase(buyer, listing);
  await db.end();
});
