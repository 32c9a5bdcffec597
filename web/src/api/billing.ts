/** Money: paid on a page of Stripe's, never in a form of ours. */

import {
  changeAnswer,
  entitledAnswer,
  invoicesAnswer,
  previewAnswer,
  redirectAnswer,
} from "../lib/answers.ts";
import { type Cursor, isBefore } from "../lib/paging.ts";
import type { Preview } from "../lib/plan-change.ts";
import type { Invoice } from "../lib/records.ts";
import type { Entitlements } from "../lib/subscription.ts";
import { call, db, rest, understand } from "./client.ts";

export const INVOICES_PER_PAGE = 10;
const INVOICE_COLUMNS =
  "id,number,status,currency,total_minor,amount_due_minor,amount_paid_minor,hosted_invoice_url,invoice_pdf,stripe_created_at";

export type PortalFlow = "cancel" | "update" | "payment_method";

/** Opens a Checkout session for a price of the catalogue and returns the address to go to. */
export async function openCheckout(lookupKey: string, currency?: string): Promise<string> {
  const body = { lookup_key: lookupKey, ...(currency && { currency }) };
  return (await call("checkout", body, redirectAnswer)).url;
}

export async function openPortal(flow?: PortalFlow): Promise<string> {
  return (await call("portal", flow ? { flow } : {}, redirectAnswer)).url;
}

/** Asks the server to fetch our present state from Stripe; answers what we are entitled to now. */
export async function syncBilling(): Promise<Entitlements> {
  return (await call("sync", {}, entitledAnswer)).entitlements;
}

/** What a change to this price would cost, and when it would happen. Nothing is changed by asking. */
export function previewChange(lookupKey: string): Promise<Preview> {
  return call("subscription", { action: "preview", lookup_key: lookupKey }, previewAnswer);
}

export interface ChangeResult {
  outcome: "done" | "payment_required";
  /** The page on which the payment can be finished. */
  paymentUrl: string | null;
  entitlements: Entitlements;
}

/** Makes exactly the change that was previewed, or is refused with `preview_expired`. */
export async function changePlan({ toLookupKey, prorationDate }: Preview): Promise<ChangeResult> {
  const body = { action: "change", lookup_key: toLookupKey, proration_date: prorationDate };
  const { outcome, payment_url, entitlements } = await call("subscription", body, changeAnswer);
  return { outcome, paymentUrl: payment_url, entitlements };
}

export type EndingAction = "cancel" | "cancel_now" | "resume";

/** Ends the subscription with its period or at once, or takes an end or a planned change back. */
export async function endSubscription(action: EndingAction): Promise<Entitlements> {
  return (await call("subscription", { action }, entitledAnswer)).entitlements;
}

/** The currency in which a subscription is billed; it never changes. */
export async function getSubscriptionCurrency(id: string): Promise<string | null> {
  const rows = await rest(db().from("subscriptions").select("currency").eq("id", id));
  return rows[0]?.currency ?? null;
}

/** The newest page of our invoices, or the one before `cursor`; newest first. */
export async function listInvoices(cursor?: Cursor): Promise<Invoice[]> {
  let query = db().from("invoices").select(INVOICE_COLUMNS);
  if (cursor) {
    query = query.lte("stripe_created_at", cursor.createdAt)
      .or(isBefore("stripe_created_at", cursor));
  }
  const rows = await rest(
    query.order("stripe_created_at", { ascending: false }).order("id", { ascending: false })
      .limit(INVOICES_PER_PAGE),
  );
  return understand(invoicesAnswer, rows);
}
