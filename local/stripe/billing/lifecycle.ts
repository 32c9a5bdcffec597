/** What time and cancellation do to a subscription. */
import type { Invoice, InvoiceLine, Subscription, SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "./amounts.ts";
import { createInvoice, DRAFT_LIFETIME, pendingItems, takePendingItems } from "./drafts.ts";
import { INCOMPLETE_LIFETIME, periodEnd, TRIAL_WARNING } from "./due.ts";
import { attemptPayment, defaultMethod, finalize, voidInvoice } from "./invoices.ts";
import { itemLines } from "./lines.ts";
import { openUsage, usageLines, usageStart } from "./metered.ts";
import { intervalOf, nextBoundary } from "./period.ts";
import { discardPending, expirePending } from "./pending.ts";
import { isEnded, subscriptionOf } from "./status.ts";

const UPDATED = "customer.subscription.updated";

type Reason = NonNullable<Subscription["cancellation_details"]>["reason"];

export function cancelNow(work: Work, id: string, reason: Reason): Subscription {
  discardPending(work, id);
  const sub = work.require("subscription", id);
  const now = work.now(sub.test_clock ?? "");
  for (const invoice of work.store.all("invoice", { customer: sub.customer })) {
    // As at Stripe: open invoices of a cancelled subscription are not collected automatically any more.
    const isOwn = subscriptionOf(invoice) === id &&
      ["draft", "open"].includes(invoice.status ?? "");
    if (isOwn) {
      work.change("invoice", invoice.id, {
        auto_advance: false,
        automatically_finalizes_at: null,
        next_payment_attempt: null,
      });
    }
  }
  if (sub.schedule !== null) endSchedule(work, sub.schedule, reason, now);
  const details = sub.cancellation_details ??
    { comment: null, feedback: null, feedback_option: null, reason: null };
  return work.change("subscription", id, {
    cancel_at: sub.cancel_at_period_end ? sub.cancel_at : null,
    canceled_at: sub.canceled_at ?? now,
    cancellation_details: { ...details, reason: details.reason ?? reason },
    ended_at: now,
    schedule: null,
    status: "canceled",
  }, "customer.subscription.deleted");
}

/** A planned end bills what was used until then, as a renewal would have: a draft, collected an hour later. */
export function endAsPlanned(work: Work, sub: Subscription, now: number): void {
  const lines = openUsage(work, sub, now);
  const start = Math.min(...lines.map((line) => line.period.start));
  cancelNow(work, sub.id, "cancellation_requested");
  if (lines.length === 0) return;
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_cycle",
    subscription: sub.id,
    lines,
    auto_advance: true,
    finalizes_at: now + DRAFT_LIFETIME,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
    period: { start, end: now },
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: draft.id });
}

function endSchedule(work: Work, id: string, reason: Reason, now: number): void {
  if (work.find("subscription_schedule", id)?.status !== "active") return;
  const event = reason === "payment_failed"
    ? "subscription_schedule.aborted"
    : "subscription_schedule.canceled";
  const done = { canceled_at: now, current_phase: null, status: "canceled" } as const;
  work.change("subscription_schedule", id, done, event);
}

/** One due step of a subscription; the scheduler calls again until nothing is due at that time. */
export function stepSubscription(work: Work, id: string): void {
  const sub = work.require("subscription", id);
  const now = work.now(sub.test_clock ?? "");
  if (sub.status === "incomplete") return expireIncomplete(work, sub, now);
  if (sub.pending_update && sub.pending_update.expires_at <= now) return expirePending(work, sub);
  if (sub.cancel_at !== null && sub.cancel_at <= now) return endAsPlanned(work, sub, now);
  if (sub.cancel_at_period_end && periodEnd(sub) <= now) return endAsPlanned(work, sub, now);
  if (sub.status === "trialing" && sub.trial_end !== null) {
    if (sub.trial_end <= now) return void endTrial(work, sub);
    if (sub.trial_end - TRIAL_WARNING <= now && !work.hidden("subscription", id).trial_warned) {
      work.changeHidden("subscription", id, { trial_warned: true });
      return work.emit("customer.subscription.trial_will_end", sub);
    }
  }
  if (periodEnd(sub) <= now) renew(work, sub, now);
}

