/** Paying, setting up, authenticating and expiring a Checkout session: what the page and `/v1/payment_pages` both call. */
import { invalid } from "../engine/errors.ts";
import type { CheckoutSession, PaymentMethod, PromotionCode } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import type { Decline } from "./cards.ts";
import { requireRecipient } from "./accounts.ts";
import { bankTypeFor } from "./bank_debits.ts";
import { createIntent, createSetup } from "./intents.ts";
import { amountFor } from "./amounts.ts";
import { checkoutLines, dueNow, reckon, redemptionOf, sessionLines } from "./checkout_lines.ts";
import { couponOf, redeem } from "./discounts.ts";
import { createInvoiceItem, productName } from "./lines.ts";
import { attach, EMPTY_ADDRESS } from "./methods.ts";
import { bankVerdict, confirmPayment, confirmSetup } from "./payments.ts";
import { createSubscription } from "./subscriptions.ts";
import { noLocation } from "./tax.ts";
import { placeOf } from "./tax_rates.ts";
import { createCustomer } from "../resources/customers.ts";

export type CheckoutOutcome =
  | { outcome: "succeeded" }
  | { outcome: "declined" } & Decline
  | { outcome: "requires_action" };

/** The address on the page, which decides the tax; null when it does not say enough. */
export function setAddress(
  work: Work,
  id: string,
  address: { country: string; postal_code: string | null },
): CheckoutSession | null {
  const session = openSession(work, id);
  const { tax } = work.hidden("checkout.session", id);
  if (!tax?.collects) throw invalid("This Checkout Session does not ask for an address.");
  if (!placeOf(address)) return null;
  work.changeHidden("checkout.session", id, { tax: { ...tax, address } });
  return reckon(work, session);
}

/** The person's promotion code on the page; null takes it away again. */
export function setPromotionCode(work: Work, id: string, code: PromotionCode | null): void {
  const session = openSession(work, id);
  if (!session.allow_promotion_codes) {
    throw invalid("This Checkout Session does not take promotion codes.");
  }
  const discounts = code ? [{ coupon: null, promotion_code: code.id }] : [];
  if (code) {
    const lines = sessionLines(work, { ...session, discounts: [] });
    const { subtotal } = dueNow(lines, false);
    const target = {
      customer: session.customer,
      currency: session.currency ?? undefined,
      amount: subtotal,
    };
    couponOf(work, { promotion_code: code.id }, target, "promotion_code");
  }
  reckon(work, { ...session, discounts });
}

export function openSession(work: Work, id: string): CheckoutSession {
  const session = work.require("checkout.session", id);
  if (session.status !== "open") {
    throw invalid(
      `This Checkout Session is ${session.status}; it can no longer be paid.`,
      undefined,
      "checkout_not_open_session",
    );
  }
  return session;
}

export interface Pay {
  method: PaymentMethod;
  email: string | null;
  approved?: boolean;
}

export function payCheckout(work: Work, id: string, by: Pay): CheckoutOutcome {
  const session = openSession(work, id);
  work.changeHidden("checkout.session", id, { waiting: null });
  if (session.automatic_tax.status === "requires_location_inputs") {
    throw noLocation("Enter your billing address first: the tax depends on it.");
  }
  const method = withAddress(work, session, by.method);
  const outcome = run(work, session, { ...by, method });
  if (outcome.outcome === "requires_action") {
    work.changeHidden("checkout.session", id, {
      waiting: { payment_method: by.method.id, email: by.email },
    });
  }
  return outcome;
}

/** The page's address belongs to the new card as well. */
function withAddress(work: Work, session: CheckoutSession, method: PaymentMethod): PaymentMethod {
  const { address } = work.hidden("checkout.session", session.id).tax ?? {};
  if (!address || method.customer !== null) return method;
  const billing_details = { ...method.billing_details, address: { ...EMPTY_ADDRESS, ...address } };
  return work.change("payment_method", method.id, { billing_details });
}

function run(work: Work, session: CheckoutSession, by: Pay): CheckoutOutcome {
  const offered = session.mode === "payment" ? bankTypeFor(session.currency) : null;
  if (by.method.type !== "card" && by.method.type !== offered) {
    throw invalid(
      `The payment method type \`${by.method.type}\` is not available for this Checkout Session.`,
      "payment_method",
    );
  }
  if (session.mode === "setup") return runSetup(work, session, by);
  if (session.mode === "payment") return runPayment(work, session, by);
  return runSubscription(work, session, by);
}

