import * as db from "../db.ts";
import { uuidOf } from "../domain/events.ts";
import { type LostSale, lostSale } from "../domain/purchase.ts";
import { AppError } from "../domain/errors.ts";
import { log } from "../log.ts";
import { callingStripe, isPlaceMissing, type Stripe, stripe } from "../stripe.ts";
import { syncPurchase } from "./purchase_sync.ts";
import { expireSession } from "./session.ts";

const BUDGET_MS = 40_000;
const AT_A_TIME = 100;

export interface Adopted {
  /** How many customers were `linked`, are `known` or `foreign`, have `no_user` or an `other_customer`, or `failed`. */
  customers: Record<string, number>;
  /** How many sales were `recreated`, are `known`, `lost`, `expired` or `failed`. */
  purchases: Record<string, number>;
  /** Where to go on: the time was up. Null: everything was looked at. */
  next: string | null;
}

/**
 * After a backup was restored: whose are the customers, and what was sold, that Stripe has and our rows have not? Both were told to
 * Stripe by us, in metadata that nobody else writes. First the customers, then the sales; one that fails does not end the walk,
 * Stripe being away does.
 */
export async function adoptSince(
  admin: db.Client,
  { since, after }: { since: string; after?: string | undefined },
): Promise<Adopted> {
  const adopted: Adopted = { customers: {}, purchases: {}, next: after ?? "customers:" };
  const deadline = Date.now() + BUDGET_MS;
  const created = { gte: Math.floor(new Date(since).getTime() / 1000) };
  while (adopted.next !== null && Date.now() < deadline) {
    const [what, last = ""] = adopted.next.split(":");
    const page = { created, limit: AT_A_TIME, ...(last && { starting_after: last }) };
    try {
      adopted.next = what === "customers"
        ? await customersPage(admin, page, adopted) ?? "sessions:"
        : await sessionsPage(admin, page, adopted);
    } catch (error) {
      if (!(error instanceof AppError && isPlaceMissing(error.cause))) throw error;
      throw new AppError("invalid_request", "after: Stripe does not know it (any more).");
    }
  }
  return adopted;
}

async function customersPage(
  admin: db.Client,
  page: Stripe.CustomerListParams,
  { customers }: Adopted,
): Promise<string | null> {
  const { data, has_more } = await callingStripe(() => stripe().customers.list(page));
  for (const { id, metadata } of data) {
    const user = metadata["user_id"];
    if (user === undefined) continue;
    count(customers, await adoptCustomer(admin, user, id));
  }
  return has_more ? `customers:${data.at(-1)?.id}` : null;
}

/** Others may write a `user_id` of their own into what they make in the same account: it leads to nobody here. */
async function adoptCustomer(admin: db.Client, user: string, customer: string): Promise<string> {
  if (uuidOf(user) === null) return "foreign";
  try {
    const outcome = await db.adoptCustomer(admin, user, customer);
    if (outcome !== "known") log("warn", "customer_adopted", { customer, outcome });
    return outcome;
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    log("error", "customer_not_adopted", { customer, code });
    return "failed";
  }
}

async function sessionsPage(
  admin: db.Client,
  page: Stripe.Checkout.SessionListParams,
  { purchases }: Adopted,
): Promise<string | null> {
  const { data, has_more } = await callingStripe(() => stripe().checkout.sessions.list(page));
  for (const session of data) {
    const sale = lostSale(session);
    if (sale === null) continue;
    count(purchases, await adoptSale(admin, sale));
  }
  return has_more ? `sessions:${data.at(-1)?.id}` : null;
}

/** A session that is open, and of no row of ours, would be paid for nothing: it is closed, and the buyer begins again. */
async function adoptSale(admin: db.Client, sale: LostSale): Promise<string> {
  try {
    const known = await db.findPurchase(admin, { session: sale.session }) !== null;
    if (sale.status !== "complete") {
      if (known) return "known";
      if (await expireSession(sale.session) !== "complete") return "expired";
    }
    const outcome = await db.adoptPurchase(admin, sale);
    if (outcome !== "lost") await syncPurchase(admin, sale.purchase);
    if (outcome !== "known") log("warn", "sale_adopted", { purchase: sale.purchase, outcome });
    return outcome;
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    if (code === "billing_unavailable") throw error;
    log("error", "sale_not_adopted", { purchase: sale.purchase, code });
    return "failed";
  }
}

function count(counts: Record<string, number>, outcome: string): void {
  counts[outcome] = (counts[outcome] ?? 0) + 1;
}
