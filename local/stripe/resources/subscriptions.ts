/** Subscriptions and subscription items. */
import { listPage, pagination, where } from "../engine/answer.ts";
import { invalid, missing } from "../engine/errors.ts";
import {
  bool,
  given,
  mergeMetadata,
  obj,
  oneOf,
  required,
  str,
  type Values,
} from "../engine/params.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Invoice, Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { periodEnd } from "../billing/due.ts";
import { attemptPayment, finalize, type PaymentOutcome, refusal } from "../billing/invoices.ts";
import { cancelNow, endTrial, renew } from "../billing/lifecycle.ts";
import { redeem, type Redemption, removeDiscount } from "../billing/discounts.ts";
import { settleUsage } from "../billing/metered.ts";
import { discardPending, holdBack } from "../billing/pending.ts";
import { applyChange, settleCancellation } from "../billing/changes.ts";
import { type ItemChange, planChange } from "../billing/proration.ts";
import { followSubscription } from "../billing/schedules.ts";
import { isEnded, onInvoiceFailed } from "../billing/status.ts";
import { createSubscription, currencyOf, withoutWrites } from "../billing/subscriptions.ts";
import { checkTaxable, checkTaxReady } from "../billing/tax.ts";
import { checkPercents, percentFields } from "./subscription_connect.ts";
import {
  cancellation,
  checkPending,
  common,
  createShape,
  DAY,
  simpleFields,
  updateShape,
} from "./subscription_fields.ts";

const STATUSES = [
  "active",
  "canceled",
  "incomplete",
  "incomplete_expired",
  "past_due",
  "paused",
  "trialing",
  "unpaid",
] as const;

function create(work: Work, p: Values<typeof createShape>): Subscription {
  if (p.trial_end !== undefined && p.trial_period_days !== undefined) {
    throw invalid(
      "You may only specify one of these parameters: trial_end, trial_period_days.",
      "trial_end",
      "parameters_exclusive",
    );
  }
  if (p.collection_method === "send_invoice" && p.days_until_due === undefined) {
    throw invalid("Missing required param: days_until_due.", "days_until_due", "parameter_missing");
  }
  const now = work.now(work.clockOf(p.customer));
  const trialEnd = p.trial_period_days !== undefined
    ? now + p.trial_period_days * DAY
    : p.trial_end === "now"
    ? null
    : p.trial_end ?? null;
  const method = p.default_payment_method ?? null;
  if (method !== null) ownMethod(work, method, p.customer);
  if (p.automatic_tax?.enabled) {
    const prices = p.items.map((item, i) =>
      work.require("price", item.price, `items[${i}][price]`)
    );
    const customer = work.require("customer", p.customer, "customer");
    const currency = currencyOf(work, customer, prices, p.currency?.toLowerCase()) ?? "usd";
    checkTaxable(work, p.customer, method, prices, currency);
  }
  checkPercents(work, p);
  return createSubscription(work, {
    ...percentFields(p),
    automatic_tax: p.automatic_tax?.enabled,
    customer: p.customer,
    items: p.items.map((item) => ({ ...item, metadata: mergeMetadata({}, item.metadata) })),
    cancel_at: p.cancel_at ?? null,
    cancel_at_period_end: p.cancel_at_period_end,
    collection_method: p.collection_method,
    days_until_due: p.days_until_due ?? null,
    default_payment_method: method,
    currency: p.currency?.toLowerCase(),
    description: p.description ?? null,
    discounts: p.discounts ?? [],
    metadata: mergeMetadata({}, p.metadata),
    missing_payment_method: p.trial_settings?.end_behavior.missing_payment_method,
    payment_behavior: p.payment_behavior,
    save_default_payment_method: p.payment_settings?.save_default_payment_method ?? null,
    trial_end: trialEnd,
  });
}

function ownMethod(work: Work, method: string, customer: string): void {
  if (work.require("payment_method", method, "default_payment_method").customer !== customer) {
    throw invalid(
      `The customer does not have a payment method with the ID ${method}. The payment method must be attached to the customer.`,
      "default_payment_method",
      "resource_missing",
    );
  }
}

