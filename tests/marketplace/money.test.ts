import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  balanced,
  canRead,
  chargeOf,
  type Creator,
  creator,
  daysPass,
  fund,
  ledger,
  library,
  marketplaceSync,
  owned,
  owner,
  publish,
  refund,
} from "../support/marketplace.ts";
import { operator, quiet, sandbox } from "../support/sandbox.ts";
import { eventually, sql, stripe } from "../support/stack.ts";
import { problems, retryNow, sold } from "./sales.ts";

Deno.test("a part is refunded, then the rest: the creator gives back their share, we our fee, and the licence goes last", async () => {
  await sold(async ({ db, seller, listing, buyer, purchase }) => {
    await refund(db, purchase, 500);
    const partly = await owned(buyer);
    assert.deepEqual([partly.purchase_status, partly.refunded_minor], ["partially_refunded", 500]);
    assert.equal(await balanced(db, seller), 1_200);
    assert.equal(await canRead(buyer, listing), true);
    await refund(db, purchase);
    const row = await owned(buyer, ({ status }) => status === "revoked");
    assert.deepEqual([row.purchase_status, row.reason], ["refunded", "refunded"]);
    assert.equal(await balanced(db, seller), 0);
    assert.equal(await canRead(buyer, listing), false);
    await assert.rejects(refund(db, purchase), /there is 0 left to refund/);
  });
});

Deno.test("a refund made at Stripe's dashboard is heard of and posted", async () => {
  await sold(async ({ db, seller, buyer }) => {
    const charge = await chargeOf(db, buyer);
    await stripe().refunds.create({ charge, reverse_transfer: true, refund_application_fee: true });
    await owned(buyer, ({ status }) => status === "revoked");
    await quiet();
    assert.equal(await balanced(db, seller), 0);
  });
});

Deno.test("a refund whose answer was lost is made once", async () => {
  await sold(async ({ db, seller, buyer, purchase }) => {
    await sandbox("/faults", {
      kind: "timeout_after",
      times: 3,
      match: { method: "POST", path: "/v1/refunds" },
    });
    await refund(db, purchase, 700);
    await sandbox("/faults", undefined, "DELETE");
    await retryNow(db);
    const done = await marketplaceSync();
    assert.deepEqual([done["refunded"], done["refused"]], [1, 0]);
    const { data } = await stripe().refunds.list({ charge: await chargeOf(db, buyer) });
    assert.deepEqual(data.map(({ amount }) => amount), [700]);
    await quiet();
    assert.equal(await balanced(db, seller), 1_600 - 560);
  });
});

Deno.test("what Stripe refuses to refund is an operator's problem, with Stripe's words, and is not asked for again", async () => {
  await sold(async ({ db, buyer, purchase }) => {
    const [request] = await db<{ id: string }[]>`
      select billing.refund_purchase(${purchase}, null, 'too late') as id`;
    const charge = await chargeOf(db, buyer);
    await stripe().refunds.create({ charge, reverse_transfer: true, refund_application_fee: true });
    await quiet();
    assert.equal((await marketplaceSync())["refused"], 1);
    const [row] = await db`
      select status, last_error from billing.refund_requests where id = ${request?.id ?? ""}`;
    assert.equal(row?.["status"], "failed");
    assert.match(row?.["last_error"], /charge_already_refunded/);
    assert.ok((await problems(db, "refund_failed")).includes(request?.id ?? ""));
    await retryNow(db);
    assert.equal((await marketplaceSync())["refused"], 0);
  });
});

Deno.test("a refund after the payout leaves the creator owing, and the next sale pays it off", async () => {
  await sold(async ({ db, seller, listing, purchase }) => {
    await daysPass(4);
    const payout = { amount: 1_600, currency: "usd" };
    await stripe().payouts.create(payout, { stripeAccount: seller.account });
    await quiet();
    await eventually(
      () => ledger(db, "creator_bank", "usd", seller.seller),
      (sum) => sum === 1_600,
    );
    assert.equal(await balanced(db, seller), 0);
    await refund(db, purchase);
    assert.equal(await balanced(db, seller), -1_600);
    await owner(listing);
    assert.equal(await balanced(db, seller), 0);
  });
});

