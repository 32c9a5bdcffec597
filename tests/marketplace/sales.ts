import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  type Creator,
  creator,
  fund,
  marketplaceSync,
  owned,
  owner,
  platformGap,
  publish,
} from "../support/marketplace.ts";
import { quiet } from "../support/sandbox.ts";
import { type Person, sql } from "../support/stack.ts";

export interface SoldListing {
  db: postgres.Sql;
  seller: Creator;
  listing: string;
  buyer: Person;
  purchase: string;
}

/**
 * A creator with one sale of 20.00, of which 4.00 are ours; nothing but the sale and what `work` says changes what Stripe has of
 * ours (`gone`: and the ledger does not).
 */
export async function sold(
  work: (sale: SoldListing) => Promise<void>,
  gone = 0,
): Promise<void> {
  const db = sql();
  try {
    // The bank's fee for a dispute is more than our share of the sale.
    await fund(10_000);
    await quiet();
    const gap = await platformGap(db);
    const seller = await creator(db);
    const listing = await publish(seller);
    const buyer = await owner(listing);
    const { purchase_id } = await owned(buyer);
    await work({ db, seller, listing, buyer, purchase: purchase_id });
    await quiet();
    assert.equal(
      await platformGap(db) - gone,
      gap,
      "our balance at Stripe is not what the ledger says",
    );
  } finally {
    await db.end();
  }
}

/** What is due by the clock is due now. */
export async function retryNow(db: postgres.Sql): Promise<void> {
  await db`update billing.refund_requests set next_attempt_at = now() where status = 'pending'`;
  await db`update billing.purchase_disputes set next_attempt_at = now()`;
}

/** What is due by the clock is done. */
export async function workNow(db: postgres.Sql): Promise<void> {
  await retryNow(db);
  await marketplaceSync();
  await quiet();
}

/** What nobody has resolved, of this kind. */
export async function problems(db: postgres.Sql, kind: string): Promise<string[]> {
  const rows = await db<{ subject: string }[]>`
    select subject from billing.problems where kind = ${kind} and resolved_at is null`;
  return rows.map(({ subject }) => subject);
}
