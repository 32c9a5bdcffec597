import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { balanceByCurrency } from "../domain/seller.ts";
import { log } from "../log.ts";
import { callingStripe, stripe } from "../stripe.ts";
import { syncSeller } from "./seller.ts";

const AT_A_TIME = 25;
const MAX_TRANSFERS = 10_000;

/** What Stripe says of one connected account, by currency. */
interface Books {
  balance: Map<string, number>;
  transferred: Map<string, number>;
}

/**
 * Lays the ledger beside Stripe for a batch of creators in the order of their ids: their balance at Stripe, and what was
 * transferred to them less what was taken back. Every comparison is written down; one that differs is in `billing.problems`
 * until it does not any more. Call again with `after: next` until it is null. One creator that fails does not end the walk,
 * Stripe being away does.
 */
export async function checkLedger(admin: db.Client, after: string | null) {
  const rows = await db.sellerLedger(admin, after, AT_A_TIME);
  const accounts = Map.groupBy(rows, ({ account }) => account);
  let drifts = 0;
  let failed = 0;
  for (const account of accounts.keys()) {
    try {
      drifts += await checkSeller(admin, account);
    } catch (error) {
      const code = error instanceof AppError ? error.code : "internal_error";
      if (code === "billing_unavailable") throw error;
      failed += 1;
      log("error", "ledger_check_failed", { account, code });
    }
  }
  const next = accounts.size < AT_A_TIME ? null : rows.at(-1)?.seller_id ?? null;
  return { checked: accounts.size, drifts, failed, next };
}
