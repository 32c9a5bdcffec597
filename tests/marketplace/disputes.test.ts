import assert from "node:assert/strict";
import {
  balanced,
  canRead,
  chargeOf,
  creator,
  daysPass,
  decide,
  fund,
  marketplaceSync,
  openDispute,
  owned,
  owner,
  publish,
  refund,
} from "../support/marketplace.ts";
import { quiet, sandbox } from "../support/sandbox.ts";
import { sql, stripe } from "../support/stack.ts";
import { problems, retryNow, sold, workNow } from "./sales.ts";

Deno.test("a dispute suspends the licence and takes the share back; won, both are there again", async () => {
  await sold(async ({ db, seller, listing, buyer }) => {
    const dispute = await openDispute(await chargeOf(db, buyer));
    const row = await owned(buyer, ({ status }) => status === "suspended");
    assert.equal(row.reason, "dispute_open");
    assert.equal(await canRead(buyer, listing), false);
    assert.equal(await balanced(db, seller), 1_600);
    await marketplaceSync();
    assert.equal(await balanced(db, seller), 0);
    // Nothing is taken twice.
    await retryNow(db);
    await marketplaceSync();
    assert.equal(await balanced(db, seller), 0);
    await decide(dispute, "won");
    await owned(buyer);
    await daysPass(4);
    await retryNow(db);
    await marketplaceSync();
    await quiet();
    assert.equal(await balanced(db, seller), 1_600);
    assert.equal(await canRead(buyer, listing), true);
  });
});

Deno.test("a dispute that is lost takes the licence, and the creator bears their share", async () => {
  await sold(async ({ db, seller, listing, buyer, purchase }) => {
    const dispute = await openDispute(await chargeOf(db, buyer));
    await decide(dispute, "lost");
    const row = await owned(buyer, ({ status }) => status === "revoked");
    assert.deepEqual([row.purchase_status, row.reason], ["lost", "dispute_lost"]);
    await marketplaceSync();
    assert.equal(await balanced(db, seller), 0);
    assert.equal(await canRead(buyer, listing), false);
    await assert.rejects(refund(db, purchase), /is disputed/);
  });
});

Deno.test("after a won dispute a refund takes back what was paid again", async () => {
  await sold(async ({ db, seller, buyer, purchase }) => {
    const dispute = await openDispute(await chargeOf(db, buyer));
    await marketplaceSync();
    await decide(dispute, "won");
    await daysPass(4);
    await retryNow(db);
    await marketplaceSync();
    assert.equal(await balanced(db, seller), 1_600);
    await refund(db, purchase, 500);
    assert.equal(await balanced(db, seller), 1_200);
    await refund(db, purchase);
    await owned(buyer, ({ status }) => status === "revoked");
    assert.equal(await balanced(db, seller), 0);
  });
});

Deno.test("an inquiry of the bank touches nothing", async () => {
  await sold(async ({ db, seller, listing, buyer }) => {
    const charge = await chargeOf(db, buyer);
    await sandbox(`/charges/${charge}/dispute`, { reason: "inquiry" });
    await quiet();
    await marketplaceSync();
    assert.equal(await canRead(buyer, listing), true);
    assert.equal(await balanced(db, seller), 1_600);
    const [row] = await db`select status from billing.disputes where seller_id = ${seller.seller}`;
    assert.match(row?.["status"], /^warning_/);
  });
});

Deno.test("a share that cannot be paid again for want of money is paid when there is some", async () => {
  const db = sql();
  await fund(10_000);
  const seller = await creator(db);
  const buyer = await owner(await publish(seller));
  const dispute = await openDispute(await chargeOf(db, buyer));
  await marketplaceSync();
  await db`
    update billing.purchase_disputes set next_attempt_at = now() + interval '1 hour' where id = ${dispute}`;
  await decide(dispute, "won");
  const { available } = await stripe().balance.retrieve();
  const amount = available.find(({ currency }) => currency === "usd")?.amount ?? 0;
  await stripe().payouts.create({ amount, currency: "usd" });
  await retryNow(db);
  await marketplaceSync();
  const [waiting] = await db`
    select transfer_state, last_error from billing.purchase_disputes where id = ${dispute}`;
  assert.equal(waiting?.["transfer_state"], "reversed");
  assert.match(waiting?.["last_error"], /balance_insufficient/);
  assert.equal(await balanced(db, seller), 0);
  await fund(amount);
  await retryNow(db);
  await marketplaceSync();
  await quiet();
  assert.equal(await balanced(db, seller), 1_600);
  await db.end();
});

