/**
 * `payment_behavior: pending_if_incomplete`: a change that must be paid for and is not stays beside the subscription as
 * `pending_update` while its invoice is open. Paying the invoice applies it, voiding it or time takes it back.
 * https://docs.stripe.com/billing/subscriptions/pending-updates-reference
 */
import type { Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { PENDING_LIFETIME, periodEnd } from "./due.ts";
import { voidInvoice } from "./invoices.ts";

/** Undoes a change that was made but not paid, and keeps it as the pending update of `invoice`. */
export function holdBack(work: Work, old: Subscription, invoice: string): void {
  const changed = work.require("subscription", old.id);
  const now = work.now(old.test_clock ?? "");
  const ends = [now + PENDING_LIFETIME, periodEnd(old)];
  if (old.trial_end !== null && old.trial_end > now) ends.push(old.trial_end);
  const { items, billing_cycle_anchor, status, trial_end, trial_start } = changed;
  const isOther = <K extends keyof Subscription>(field: K) =>
    JSON.stringify(old[field]) !== JSON.stringify(changed[field]);
  work.change("subscription", old.id, {
    ...old,
    latest_invoice: invoice,
    pending_update: {
      billing_cycle_anchor: isOther("billing_cycle_anchor") ? billing_cycle_anchor : null,
      cancel_at_period_end: null,
      discount: null,
      discounts: null,
      expires_at: Math.min(...ends),
      metadata: null,
      subscription_items: isOther("items") ? items.data : null,
      trial_end: isOther("trial_end") ? trial_end : null,
      trial_from_plan: null,
    },
  });
  const isTrialOver = old.status === "trialing" && isOther("trial_end");
  const patch = { items, billing_cycle_anchor, trial_end, trial_start };
  const { unpaid_invoice } = work.hidden("subscription", old.id);
  work.changeHidden("subscription", old.id, {
    pending: {
      invoice,
      patch: isTrialOver && status !== "trialing" ? { ...patch, status: "active" } : patch,
    },
    unpaid_invoice: unpaid_invoice === invoice ? null : unpaid_invoice,
  });
  // Nobody owes it, so nobody collects it: only the person's own payment does.
  work.change("invoice", invoice, { auto_advance: false, next_payment_attempt: null });
}

/** Another change of what is billed, a cancellation or the end of its time discards a pending update and its invoice. */
export function discardPending(work: Work, id: string): boolean {
  const { pending } = work.hidden("subscription", id);
  if (!pending) return false;
  work.changeHidden("subscription", id, { pending: null });
  work.change("subscription", id, { pending_update: null });
  const invoice = work.find("invoice", pending.invoice);
  if (invoice?.status === "open") voidInvoice(work, invoice.id);
  return true;
}

export function expirePending(work: Work, before: Subscription): void {
  discardPending(work, before.id);
  const after = work.require("subscription", before.id);
  work.change("subscription", before.id, before);
  const done = work.change("subscription", before.id, after, "customer.subscription.updated");
  work.emit("customer.subscription.pending_update_expired", done);
}
