import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { type Books, comparisons, toBooks } from "../domain/books.ts";
import { log } from "../log.ts";
import { callingStripe, type Stripe, stripe } from "../stripe.ts";
import { checkPlatform } from "./platform_check.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { syncSeller } from "./seller.ts";

const AT_A_TIME = 25;
/** A scheduled function has little more than a minute. */
const BUDGET_MS = 40_000;
/** Of that, what our own balance may take. */
const PLATFORM_MS = 15_000;
const MAX_TRANSFERS = 10_000;
/** Sales looked at again when something differs: the newest are those whose events may be on their way. */
const REPAIRS = 20;

interface CheckReport {
  checked: number;
  /** Balance transactions of ours that were compared. */
  movements: number;
  drifts: number;
  failed: number;
  /** Where to go on: the time was up. Null: the last creator was looked at. */
  next: string | null;
}

/**
 * Lays the ledger beside Stripe for creators in the order of their ids: the balance of their connected account, and
 * what was transferred to it less what was taken back. With the payouts, which are fetched first, these leave nothing over
 * but our fees, so a fee that differs is a balance that differs. What differs is fetched again and compared once more;
 * every comparison is written down, and a drift is in `billing.problems` until a later one finds none. Call again with
 * `after: next` until it is null. One creator that fails does not end the walk, Stripe being away does.
 *
 * Without a place to begin it is the scheduled check, which goes on where the last one stopped and keeps its place after
 * every page: a run that is killed has not looked in vain. That one also compares the movements of our own balance.
 */
export async function checkLedger(
  admin: db.Client,
  begin: string | undefined,
): Promise<CheckReport> {
  const report: CheckReport = { checked: 0, movements: 0, drifts: 0, failed: 0, next: null };
  const deadline = Date.now() + BUDGET_MS;
  const isScheduled = begin === undefined;
  if (isScheduled) await checkOwn(admin, report);
  let after = isScheduled ? await db.ledgerCheckCursor(admin) : begin;
  do {
    report.next = after = await checkPage(admin, after, report);
    if (isScheduled) await db.moveLedgerCheck(admin, after);
  } while (after !== null && Date.now() < deadline);
  if (after !== null) log("info", "ledger_check_goes_on", { next: after });
  return report;
}

/** Our own balance; what goes wrong with it keeps no creator from being looked at. */
async function checkOwn(admin: db.Client, report: CheckReport): Promise<void> {
  try {
    Object.assign(report, await checkPlatform(admin, Date.now() + PLATFORM_MS));
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    if (code === "billing_unavailable") throw error;
    report.failed += 1;
    log("error", "ledger_check_failed", { account: "platform", code });
  }
}

/** Adds what was found to the report and answers where to go on. */
async function checkPage(
  admin: db.Client,
  after: string | null,
  report: CheckReport,
): Promise<string | null> {
  const sellers = await db.ledgerSellers(admin, after, AT_A_TIME);
  for (const { seller_id, account } of sellers) {
    report.checked += 1;
    try {
      report.drifts += await checkSeller(admin, account, seller_id);
    } catch (error) {
      const code = error instanceof AppError ? error.code : "internal_error";
      if (code === "billing_unavailable") throw error;
      report.failed += 1;
      log("error", "ledger_check_failed", { account, code });
    }
  }
  return sellers.length < AT_A_TIME ? null : sellers.at(-1)?.seller_id ?? null;
}

/** The number of figures that differ, after what could be repaired was. */
async function checkSeller(admin: db.Client, account: string, seller: string): Promise<number> {
  await syncSeller(admin, account);
  const { books, transfers } = await fetchBooks(account);
  const differs = comparisons(account, await db.ledgerOf(admin, seller), books)
    .some(({ ledger, stripe }) => ledger !== stripe);
  if (differs) await repair(admin, transfers);
  let drifts = 0;
  for (const one of comparisons(account, await db.ledgerOf(admin, seller), books)) {
    const drift = await db.noteLedgerCheck(admin, one);
    if (drift === 0) continue;
    drifts += 1;
    log("error", "ledger_drift", { subject: one.subject, currency: one.currency, drift });
  }
  return drifts;
}

async function fetchBooks(
  account: string,
): Promise<{ books: Books; transfers: Stripe.Transfer[] }> {
  const [balance, transfers] = await Promise.all([
    callingStripe(() => stripe().balance.retrieve({}, { stripeAccount: account })),
    callingStripe(() =>
      stripe().transfers.list({ destination: account, limit: 100 })
        .autoPagingToArray({ limit: MAX_TRANSFERS })
    ),
  ]);
  return { books: toBooks(balance, transfers, transfers.length < MAX_TRANSFERS), transfers };
}

/** An event may have been lost of a purchase that nothing else looks at any more. */
async function repair(admin: db.Client, transfers: Stripe.Transfer[]): Promise<void> {
  const purchases = new Set<string>();
  for (const { source_transaction: source } of transfers.slice(0, REPAIRS)) {
    const charge = typeof source === "string" ? source : source?.id;
    const purchase = charge ? await db.findPurchase(admin, { charge }) : null;
    if (purchase !== null) purchases.add(purchase);
  }
  for (const purchase of purchases) await syncPurchase(admin, purchase);
}