export function answerChallenge(work: Work, id: string, approved: boolean): CheckoutOutcome {
  openSession(work, id);
  const { waiting } = work.hidden("checkout.session", id);
  if (!waiting) throw invalid("This Checkout Session does not wait for an authentication.");
  const method = work.require("payment_method", waiting.payment_method);
  return payCheckout(work, id, { method, email: waiting.email, approved });
}

function declined(
  error: { code?: Decline["code"]; message?: string; decline_code?: string | null } | null,
): CheckoutOutcome {
  return {
    outcome: "declined",
    code: error?.code ?? "card_declined",
    decline_code: error?.decline_code ?? null,
    message: error?.message ?? "Your card was declined.",
  };
}

const REFUSED_CHALLENGE: Decline = {
  code: "payment_intent_authentication_failure",
  decline_code: null,
  message:
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
};

function runPayment(work: Work, session: CheckoutSession, by: Pay): CheckoutOutcome {
  const details = work.hidden("checkout.session", session.id).payment;
  const keepsCard = details?.setup_future_usage ?? null;
  const makesCustomer = session.customer_creation === "always" || keepsCard !== null;
  const customer = session.customer ?? (makesCustomer ? ensureCustomer(work, session, by) : null);
  if (session.amount_total === 0) {
    redeemFor(work, session, customer);
    complete(work, session.id, by, { customer, payment_status: "no_payment_required" });
    return { outcome: "succeeded" };
  }
  const bank = bankTypeFor(session.currency);
  const intent = session.payment_intent ?? createIntent(work, {
    ...details?.connect,
    payment_method_types: bank ? ["card", bank] : ["card"],
    amount: session.amount_total ?? 0,
    currency: session.currency ?? "usd",
    customer,
    description: details?.description,
    metadata: details?.metadata,
    receipt_email: details?.receipt_email,
    setup_future_usage: keepsCard,
    shipping: details?.shipping,
  }).id;
  work.change("checkout.session", session.id, { payment_intent: intent });
  const done = confirmPayment(work, intent, by);
  if (done.status === "requires_action") return { outcome: "requires_action" };
  if (done.status === "requires_payment_method") return declined(done.last_payment_error);
  const payment_status = done.status === "processing" ? "unpaid" as const : "paid" as const;
  keepAddress(work, session, customer);
  redeemFor(work, session, customer);
  complete(work, session.id, by, { customer, payment_status });
  return { outcome: "succeeded" };
}

/** `customer_update[address]: auto` */
function keepAddress(work: Work, session: CheckoutSession, customer: string | null): void {
  const { address, saves } = work.hidden("checkout.session", session.id).tax ?? {};
  if (!address || !saves || customer === null) return;
  const known = work.require("customer", customer).address;
  const isSame = known?.country === address.country &&
    (known.postal_code ?? null) === address.postal_code;
  if (isSame) return;
  work.change("customer", customer, {
    address: { ...EMPTY_ADDRESS, ...address },
  }, "customer.updated");
}

/** Without a subscription nothing keeps the discount; it is only counted. */
function redeemFor(work: Work, session: CheckoutSession, customer: string | null): void {
  const by = redemptionOf(session);
  if (by) redeem(work, by, { customer, checkout_session: session.id }, "discounts[0]");
}

function runSetup(work: Work, session: CheckoutSession, by: Pay): CheckoutOutcome {
  const outcome = setUp(work, session.customer, session.setup_intent, by);
  if (outcome.setup) work.change("checkout.session", session.id, { setup_intent: outcome.setup });
  if (outcome.result.outcome === "succeeded") {
    complete(work, session.id, by, { payment_status: "no_payment_required" });
  }
  return outcome.result;
}

function setUp(
  work: Work,
  customer: string | null,
  known: string | null,
  by: Pay,
): { setup: string; result: CheckoutOutcome } {
  const setup = known ?? createSetup(work, { customer }).id;
  const done = confirmSetup(work, setup, by);
  if (done.status === "requires_action") return { setup, result: { outcome: "requires_action" } };
  if (done.status === "succeeded") return { setup, result: { outcome: "succeeded" } };
  return { setup, result: declined(done.last_setup_error) };
}

/**
 * The subscription comes to be only with its first payment: a declined card leaves a failed intent and no subscription.
 */
