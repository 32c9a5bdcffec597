import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { log } from "../log.ts";
import { workDisputes } from "./disputes.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { sendRefunds } from "./refunds.ts";

const PURCHASES_AT_A_TIME = 50;
/** A scheduled function has little more than a minute. */
const BUDGET_MS = 40_000;

/** What one call did, by number. */
export interface MarketplaceRun {
  refunded: number;
  refused: number;
  disputes: number;
  synced: number;
  failed: number;
}

/** What the marketplace does by the clock: refunds asked for, creators' shares of disputed sales, purchases left unsettled. */
export async function syncMarketplace(admin: db.Client): Promise<MarketplaceRun> {
  const deadline = Date.now() + BUDGET_MS;
  let disputes = await workDisputes(admin);
  const refunds = await sendRefunds(admin);
  // Of what a won dispute had paid again they take a part back.
  if (refunds.refunded > 0) disputes += await workDisputes(admin);
  let synced = 0;
  let failed = 0;
  for (const purchase of await db.duePurchases(admin, PURCHASES_AT_A_TIME)) {
    if (Date.now() >= deadline) break;
    try {
      await syncPurchase(admin, purchase);
      synced += 1;
    } catch (error) {
      failed += 1;
      const code = error instanceof AppError ? error.code : "internal_error";
      log("error", "purchase_sync_failed", { purchase, code });
    }
  }
  return { ...refunds, disputes, synced, failed };
}
