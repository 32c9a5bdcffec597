/** Carrying a change of a subscription's items out: its prorations, its usage and its invoice. */
import type { Subscription, SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "./amounts.ts";
import { createInvoice, pendingItems, takePendingItems } from "./drafts.ts";
import { attemptPayment, finalize, type Payment, type PaymentOutcome } from "./invoices.ts";
import { createInvoiceItem, itemLines } from "./lines.ts";
import { openUsage, settleUsage } from "./metered.ts";
import { ended, type Plan, type Proration, type ProrationBehavior, unused } from "./proration.ts";

/** Applies a plan, with its prorations; gives the outcome of the payment when something was invoiced now. */
export function applyChange(
  work: Work,
  sub: Subscription,
  plan: Plan,
  behavior: ProrationBehavior,
  at: number,
  payment: Payment | null = {},
): { outcome: PaymentOutcome | null; invoice: string | null } {
  const wasFree = sub.status === "trialing";
  work.change("subscription", sub.id, {
    billing_cycle_anchor: plan.restarts && !wasFree ? at : sub.billing_cycle_anchor,
    items: {
      ...sub.items,
      data: plan.restarts && wasFree ? keepPeriods(plan.items, sub) : plan.items,
    },
  });
  if (behavior !== "none") billProrations(work, sub, plan.prorations, at);
  settleUsage(work, sub.id, plan.settled, at);
  const invoiceNow = !wasFree &&
    (plan.restarts || (behavior === "always_invoice" && plan.prorations.length > 0));
  if (!invoiceNow) return { outcome: null, invoice: null };
  const lines = plan.restarts
    ? plan.items.flatMap((item) => {
      const period = { start: item.current_period_start, end: item.current_period_end };
      return itemLines(work, item, period, sub.currency);
    })
    : [];
  if (lines.length === 0 && pendingItems(work, sub).length === 0) {
    return { outcome: null, invoice: null };
  }
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_update",
    subscription: sub.id,
    lines,
    auto_advance: true,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: draft.id });
  const invoice = finalize(work, draft.id, true);
  if (invoice.status === "paid") return { outcome: "paid", invoice: draft.id };
  const outcome = payment &&
    attemptPayment(work, draft.id, { automatic: true, ...payment, quiet: true });
  return { outcome, invoice: draft.id };
}

/** In a trial the periods stay the trial's; the new price begins when it ends. */
function keepPeriods(items: SubscriptionItem[], sub: Subscription): SubscriptionItem[] {
  const first = sub.items.data[0];
  if (!first) return items;
  const { current_period_start, current_period_end } = first;
  return items.map((item) => ({ ...item, current_period_start, current_period_end }));
}

function billProrations(
  work: Work,
  sub: Subscription,
  prorations: readonly Proration[],
  at: number,
): void {
  for (const { item, amount, description, usage } of prorations) {
    createInvoiceItem(work, {
      customer: sub.customer,
      amount,
      currency: sub.currency,
      description,
      period: usage ? { start: usage.start, end: at } : { start: at, end: item.current_period_end },
      price: item.price,
      proration: !usage,
      quantity: usage ? usage.quantity : item.quantity,
      subscription: sub.id,
      subscription_item: item.id,
    });
  }
}

/** `prorate`: the unused time comes back. `invoice_now`: what is pending or used is billed with the cancellation. */
export function settleCancellation(
  work: Work,
  sub: Subscription,
  prorates: boolean,
  invoicesNow: boolean,
): void {
  const at = work.now(sub.test_clock ?? "");
  if (prorates && sub.status !== "trialing") {
    const licensed = sub.items.data.filter((item) => !isMetered(item.price));
    billProrations(work, sub, licensed.map((item) => unused(work, sub, item, at)), at);
  }
  if (!invoicesNow) return;
  const lines = openUsage(work, sub, at);
  const pending = work.store.all("invoiceitem", { customer: sub.customer, invoice: null });
  if (lines.length === 0 && pending.length === 0) return;
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_update",
    subscription: sub.id,
    lines,
    auto_advance: true,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: draft.id });
  if (finalize(work, draft.id, true).status === "open") {
    attemptPayment(work, draft.id, { quiet: true });
  }
}

/** Items that a new phase leaves out at the end of their period: what was used of them is billed with its renewal. */
export function billLeftOut(work: Work, sub: Subscription, items: SubscriptionItem[], at: number) {
  if (sub.status === "trialing") return;
  const metered = items.filter((item) => isMetered(item.price));
  billProrations(work, sub, metered.flatMap((item) => ended(work, sub, item, at)), at);
}