Deno.test("the hourly check repairs what no event told, and shows what it cannot explain", async () => {
  const db = sql();
  const seller = await creator(db);
  const listing = await publish(seller);
  const buyer = await owner(listing);
  assert.deepEqual(await check(db, seller), [0, 0]);
  await sandbox("/delivery", { mode: "drop" });
  const charge = await chargeOf(db, buyer);
  await stripe().refunds.create({ charge, reverse_transfer: true, refund_application_fee: true });
  await sandbox("/delivery", { mode: "normal" });
  assert.deepEqual(await check(db, seller), [0, 0]);
  assert.equal((await library(buyer))[0]?.status, "revoked");
  await fund(10_000);
  await stripe().transfers.create({ amount: 77, currency: "usd", destination: seller.account });
  await quiet();
  assert.deepEqual(await check(db, seller), [-77, -77]);
  const drifting = (await problems(db, "ledger_drift")).filter((one) =>
    one.includes(seller.account)
  );
  assert.equal(drifting.length, 2);
  await db.end();
});

Deno.test("the hourly check goes on where the last one stopped, and begins again after the last creator", async () => {
  const db = sql();
  await db`
    update billing.ledger_check_cursor set after = 'ffffffff-ffff-4fff-bfff-ffffffffffff'`;
  const rest = (await operator("ledger-check")).body as { checked: number };
  assert.equal(rest.checked, 0);
  let again = (await operator("ledger-check")).body as { checked: number; next: string | null };
  assert.ok(again.checked > 0);
  // With many creators one call has not the time for all of them.
  for (let call = 0; call < 20 && again.next !== null; call++) {
    again = (await operator("ledger-check")).body as typeof again;
  }
  assert.equal(again.next, null);
  await db.end();
});

Deno.test("the hourly check looks at a creator of whom the ledger has never heard", async () => {
  const db = sql();
  const seller = await creator(db);
  await fund(10_000);
  await stripe().transfers.create({ amount: 55, currency: "usd", destination: seller.account });
  await quiet();
  assert.deepEqual(await check(db, seller), [-55, -55]);
  await db.end();
});

interface Checked {
  movements: number;
  drifts: number;
}

/** The scheduled check, until all that has moved of our own was compared. */
async function checkOwn(): Promise<Checked> {
  return (await operator("ledger-check")).body as Checked;
}

Deno.test("our own balance is compared movement by movement: what no event told is repaired, what nobody can explain is shown until it is explained", async () => {
  await sold(async ({ db, seller, buyer }) => {
    await checkOwn();
    const charge = await chargeOf(db, buyer);
    await sandbox("/delivery", { mode: "drop" });
    await stripe().refunds.create({ charge, reverse_transfer: true, refund_application_fee: true });
    // Of a plan, or anything else that is not the marketplace's.
    await fund(500);
    await sandbox("/delivery", { mode: "normal" });
    const repaired = await checkOwn();
    assert.ok(repaired.movements >= 4, JSON.stringify(repaired));
    assert.equal((await library(buyer))[0]?.status, "revoked");
    assert.equal(await balanced(db, seller), 0);
    const before = await problems(db, "ledger_drift");
    const transfer = await stripe().transfers.create({
      ...{ amount: 33, currency: "usd", destination: seller.account },
    });
    await quiet();
    await checkOwn();
    const found = (await problems(db, "ledger_drift")).filter((one) => !before.includes(one));
    const subject = `${transfer.balance_transaction} usd`;
    assert.ok(found.includes(subject), found.join());
    // Nothing has changed: it is still there, although what came after it was compared as well.
    await fund(500);
    await checkOwn();
    assert.ok((await problems(db, "ledger_drift")).includes(subject));
    const [said] = await db`
      select ledger_minor::int, stripe_minor::int from billing.ledger_checks
      where subject = ${String(transfer.balance_transaction)} order by id desc limit 1`;
    assert.deepEqual([said?.["ledger_minor"], said?.["stripe_minor"]], [0, -33]);
  }, 33 - 2 * 500);
});

/** The drifts that the newest check of this creator has written down: of the balance, of the transfers. */
async function check(db: postgres.Sql, { account }: Creator): Promise<number[]> {
  // From the first creator on, wherever the scheduled check is.
  let after: string | null = "00000000-0000-0000-0000-000000000000";
  do {
    const answer: Awaited<ReturnType<typeof operator>> = await operator("ledger-check", { after });
    assert.equal(answer.status, 200, answer.text);
    after = (answer.body as { next: string | null }).next;
  } while (after !== null);
  const rows = await db<{ drift: number }[]>`
    select distinct on (subject) drift_minor::int as drift from billing.ledger_checks
    where subject like ${`${account}%`} and currency = 'usd' order by subject, id desc`;
  return rows.map(({ drift }) => drift);
}
