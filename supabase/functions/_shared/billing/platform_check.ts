import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { type Movement, toMovement } from "../domain/movements.ts";
import { log } from "../log.ts";
import { callingStripe, isMissing, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";

const AT_A_TIME = 100;
/** Before the first comparison there is no place to go on from. */
const MAX_FIRST = 10_000;

/** A movement of which the ledger says something else, and the purchase it is of. */
interface Differing {
  movement: Movement;
  purchase: string | null;
  ledger: number;
}

export interface PlatformReport {
  movements: number;
  drifts: number;
}

/**
 * Lays the movements of our own balance beside the ledger, each by itself, oldest first, going on where the last call stopped:
 * charges, refunds and disputes of purchases with Stripe's fees, and every transfer and application fee, whoever made it. What
 * differs is fetched again and compared once more; a drift is in `billing.problems` and compared again until it is none.
 */
export async function checkPlatform(admin: db.Client, deadline: number): Promise<PlatformReport> {
  const report: PlatformReport = { movements: 0, drifts: 0 };
  const again = await db.driftingMovements(admin);
  await checkAll(admin, (await Promise.all(again.map(retrieve))).flat(), report);
  const { after, from } = await db.platformCheckCursor(admin);
  let place = after;
  if (place === null) {
    const first = await firstMovements(from);
    for (let begin = 0; begin < first.length && Date.now() < deadline; begin += AT_A_TIME) {
      place = await checkPage(admin, first.slice(begin, begin + AT_A_TIME), report);
    }
  }
  while (place !== null && Date.now() < deadline) {
    const page = await nextMovements(place);
    if (page.length === 0) break;
    place = await checkPage(admin, page, report);
  }
  return report;
}

/** `page`: oldest first. Answers where to go on, which is kept as soon as it was compared. */
async function checkPage(
  admin: db.Client,
  page: Stripe.BalanceTransaction[],
  report: PlatformReport,
): Promise<string | null> {
  await checkAll(admin, page, report);
  const last = page.at(-1)?.id ?? null;
  if (last !== null) await db.movePlatformCheck(admin, last);
  return last;
}

async function checkAll(
  admin: db.Client,
  transactions: Stripe.BalanceTransaction[],
  report: PlatformReport,
): Promise<void> {
  const movements = transactions.flatMap((one) => toMovement(one) ?? []);
  report.movements += movements.length;
  const differing = await compare(admin, movements);
  await repair(admin, differing);
  const still = await compare(admin, differing.map(({ movement }) => movement));
  const ledgerOf = new Map(still.map(({ movement, ledger }) => [movement.id, ledger]));
  const wasDrifting = new Set(await db.driftingMovements(admin));
  for (const movement of movements) {
    const { id, currency, net, type } = movement;
    const ledger = ledgerOf.get(id) ?? net;
    if (ledger === net && !wasDrifting.has(id)) continue;
    const drift = await db.noteLedgerCheck(admin, { subject: id, currency, ledger, stripe: net });
    if (drift === 0) continue;
    report.drifts += 1;
    log("error", "ledger_drift", { subject: id, type, drift });
  }
}

/** An event may have been lost, or be on its way. A purchase that cannot be fetched must not hold up the others: it stays a drift. */
async function repair(admin: db.Client, differing: Differing[]): Promise<void> {
  const purchases = new Set(differing.flatMap(({ purchase }) => purchase ?? []));
  for (const purchase of purchases) {
    try {
      await syncPurchase(admin, purchase);
    } catch (error) {
      const code = error instanceof AppError ? error.code : "internal_error";
      if (code === "billing_unavailable") throw error;
      log("error", "purchase_sync_failed", { purchase, code });
    }
  }
}

/** Those of which the ledger says something else. What is of no purchase is a plan's or the operator's, if it may be. */
async function compare(admin: db.Client, movements: Movement[]): Promise<Differing[]> {
  const rows = await db.platformMovements(admin, movements);
  const said = new Map(rows.map((row) => [row.id, row]));
  return movements.flatMap((movement) => {
    const row = said.get(movement.id);
    const purchase: string | null = row?.purchase_id ?? null;
    const ledger = row?.ledger_minor ?? 0;
    const isOurs = purchase !== null || movement.isMarketplace;
    return isOurs && ledger !== movement.net ? [{ movement, purchase, ledger }] : [];
  });
}

/** Nothing when Stripe does not know it any more, as after a change of accounts: what cannot be compared stays as it is. */
async function retrieve(id: string): Promise<Stripe.BalanceTransaction[]> {
  try {
    return [await stripe().balanceTransactions.retrieve(id, { expand: ["source"] })];
  } catch (error) {
    if (isMissing(error)) return [];
    return await callingStripe(() => Promise.reject(error));
  }
}

/** The first ones since that second, oldest first. */
async function firstMovements(from: number): Promise<Stripe.BalanceTransaction[]> {
  const found = await callingStripe(() =>
    stripe().balanceTransactions.list({
      created: { gte: from },
      limit: AT_A_TIME,
      expand: ["data.source"],
    }).autoPagingToArray({ limit: MAX_FIRST })
  );
  return found.reverse();
}

/** The ones right after this one, oldest first. */
async function nextMovements(after: string): Promise<Stripe.BalanceTransaction[]> {
  const { data } = await callingStripe(() =>
    stripe().balanceTransactions.list({
      ending_before: after,
      limit: AT_A_TIME,
      expand: ["data.source"],
    })
  );
  return data.reverse();
}
