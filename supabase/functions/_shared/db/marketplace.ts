import { z } from "zod";
import type { Json } from "../database.types.ts";
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

export async function noteDisputeWork(
  admin: Client,
  disputeId: string,
  outcome: { done: string } | { error: string },
): Promise<void> {
  await rows(admin.rpc("note_dispute_work", { p_dispute_id: disputeId, ...outcome }));
}

export type SellerLedger = Functions["seller_ledger"]["Returns"][number];

export function sellerLedger(
  admin: Client,
  after: string | null,
  limit: number,
): Promise<SellerLedger[]> {
  return rows(admin.rpc("seller_ledger", {
    p_limit: limit,
    ...(after !== null && { p_after: after }),
  }));
}

const library = z.array(z.looseObject({ licence_id: z.string() }));

/** The caller's own licence, as their library shows it. */
export async function libraryRow(client: Client, licenceId: string): Promise<Json> {
  const found = library.parse(await rows(client.rpc("my_library")))
    .find(({ licence_id }) => licence_id === licenceId);
  return found === undefined ? null : JSON.parse(JSON.stringify(found));
}