function runSubscription(work: Work, session: CheckoutSession, by: Pay): CheckoutOutcome {
  const due = session.amount_total ?? 0;
  const { transfer_data: share } = work.hidden("checkout.session", session.id).subscription ?? {};
  if (share) requireRecipient(work, share.destination, "transfer_data[destination]");
  if (by.approved === false) return declined(REFUSED_CHALLENGE);
  const verdict = bankVerdict(work, by.method, by.approved ?? false, due === 0);
  if (verdict.kind === "authenticate") return { outcome: "requires_action" };
  if (verdict.kind === "refused") {
    const attempt = {
      amount: Math.max(due, 1),
      currency: session.currency ?? "usd",
      customer: session.customer,
    };
    if (due > 0) confirmPayment(work, createIntent(work, attempt).id, { method: by.method });
    return declined(verdict.decline);
  }
  const customer = session.customer ?? ensureCustomer(work, session, by);
  if (due === 0) setUp(work, customer, null, by);
  attach(work, by.method.id, customer);
  keepAddress(work, session, customer);
  const subscription = subscribe(work, session, customer, by);
  complete(work, session.id, by, {
    customer,
    invoice: subscription.latest_invoice,
    payment_status: due === 0 ? "no_payment_required" : "paid",
    subscription: subscription.id,
  });
  return { outcome: "succeeded" };
}

function subscribe(work: Work, session: CheckoutSession, customer: string, by: Pay) {
  const lines = checkoutLines(work, session.id);
  for (const { price, quantity = 1 } of lines.filter((line) => line.price.type === "one_time")) {
    createInvoiceItem(work, {
      customer,
      amount: amountFor(work, price, quantity, session.currency ?? price.currency),
      currency: session.currency ?? price.currency,
      description: productName(work, price),
      price,
      quantity,
    });
  }
  const details = work.hidden("checkout.session", session.id).subscription;
  const now = work.now(work.clockOf(customer));
  const days = details?.trial_period_days ?? null;
  const discount = redemptionOf(session);
  return createSubscription(work, {
    automatic_tax: session.automatic_tax.enabled,
    customer,
    items: lines.filter((line) => line.price.type === "recurring")
      .map(({ price, quantity }) => ({ price: price.id, quantity })),
    approved: by.approved,
    checkout_session: session.id,
    currency: session.currency ?? undefined,
    discounts: discount ? [discount] : [],
    default_payment_method: by.method.id,
    description: details?.description,
    metadata: details?.metadata,
    missing_payment_method: details?.missing_payment_method,
    application_fee_percent: details?.application_fee_percent ?? null,
    transfer_data: details?.transfer_data ?? null,
    trial_end: days !== null ? now + days * 86_400 : details?.trial_end,
  });
}

function ensureCustomer(work: Work, session: CheckoutSession, by: Pay): string {
  const { name, phone } = by.method.billing_details;
  const { address } = work.hidden("checkout.session", session.id).tax ?? {};
  const email = session.customer_email ?? by.email ?? by.method.billing_details.email;
  return createCustomer(work, {
    ...(address ? { address } : {}),
    email: email ?? undefined,
    name: name ?? undefined,
    phone: phone ?? undefined,
  }).id;
}

function complete(work: Work, id: string, by: Pay, patch: Partial<CheckoutSession>): void {
  const session = work.require("checkout.session", id);
  const customer = patch.customer ?? session.customer;
  const known = customer ? work.find("customer", customer) : null;
  work.changeHidden("checkout.session", id, { waiting: null });
  work.change("checkout.session", id, {
    ...patch,
    customer_details: {
      address: by.method.billing_details.address,
      business_name: null,
      email: known?.email ?? by.email ?? by.method.billing_details.email,
      individual_name: null,
      name: by.method.billing_details.name ?? known?.name ?? null,
      phone: known?.phone ?? null,
      tax_exempt: "none",
      tax_ids: [],
    },
    status: "complete",
    url: null,
  }, "checkout.session.completed");
}

export function expireCheckout(work: Work, id: string): CheckoutSession {
  const session = work.require("checkout.session", id);
  if (session.status !== "open") {
    throw invalid(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${session.status}.`,
    );
  }
  work.changeHidden("checkout.session", id, { waiting: null });
  return work.change(
    "checkout.session",
    id,
    { status: "expired", url: null },
    "checkout.session.expired",
  );
}

export function successUrl(session: CheckoutSession): string {
  return (session.success_url ?? "").replaceAll("{CHECKOUT_SESSION_ID}", session.id);
}
