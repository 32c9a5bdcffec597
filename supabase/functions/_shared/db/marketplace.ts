import { z } from "zod";
import type { Json } from "../database.types.ts";
import type { Comparison } from "../domain/books.ts";
import type { Movement } from "../domain/movements.ts";
import { type Client, type Functions, rows } from "./client.ts";

export type RefundRequest = Functions["lease_refunds"]["Returns"][number];

/** Refunds to make now, each leased to one caller. */
export function leaseRefunds(admin: Client, limit: number): Promise<RefundRequest[]> {
  return rows(admin.rpc("lease_refunds", { p_limit: limit }));
}

export async function refundSent(admin: Client, id: string, refund: string): Promise<void> {
  await rows(admin.rpc("refund_sent", { p_id: id, p_refund: refund }));
}

/** `isFinal`: Stripe will never do it. Otherwise it is tried again later. */
export async function refundFailed(
  admin: Client,
  id: string,
  error: string,
  isFinal: boolean,
): Promise<void> {
  await rows(admin.rpc("refund_failed", { p_id: id, p_error: error, p_final: isFinal }));
}

export type DisputeTask = Functions["dispute_work"]["Returns"][number];

export function disputeWork(admin: Client, limit: number): Promise<DisputeTask[]> {
  return rows(admin.rpc("dispute_work", { p_limit: limit }));
}

/**
 * What was done about the creator's share; the amount is what they lost by it, were paid again, or (`shared`) what had been
 * refunded of the payment. `error`: what Stripe will never do of it.
 */
export interface DisputeOutcome {
  done: "reversed" | "paid_back" | "shared";
  amount: number;
  error?: string;
}

export async function disputeWorkDone(
  admin: Client,
  disputeId: string,
  { done, amount, error }: DisputeOutcome,
): Promise<void> {
  await rows(admin.rpc("note_dispute_work", {
    p_dispute_id: disputeId,
    p_done: done,
    p_amount_minor: amount,
    ...(error !== undefined && { p_error: error }),
  }));
}

/** `isFinal`: Stripe will never do it, and the platform bears it. Otherwise it is tried again, eight times. */
export async function disputeWorkFailed(
  admin: Client,
  disputeId: string,
  error: string,
  isFinal: boolean,
): Promise<void> {
  await rows(admin.rpc("note_dispute_work", {
    p_dispute_id: disputeId,
    p_error: error,
    ...(isFinal && { p_done: "failed" }),
  }));
}

/** A page of the creators whose accounts are compared, by their ids. */
export function ledgerSellers(
  admin: Client,
  after: string | null,
  limit: number,
): Promise<Functions["ledger_sellers"]["Returns"]> {
  return rows(admin.rpc("ledger_sellers", {
    p_limit: limit,
    ...(after !== null && { p_after: after }),
  }));
}

export type SellerLedger = Functions["seller_ledger"]["Returns"][number];

/** The accounts of one creator: the page that begins with them. */
export async function ledgerOf(admin: Client, sellerId: string): Promise<SellerLedger[]> {
  const page = await rows(admin.rpc("seller_ledger", { p_after: before(sellerId), p_limit: 1 }));
  return page.filter(({ seller_id }) => seller_id === sellerId);
}

/** Pages go by what comes after an id: the greatest id that comes before this one. */
function before(uuid: string): string {
  const value = BigInt(`0x${uuid.replaceAll("-", "")}`) - 1n;
  const hex = (value < 0n ? 0n : value).toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Where the scheduled check goes on; null: with the first creator. */
export function ledgerCheckCursor(admin: Client): Promise<string | null> {
  return rows<string | null>(admin.rpc("ledger_check_cursor"));
}

/** Remembers the last creator that was checked; null: all were. */
export async function moveLedgerCheck(admin: Client, after: string | null): Promise<void> {
  await rows(admin.rpc("move_ledger_check", { ...(after !== null && { p_after: after }) }));
}

/** Writes a comparison down and answers the drift. */
export function noteLedgerCheck(admin: Client, comparison: Comparison): Promise<number> {
  return rows(admin.rpc("note_ledger_check", {
    p_subject: comparison.subject,
    p_currency: comparison.currency,
    p_ledger_minor: comparison.ledger,
    p_stripe_minor: comparison.stripe,
  }));
}

const place = z.object({ after: z.string().nullable(), from: z.number() });

/** Where the comparison of our own balance goes on: after a balance transaction, or from a second on when there was none. */
export async function platformCheckCursor(admin: Client): Promise<z.infer<typeof place>> {
  return place.parse(await rows(admin.rpc("platform_check_cursor")));
}

export async function movePlatformCheck(admin: Client, after: string): Promise<void> {
  await rows(admin.rpc("move_platform_check", { p_after: after }));
}

/** Balance transactions that did not agree with the ledger. */
export function driftingMovements(admin: Client): Promise<string[]> {
  return rows(admin.rpc("drifting_movements"));
}

const known = z.array(z.object({
  id: z.string(),
  purchase_id: z.string().nullable(),
  ledger_minor: z.number(),
}));

/** Which purchase each movement of our balance is of, and what the ledger has for it. */
export async function platformMovements(
  admin: Client,
  movements: Movement[],
): Promise<z.infer<typeof known>> {
  if (movements.length === 0) return [];
  const p_movements = movements.map(({ id, source, currency, parents, purchase }) => ({
    ...{ id, source, currency, parents, purchase },
  }));
  return known.parse(await rows(admin.rpc("platform_movements", { p_movements })));
}

const library = z.array(z.looseObject({ licence_id: z.string().nullable() }));

/** The caller's own licence, as their library shows it. */
export async function libraryRow(client: Client, licenceId: string): Promise<Json> {
  const found = library.parse(await rows(client.rpc("my_library")))
    .find(({ licence_id }) => licence_id === licenceId);
  return found === undefined ? null : JSON.parse(JSON.stringify(found));
}