/** One event for one request, whatever it changed: the whole update is compared with what was there before. */
export function update(work: Work, p: Values<typeof updateShape>, id: string): Subscription {
  const old = live(work, id);
  if (p.cancel_at_period_end === true && p.cancel_at) {
    throw invalid(
      "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
      "cancel_at",
      "parameters_exclusive",
    );
  }
  checkPending(old, p);
  if (p.default_payment_method) ownMethod(work, p.default_payment_method, old.customer);
  const restarts = p.billing_cycle_anchor?.type === "now";
  if (p.items || restarts || p.trial_end !== undefined) discardPending(work, id);
  if (p.discounts !== undefined) changeDiscounts(work, old, p.discounts ?? []);
  const base = work.change("subscription", id, simpleFields(work, old, p));
  checkTax(work, base, p);
  const changed = p.items || restarts ? changeItems(work, base, p) : null;
  const begun = p.trial_end === undefined ? null : changeTrial(work, id, p);
  const unpaid =
    [changed, begun].flatMap((each) =>
      each?.invoice && each.outcome && each.outcome !== "paid"
        ? [{ invoice: each.invoice, outcome: each.outcome }]
        : []
    )[0] ?? null;
  if (unpaid && p.payment_behavior === "pending_if_incomplete") {
    holdBack(work, base, unpaid.invoice);
    return emitUpdate(work, old);
  }
  const done = emitUpdate(work, old);
  if (p.items) followSubscription(work, done);
  if (!unpaid) return done;
  onInvoiceFailed(work, work.require("invoice", unpaid.invoice), false);
  if (p.payment_behavior === "error_if_incomplete") {
    try {
      refusal(work, unpaid.invoice, unpaid.outcome);
    } catch (error) {
      throw withoutWrites(error);
    }
  }
  return work.require("subscription", id);
}

/** Automatic tax can only go on where it can be computed, and every new price must say how it means it. */
function checkTax(work: Work, sub: Subscription, p: Values<typeof updateShape>): void {
  if (!sub.automatic_tax.enabled || !(p.automatic_tax || p.items)) return;
  const added = (p.items ?? []).flatMap(({ price }, i) =>
    price === undefined ? [] : [work.require("price", price, `items[${i}][price]`)]
  );
  const prices = [...sub.items.data.map((item) => item.price), ...added];
  if (!p.automatic_tax) return checkTaxReady(work, prices, sub.currency);
  checkTaxable(work, sub.customer, sub.default_payment_method, prices, sub.currency);
}

export function live(work: Work, id: string): Subscription {
  const sub = work.require("subscription", id);
  if (isEnded(sub)) {
    throw invalid(
      "A canceled subscription can only update its cancellation_details and metadata.",
      undefined,
      "invalid_canceled_subscription_fields",
    );
  }
  return sub;
}

/** Restores the old row for one instant, so that the change to the present one is written as one event. */
function emitUpdate(work: Work, old: Subscription): Subscription {
  const fresh = work.require("subscription", old.id);
  // It ended: `customer.subscription.deleted` has told.
  if (isEnded(fresh)) return fresh;
  work.change("subscription", old.id, old);
  return work.change("subscription", old.id, fresh, "customer.subscription.updated");
}

function changeItems(work: Work, sub: Subscription, p: Values<typeof updateShape>) {
  const now = work.now(sub.test_clock ?? "");
  const at = p.proration_date ?? now;
  const start = sub.items.data[0]?.current_period_start ?? now;
  if (at < start || at > periodEnd(sub)) {
    throw invalid(
      "Invalid `proration_date`: it must be within the current period of the subscription.",
      "proration_date",
    );
  }
  const changes: ItemChange[] = (p.items ?? []).map((item) => ({
    ...item,
    metadata: item.metadata === undefined ? undefined : mergeMetadata({}, item.metadata),
  }));
  const plan = planChange(work, sub, changes, at, p.billing_cycle_anchor?.type === "now");
  const isHeldBack = p.payment_behavior === "pending_if_incomplete";
  const payment = p.payment_behavior === "default_incomplete" ? null : { automatic: !isHeldBack };
  return applyChange(work, sub, plan, p.proration_behavior ?? "create_prorations", at, payment);
}

/** The whole list anew: what is not named any more is gone, what is named by its `discount` stays. */
function changeDiscounts(work: Work, old: Subscription, wanted: Redemption[]): void {
  const target = { customer: old.customer, subscription: old.id, currency: old.currency };
  const discounts = wanted.map((each, i) => redeem(work, each, target, `discounts[${i}]`).id);
  for (const id of old.discounts) {
    if (!discounts.includes(id)) removeDiscount(work, id);
  }
  work.change("subscription", old.id, { discounts });
}

interface Billed {
  invoice: string | null;
  outcome: PaymentOutcome | null;
}

/** `now` ends the trial and bills at once; a later time begins or moves one. */
function changeTrial(work: Work, id: string, p: Values<typeof updateShape>): Billed | null {
  const sub = work.require("subscription", id);
  const now = work.now(sub.test_clock ?? "");
  const isNow = p.trial_end === "now";
  if (isNow && sub.status !== "trialing") return null;
  const trial_end = p.trial_end === "now" || p.trial_end === undefined ? now : p.trial_end;
  if (!isNow && trial_end <= now) throw invalid("Trial end must be in the future.", "trial_end");
  const data = sub.items.data.map((item) => ({ ...item, current_period_end: trial_end }));
  const after = work.change("subscription", id, {
    billing_cycle_anchor: trial_end,
    items: { ...sub.items, data },
    status: isNow ? sub.status : "trialing",
    trial_end,
    trial_start: sub.trial_start ?? now,
  });
  if (!isNow) {
    work.changeHidden("subscription", id, { trial_warned: false });
    return null;
  }
  const draft = endTrial(work, after, true);
  return draft && collectNow(work, draft, p.payment_behavior);
}

