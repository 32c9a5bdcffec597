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
  if (work.hidden("subscription", sub.id).unpaid_invoice === null) {
    work.changeHidden("subscription", sub.id, { unpaid_invoice: invoice.id });
  }
  if (sub.status === "active" || sub.status === "trialing") {
    work.change("subscription", sub.id, { status: "past_due" }, event(quiet));
  }
}

const event = (quiet: boolean) => quiet ? undefined : "customer.subscription.updated";
