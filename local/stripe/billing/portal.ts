/** What the Billing Portal's page does to subscriptions and cards. */
import { invalid, missing, StripeError } from "../engine/errors.ts";
import type { PaymentMethod, PortalSession, Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { periodEnd } from "./due.ts";
import { attemptPayment, type PaymentOutcome } from "./invoices.ts";
import { cancelNow } from "./lifecycle.ts";
import { amountFor, isMetered } from "./amounts.ts";
import { attach } from "./methods.ts";
import { applyChange } from "./changes.ts";
import { type Plan, planChange } from "./proration.ts";
import { release } from "./schedules.ts";
import { isEnded } from "./status.ts";
import { allowedPrices } from "./views.ts";
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
  return planChange(work, sub, [{ id: item.id, ...choice }], work.now(sub.test_clock ?? ""));
}

export function preview(work: Work, sessionId: string, id: string, choice: PlanChoice) {
  const session = portalSession(work, sessionId, "subscription_update");
  const sub = ownSubscription(work, session, id);
  const change = plan(work, session, sub, choice);
  const { proration_behavior } =
    work.require("billing_portal.configuration", session.configuration).features
      .subscription_update;
  const whole = change.restarts && sub.status !== "trialing" ? change.items : [];
  const lines = [
    ...(proration_behavior === "none"
      ? []
      : change.prorations.map(({ description, amount }) => ({ description, amount }))),
    ...whole.map((item) => ({
      description: "New billing period",
      amount: amountFor(work, item.price, item.quantity ?? 1, sub.currency),
    })),
  ];
  const isNow = change.restarts || proration_behavior === "always_invoice";
  return {
    currency: sub.currency,
    amount_due_now: isNow ? lines.reduce((sum, line) => sum + line.amount, 0) : 0,
    lines,
    next_amount: change.items.reduce(
      (sum, item) => sum + amountFor(work, item.price, item.quantity ?? 1, sub.currency),
      0,
    ),
    next_payment_at: Math.min(...change.items.map((item) => item.current_period_end)),
  };
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
  const change = plan(work, session, before, choice);
  const { proration_behavior: behavior } =
    work.require("billing_portal.configuration", session.configuration).features
      .subscription_update;
  const at = work.now(before.test_clock ?? "");
  const { outcome } = applyChange(work, before, change, behavior, at, approved ? { approved } : {});
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
