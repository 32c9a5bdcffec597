/** What the Billing Portal's page does to subscriptions and cards. */
import { invalid, missing, StripeError } from "../engine/errors.ts";
import type { Invoice, PaymentMethod, PortalSession, Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { periodEnd } from "./due.ts";
import { attemptPayment, type PaymentOutcome } from "./invoices.ts";
import { cancelNow } from "./lifecycle.ts";
import { amountFor, isMetered } from "./amounts.ts";
import { redeem, removeDiscount } from "./discounts.ts";
import { createInvoice } from "./drafts.ts";
import { itemLines } from "./lines.ts";
import { attach } from "./methods.ts";
import { applyChange } from "./changes.ts";
import { type Plan, planChange } from "./proration.ts";
import { release } from "./schedules.ts";
import { isEnded } from "./status.ts";
import { onTop, taxName } from "./tax.ts";
import { allowedPrices } from "./views.ts";
import { activeCode } from "../resources/coupons.ts";
import { setDefaultMethod } from "../resources/customers.ts";
import { FEEDBACK } from "../resources/portal_configurations.ts";

const UPDATED = "customer.subscription.updated";
type Feature = "payment_method_update" | "subscription_cancel" | "subscription_update";

export function portalSession(work: Work, id: string, feature?: Feature): PortalSession {
  const session = work.require("billing_portal.session", id);
  checkAge(work, session);
  const { features } = work.require("billing_portal.configuration", session.configuration);
  if (feature && !features[feature].enabled) throw invalid("This is not available in the portal.");
  return session;
}

/** Stripe's are short-lived too: a link that lies in a mailbox must not stay a key to the account. */
export function checkAge(work: Work, session: PortalSession): void {
  const { made_ms = 0 } = work.hidden("billing_portal.session", session.id);
  if (Date.now() < made_ms + work.settings.portalLifetime * 1000) return;
  const message = "This link has expired. Go back and open the billing page again.";
  throw new StripeError(410, { type: "invalid_request_error", message });
}

/** A card of the session's customer. */
export function ownMethod(work: Work, session: PortalSession, id: string): PaymentMethod {
  const method = work.require("payment_method", id);
  if (method.customer !== session.customer) throw missing("PaymentMethod", id, "id");
  return method;
}

/** The card that a live subscription is paid with must stay. */
export function checkUnused(work: Work, session: PortalSession, id: string): void {
  const chosen = work.require("customer", session.customer).invoice_settings.default_payment_method;
  const isUsed = work.store.all("subscription", { customer: session.customer })
    .some((sub) => !isEnded(sub) && (sub.default_payment_method ?? chosen) === id);
  if (isUsed) {
    throw invalid("Your subscription is paid with this card. Make another one the default first.");
  }
}

export function ownSubscription(work: Work, session: PortalSession, id: string): Subscription {
  const sub = work.require("subscription", id);
  if (sub.customer !== session.customer) throw invalid(`No such subscription: '${id}'`);
  if (isEnded(sub)) throw invalid("This subscription has ended.");
  return sub;
}

/** Where the flow of a deep link wants the person after its action; null when it says nothing. */
export function afterFlow(session: PortalSession): string | null {
  const after = session.flow?.after_completion;
  return after?.type === "redirect" ? after.redirect?.return_url ?? null : null;
}

export function cancel(
  work: Work,
  sessionId: string,
  id: string,
  wanted: string | null,
  comment: string | null,
): void {
  const session = portalSession(work, sessionId, "subscription_cancel");
  const sub = ownSubscription(work, session, id);
  const { features } = work.require("billing_portal.configuration", session.configuration);
  if (sub.cancel_at !== null || sub.cancel_at_period_end) {
    throw invalid("This subscription is already set to end.");
  }
  const feedback = FEEDBACK.find((word) => word === wanted) ?? null;
  const cancellation_details: Subscription["cancellation_details"] = {
    comment,
    feedback,
    feedback_option: null,
    reason: "cancellation_requested",
  };
  const schedule = sub.schedule ? work.find("subscription_schedule", sub.schedule) : null;
  if (schedule) release(work, schedule, true);
  if (features.subscription_cancel.mode === "immediately") {
    work.change("subscription", id, { cancellation_details });
    cancelNow(work, id, "cancellation_requested");
    return;
  }
  // Flexible billing: a date, and not the flag that the API's own `cancel_at_period_end` sets.
  work.change("subscription", id, {
    cancel_at: periodEnd(sub),
    cancel_at_period_end: false,
    canceled_at: work.now(sub.test_clock ?? ""),
    cancellation_details,
  }, UPDATED);
}

export function resume(work: Work, sessionId: string, id: string): void {
  const sub = ownSubscription(work, portalSession(work, sessionId, "subscription_cancel"), id);
  if (sub.cancel_at === null && !sub.cancel_at_period_end) {
    throw invalid("This subscription is not set to end.");
  }
  work.change("subscription", id, {
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
  }, UPDATED);
}

export interface PlanChoice {
  price: string;
  quantity?: number;
  /** As the person typed it. */
  promotion_code?: string;
}

function plan(work: Work, session: PortalSession, sub: Subscription, choice: PlanChoice): Plan {
  if (sub.cancel_at !== null || sub.cancel_at_period_end) {
    throw invalid("This subscription is set to end. Renew it before changing its plan.");
  }
  if (sub.schedule !== null) {
    throw invalid("A change of this subscription is scheduled already. It cannot be changed here.");
  }
  if (sub.items.data.some((each) => isMetered(each.price))) {
    throw invalid("This subscription is billed by usage. It cannot be changed here.");
  }
  if (!allowedPrices(work, session).some((price) => price.id === choice.price)) {
    throw invalid("The portal does not offer this plan.");
  }
  const item = sub.items.data[0];
  if (
    !item || item.price.id === choice.price && (choice.quantity ?? item.quantity) === item.quantity
  ) {
    throw invalid("This is the plan of the subscription already.");
  }
  const { price, quantity } = choice;
  return planChange(work, sub, [{ id: item.id, price, quantity }], work.now(sub.test_clock ?? ""));
}

/** A person's code on the confirmation: it takes the place of the discounts that are there. */
function redeemCode(
  work: Work,
  session: PortalSession,
  sub: Subscription,
  choice: PlanChoice,
): Subscription {
  if (choice.promotion_code === undefined) return sub;
  const { default_allowed_updates: allowed } =
    work.require("billing_portal.configuration", session.configuration).features
      .subscription_update;
  const param = "promotion_code";
  if (!allowed.includes(param)) throw invalid("The portal does not take promotion codes.", param);
  const code = activeCode(work, choice.promotion_code, sub.customer);
  if (!code) throw invalid("This code is not valid.", param);
  const quantity = choice.quantity ?? sub.items.data[0]?.quantity ?? 1;
  const amount = amountFor(work, work.require("price", choice.price), quantity, sub.currency);
  const target = { customer: sub.customer, subscription: sub.id, currency: sub.currency, amount };
  const discount = redeem(work, { promotion_code: code.id }, target, param);
  for (const old of sub.discounts) removeDiscount(work, old);
  return work.change("subscription", sub.id, { discounts: [discount.id] });
}

/** The change is really made, and taken back: what the page says is what its button bills, discounts and tax included. */
export function preview(work: Work, sessionId: string, id: string, choice: PlanChoice) {
  return work.store.rehearse(() => {
    const session = portalSession(work, sessionId, "subscription_update");
    const sub = redeemCode(work, session, ownSubscription(work, session, id), choice);
    const change = plan(work, session, sub, choice);
    const { proration_behavior: behavior } =
      work.require("billing_portal.configuration", session.configuration).features
        .subscription_update;
    const at = work.now(sub.test_clock ?? "");
    const { invoice } = applyChange(work, sub, change, behavior, at, null);
    const billed = invoice === null ? null : work.require("invoice", invoice);
    const pending = behavior === "none" ? [] : change.prorations;
    const next = nextInvoice(work, work.require("subscription", id));
    return {
      currency: sub.currency,
      amount_due_now: billed?.total ?? 0,
      lines: billed
        ? rowsOf(billed)
        : pending.map(({ description, amount }) => ({ description, amount })),
      next_amount: next.total,
      next_payment_at: Math.min(...change.items.map((item) => item.current_period_end)),
    };
  });
}

function rowsOf(invoice: Invoice): { description: string; amount: number }[] {
  const discounts = (invoice.total_discount_amounts ?? []).filter(({ amount }) => amount > 0);
  const taxes = (invoice.total_taxes ?? []).filter((tax) => onTop(tax) !== 0);
  return [
    ...invoice.lines.data.map((line) => ({
      description: line.description ?? "",
      amount: line.amount,
    })),
    ...discounts.map(({ amount }) => ({ description: "Discount", amount: -amount })),
    ...taxes.map((tax) => ({ description: taxName(tax), amount: tax.amount })),
  ];
}

/** A whole period of what the subscription then has, without anything pending. */
function nextInvoice(work: Work, sub: Subscription): Invoice {
  const lines = sub.items.data.flatMap((item) => {
    const { current_period_start: start, current_period_end: end } = item;
    return itemLines(work, item, { start, end }, sub.currency);
  });
  return createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "upcoming",
    subscription: sub.id,
    lines,
    auto_advance: false,
  });
}