const REVERSALS = { method: "POST", path: "/v1/transfers/", contains: "reversals" };
const FEE_REFUNDS = { method: "POST", path: "/v1/application_fees/" };

Deno.test("a dispute that is won before the clock struck takes nothing back and pays nothing again", async () => {
  await sold(async ({ db, seller, buyer, listing }) => {
    const charge = await chargeOf(db, buyer);
    // Nobody hears of it before it is decided.
    await sandbox("/delivery", { mode: "hold" });
    const { id } = await sandbox<{ id: string }>(`/charges/${charge}/dispute`, {});
    await sandbox(`/disputes/${id}`, { outcome: "won" });
    await sandbox("/delivery", { mode: "release" });
    await quiet();
    await workNow(db);
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_600);
    const { data } = await stripe().transfers.list({ destination: seller.account });
    assert.deepEqual(data.map(({ amount_reversed }) => amount_reversed), [0]);
    assert.equal(await canRead(buyer, listing), true);
  });
});

Deno.test("a share that was taken back by somebody who died is paid again when the dispute is won meanwhile", async () => {
  await sold(async ({ db, seller, buyer }) => {
    const dispute = await openDispute(await chargeOf(db, buyer));
    // Carried out, and the answer lost, however often the SDK asks.
    await sandbox("/faults", { kind: "timeout_after", times: 3, match: REVERSALS });
    await marketplaceSync();
    await sandbox("/faults", undefined, "DELETE");
    await quiet();
    assert.equal(await balanced(db, seller), -400);
    await decide(dispute, "won");
    await daysPass(4);
    await workNow(db);
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_600);
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_600);
  });
});

Deno.test("a fee that Stripe does not give back is an operator's, and a win pays all that was taken", async () => {
  await sold(async ({ db, seller, buyer }) => {
    const dispute = await openDispute(await chargeOf(db, buyer));
    await sandbox("/faults", { kind: "status", status: 400, times: 3, match: FEE_REFUNDS });
    await marketplaceSync();
    await sandbox("/faults", undefined, "DELETE");
    await quiet();
    assert.equal(await balanced(db, seller), -400);
    assert.ok((await problems(db, "fee_refund_failed")).includes(dispute));
    await decide(dispute, "won");
    await daysPass(4);
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_600);
    assert.ok(!(await problems(db, "reversal_failed")).includes(dispute));
  });
});

/** The bank takes half of the sale and gives it back; the creator has their share again. */
async function halfWon(charge: string, db: ReturnType<typeof sql>): Promise<void> {
  const { id } = await sandbox<{ id: string }>(`/charges/${charge}/dispute`, { amount: 1_000 });
  await quiet();
  await marketplaceSync();
  await decide(id, "won");
  await daysPass(4);
  await workNow(db);
}

Deno.test("after a part was disputed and won, refunds take back their part of what was paid again, to the last cent", async () => {
  await sold(async ({ db, seller, buyer, purchase }) => {
    const charge = await chargeOf(db, buyer);
    const { id } = await sandbox<{ id: string }>(`/charges/${charge}/dispute`, { amount: 1_000 });
    await quiet();
    await marketplaceSync();
    await quiet();
    assert.equal(await balanced(db, seller), 800);
    await decide(id, "won");
    await daysPass(4);
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_600);
    await refund(db, purchase, 500);
    assert.equal(await balanced(db, seller), 1_200);
    await refund(db, purchase);
    assert.equal(await balanced(db, seller), 0);
    await owned(buyer, ({ status }) => status === "revoked");
  });
});

Deno.test("a refund at Stripe's dashboard after a part was disputed and won takes back what was paid again, too", async () => {
  await sold(async ({ db, seller, buyer }) => {
    const charge = await chargeOf(db, buyer);
    await halfWon(charge, db);
    assert.equal(await balanced(db, seller), 1_600);
    await stripe().refunds.create({ charge, reverse_transfer: true, refund_application_fee: true });
    await quiet();
    await workNow(db);
    assert.equal(await balanced(db, seller), 0);
  });
});

Deno.test("a part that is lost costs the creator their share of that part", async () => {
  await sold(async ({ db, seller, buyer, listing }) => {
    const charge = await chargeOf(db, buyer);
    const { id } = await sandbox<{ id: string }>(`/charges/${charge}/dispute`, { amount: 500 });
    await decide(id, "lost");
    await workNow(db);
    assert.equal(await balanced(db, seller), 1_200);
    assert.equal(await canRead(buyer, listing), false);
  });
});