function collectNow(
  work: Work,
  draft: Invoice,
  behavior: Values<typeof updateShape>["payment_behavior"],
): Billed {
  const open = finalize(work, draft.id, true);
  if (open.status === "paid") return { invoice: draft.id, outcome: "paid" };
  if (behavior === "default_incomplete" || open.collection_method === "send_invoice") {
    return { invoice: draft.id, outcome: null };
  }
  const automatic = behavior !== "pending_if_incomplete";
  return { invoice: draft.id, outcome: attemptPayment(work, draft.id, { automatic, quiet: true }) };
}

const resumeShape = {
  billing_cycle_anchor: obj({ type: required(oneOf("now")) }),
  payment_behavior: oneOf("resume_on_payment_attempt", "resume_on_payment_success"),
};

/** A paused subscription goes on with a new period, once that is paid for (or, on request, whatever the attempt brings). */
function resume(work: Work, p: Values<typeof resumeShape>, id: string): Subscription {
  const old = work.require("subscription", id);
  if (old.status !== "paused") {
    throw invalid(`Only paused subscriptions can be resumed. This one is ${old.status}.`);
  }
  const now = work.now(old.test_clock ?? "");
  const data = old.items.data.map((item) => ({ ...item, current_period_end: now }));
  const ready = work.change("subscription", id, {
    billing_cycle_anchor: now,
    items: { ...old.items, data },
  });
  // What was used before and during the pause is not billed.
  settleUsage(work, id, data.map((item) => item.id), now);
  const draft = renew(work, ready, now, true);
  const outcome = draft ? collectNow(work, draft, undefined).outcome : "paid";
  const resumes = outcome === "paid" || p.payment_behavior === "resume_on_payment_attempt";
  const status = outcome === "paid" ? "active" : resumes ? "past_due" : "paused";
  const latest = work.require("subscription", id);
  if (!resumes) {
    work.changeHidden("subscription", id, { resumes_with: latest.latest_invoice });
  }
  work.change("subscription", id, old);
  const after = { ...latest, status } as const;
  const done = work.change("subscription", id, after, "customer.subscription.updated");
  if (resumes) work.emit("customer.subscription.resumed", done);
  return done;
}

export function cancel(work: Work, p: Values<typeof cancelShape>, id: string): Subscription {
  const sub = work.require("subscription", id);
  if (isEnded(sub)) throw missing("subscription", id, "id");
  if (p.cancellation_details) {
    const details = {
      comment: null,
      feedback: null,
      feedback_option: null,
      reason: null,
      ...sub.cancellation_details,
    };
    work.change("subscription", id, {
      cancellation_details: {
        ...details,
        comment: given(p.cancellation_details.comment, details.comment),
        feedback: given(p.cancellation_details.feedback, details.feedback),
      },
    });
  }
  settleCancellation(work, sub, p.prorate ?? false, p.invoice_now ?? false);
  return cancelNow(work, id, "cancellation_requested");
}

const cancelShape = { cancellation_details: cancellation, invoice_now: bool(), prorate: bool() };

const LIVE = STATUSES.filter((status) => status !== "canceled");

export const subscriptionRoutes: Route[] = [
  route("POST", "/v1/subscriptions", createShape, create),
  route("POST", "/v1/subscriptions/:id", updateShape, update),
  route("POST", "/v1/subscriptions/:id/resume", resumeShape, resume),
  route("DELETE", "/v1/subscriptions/:id", cancelShape, cancel),
  retrieveRoute("subscription", "/v1/subscriptions"),
  route("GET", "/v1/subscriptions", {
    ...pagination,
    collection_method: common.collection_method,
    customer: str(),
    price: str(),
    status: oneOf(...STATUSES, "all", "ended"),
    test_clock: str(),
  }, (work, p) => {
    const anyOf: Record<string, readonly string[]> = {
      status: p.status === undefined
        ? LIVE
        : p.status === "all"
        ? STATUSES
        : p.status === "ended"
        ? ["canceled", "incomplete_expired"]
        : [p.status],
    };
    if (p.price !== undefined) anyOf["items.data[0].price.id"] = [p.price];
    const filter = where({
      collection_method: p.collection_method,
      customer: p.customer,
      test_clock: p.test_clock,
    });
    return listPage(work, "subscription", "/v1/subscriptions", p, { where: filter, anyOf });
  }),
];