/** Applies a plan; the caller rolls the transaction back when the outcome is not `paid` (or nothing to pay). */
export function changePlan(
  work: Work,
  sessionId: string,
  id: string,
  choice: PlanChoice,
  approved: boolean,
): PaymentOutcome | null {
  const session = portalSession(work, sessionId, "subscription_update");
  const before = ownSubscription(work, session, id);
  const sub = redeemCode(work, session, before, choice);
  const change = plan(work, session, sub, choice);
  const { proration_behavior: behavior } =
    work.require("billing_portal.configuration", session.configuration).features
      .subscription_update;
  const at = work.now(before.test_clock ?? "");
  const { outcome } = applyChange(work, sub, change, behavior, at, approved ? { approved } : {});
  const after = work.require("subscription", id);
  work.change("subscription", id, before);
  work.change("subscription", id, after, UPDATED);
  return outcome;
}

/** The new card becomes the default everywhere, and what is open is tried with it. */
export function adoptMethod(
  work: Work,
  customer: string,
  method: PaymentMethod,
): PaymentOutcome | null {
  attach(work, method.id, customer);
  work.changeHidden("payment_method", method.id, { authenticated: true });
  setDefaultMethod(work, customer, method.id, "customer.updated");
  let outcome: PaymentOutcome | null = null;
  for (const sub of work.store.all("subscription", { customer })) {
    if (isEnded(sub)) continue;
    work.change("subscription", sub.id, { default_payment_method: method.id }, UPDATED);
    const { unpaid_invoice } = work.hidden("subscription", sub.id);
    if (unpaid_invoice) outcome = attemptPayment(work, unpaid_invoice, { method });
  }
  return outcome;
}