function expireIncomplete(work: Work, sub: Subscription, now: number): void {
  if (sub.created + INCOMPLETE_LIFETIME > now) return;
  if (sub.latest_invoice) {
    const invoice = work.require("invoice", sub.latest_invoice);
    if (invoice.status === "open") voidInvoice(work, invoice.id);
  }
  work.change("subscription", sub.id, { ended_at: now, status: "incomplete_expired" }, UPDATED);
}

/** `quiet`: the caller tells of the update itself. Gives the invoice of what begins, when something does. */
export function endTrial(work: Work, sub: Subscription, quiet = false): Invoice | null {
  const hasMethod = methodOf(work, sub) !== null;
  const missing = sub.trial_settings?.end_behavior.missing_payment_method;
  if (!hasMethod && missing === "cancel") {
    cancelNow(work, sub.id, null);
    return null;
  }
  if (!hasMethod && missing === "pause") {
    const event = quiet ? undefined : UPDATED;
    const paused = work.change("subscription", sub.id, { status: "paused" }, event);
    work.emit("customer.subscription.paused", paused);
    return null;
  }
  return renew(work, sub, work.now(sub.test_clock ?? ""), quiet);
}

function methodOf(work: Work, sub: Subscription): string | null {
  return sub.default_payment_method ??
    work.find("customer", sub.customer)?.invoice_settings.default_payment_method ?? null;
}

/** Rolls every item whose period is over, and drafts the invoice of the new period and of what was used in the old one. */
export function renew(work: Work, sub: Subscription, now: number, quiet = false): Invoice | null {
  const lines: InvoiceLine[] = [];
  const isTrial = sub.status === "trialing";
  const period = { start: sub.items.data[0]?.current_period_start ?? now, end: now };
  const data = sub.items.data.map((item): SubscriptionItem => {
    if (item.current_period_end > now) return item;
    const { interval, interval_count: count } = item.price.recurring ??
      { interval: "month", interval_count: 1 };
    const start = item.current_period_end;
    const since = usageStart(work, item, sub.id);
    // What was used in a trial is free.
    if (isMetered(item.price) && !isTrial && since < start) {
      const used = { start: since, end: start };
      lines.push(...usageLines(work, item, sub.customer, sub.currency, used));
    }
    const end = nextBoundary(sub.billing_cycle_anchor, intervalOf(interval), count, start);
    const rolled = { ...item, current_period_start: start, current_period_end: end };
    lines.push(...itemLines(work, rolled, { start, end }, sub.currency));
    return rolled;
  });
  const status = isTrial ? "active" : sub.status;
  const event = quiet ? undefined : UPDATED;
  if (lines.length === 0 && pendingItems(work, sub).length === 0) {
    work.change("subscription", sub.id, { items: { ...sub.items, data }, status }, event);
    return null;
  }
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_cycle",
    subscription: sub.id,
    lines,
    auto_advance: sub.status !== "unpaid",
    finalizes_at: now + DRAFT_LIFETIME,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
    period,
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, {
    items: { ...sub.items, data },
    latest_invoice: draft.id,
    status,
  }, event);
  return work.require("invoice", draft.id);
}

/** One due step of an invoice: finalize a draft and collect it, or try an open one again. */
export function stepInvoice(work: Work, id: string): void {
  const invoice = work.require("invoice", id);
  const wasDraft = invoice.status === "draft";
  if (wasDraft) {
    finalize(work, id);
  } else {
    work.change("invoice", id, { next_payment_attempt: null });
  }
  const open = work.require("invoice", id);
  if (open.status !== "open" || open.collection_method !== "charge_automatically") return;
  attemptPayment(work, id, { method: defaultMethod(work, open), automatic: true });
  const after = work.require("invoice", id);
  if (after.status === "open" && after.next_payment_attempt === null) giveUp(work, after);
}

/** The last automatic attempt failed: what the account's settings say becomes of the subscription. */
function giveUp(work: Work, invoice: Invoice): void {
  const id = subscriptionOf(invoice);
  const sub = id ? work.find("subscription", id) : null;
  work.change("invoice", invoice.id, { auto_advance: false });
  if (!sub || isEnded(sub)) return;
  const end = work.settings.dunningEnd;
  if (end === "cancel") cancelNow(work, sub.id, "payment_failed");
  if (end === "mark_unpaid") work.change("subscription", sub.id, { status: "unpaid" }, UPDATED);
}
