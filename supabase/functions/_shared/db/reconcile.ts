import { z } from "zod";
import type { Json } from "../database.types.ts";
import { type Client, rows } from "./client.ts";

const reconcileRun = z.object({
  busy: z.boolean(),
  run: z.number().default(0),
  since: z.number().default(0),
  cursor: z.string().nullish(),
  listed: z.boolean().default(false),
});
export type ReconcileRun = z.infer<typeof reconcileRun>;

/** One event of Stripe's list, as the inbox keeps it. */
export interface ReconcileEvent {
  id: string;
  type: string;
  api_version: string | null;
  created: string;
  customer: string | null;
  payload: Json;
}

/** Leases the unfinished run of reconcile, or a new one; `busy` while somebody works on it. */
export async function beginReconcile(admin: Client): Promise<ReconcileRun> {
  return reconcileRun.parse(await rows(admin.rpc("begin_reconcile")));
}

/** Keeps a page of events and remembers the place; answers how many were never delivered. */
export function noteReconcilePage(
  admin: Client,
  run: number,
  page: { events: ReconcileEvent[]; cursor: string | null; listed: boolean },
): Promise<number> {
  return rows(admin.rpc("note_reconcile_page", {
    p_run: run,
    p_events: page.events.map((event) => ({ ...event })),
    p_cursor: page.cursor ?? "",
    p_listed: page.listed,
  }));
}

export function nextReconcileCustomers(
  admin: Client,
  run: number,
  limit: number,
): Promise<string[]> {
  return rows(admin.rpc("next_reconcile_customers", { p_run: run, p_limit: limit }));
}

export async function reconciled(
  admin: Client,
  run: number,
  stripeCustomerId: string,
): Promise<void> {
  await rows(admin.rpc("reconciled", { p_run: run, p_stripe_customer_id: stripeCustomerId }));
}

export async function reconcileFailed(
  admin: Client,
  run: number,
  stripeCustomerId: string,
  reason: string,
): Promise<void> {
  await rows(admin.rpc("reconcile_failed", {
    p_run: run,
    p_stripe_customer_id: stripeCustomerId,
    p_reason: reason,
  }));
}

/** Gives the run back: done, or to be gone on with. Answers its figures. */
export function endReconcile(
  admin: Client,
  run: number,
  end: { done: boolean; error?: string },
): Promise<Json> {
  return rows(admin.rpc("end_reconcile", {
    p_run: run,
    p_done: end.done,
    ...(end.error !== undefined && { p_error: end.error }),
  }));
}
