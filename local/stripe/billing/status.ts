/** What a paid or failed invoice does to its subscription. */
import type { Invoice, Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";

const ENDED = ["canceled", "incomplete_expired"];

export function isEnded(sub: Subscription): boolean {
  return ENDED.includes(sub.status);
}

export function subscriptionOf(invoice: Invoice): string | null {
  return invoice.parent?.subscription_details?.subscription ?? null;
}

/** `quiet`: the subscription is being created in this same work, and its `created` event will tell. */
export function onInvoicePaid(work: Work, invoice: Invoice, quiet: boolean): void {
  const id = subscriptionOf(invoice);
  const sub = id ? work.find("subscription", id) : null;
  if (!sub || isEnded(sub)) return;
  applyPending(work, sub, invoice);
  const { unpaid_invoice } = work.hidden("subscription", sub.id);
  if (unpaid_invoice !== null && unpaid_invoice !== invoice.id) return;
  work.changeHidden("subscription", sub.id, { unpaid_invoice: null });
  if (!["incomplete", "past_due", "unpaid"].includes(sub.status)) return;
  const isTrial = sub.trial_end !== null && sub.trial_end > work.now(sub.test_clock ?? "");
  work.change("subscription", sub.id, { status: isTrial ? "trialing" : "active" }, event(quiet));
}

export function onInvoiceFailed(work: Work, invoice: Invoice, quiet: boolean): void {
  const id = subscriptionOf(invoice);
  const sub = id ? work.find("subscription", id) : null;
  if (!sub || isEnded(sub)) return;
  const { pending, unpaid_invoice } = work.hidden("subscription", sub.id);
  // What a pending update would cost is not owed: the subscription goes on as it was.
  if (pending?.invoice === invoice.id) return;
  if (unpaid_invoice === null) {
    work.changeHidden("subscription", sub.id, { unpaid_invoice: invoice.id });
  }
  if (sub.status === "active" || sub.status === "trialing") {
    work.change("subscription", sub.id, { status: "past_due" }, event(quiet));
  }
}

/** The invoice of a pending update is paid: what was asked for happens now. */
function applyPending(work: Work, sub: Subscription, invoice: Invoice): void {
  const { pending } = work.hidden("subscription", sub.id);
  if (pending?.invoice !== invoice.id) return;
  work.changeHidden("subscription", sub.id, { pending: null });
  const patch = { ...pending.patch, pending_update: null };
  const done = work.change("subscription", sub.id, patch, "customer.subscription.updated");
  work.emit("customer.subscription.pending_update_applied", done);
}

/** Voiding its invoice takes a pending update back. */
export function onInvoiceVoided(work: Work, invoice: Invoice): void {
  const id = subscriptionOf(invoice);
  const sub = id ? work.find("subscription", id) : null;
  if (!sub || work.hidden("subscription", sub.id).pending?.invoice !== invoice.id) return;
  work.changeHidden("subscription", sub.id, { pending: null });
  work.change("subscription", sub.id, { pending_update: null }, "customer.subscription.updated");
}

const event = (quiet: boolean) => quiet ? undefined : "customer.subscription.updated";
