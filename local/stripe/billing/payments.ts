/** Money moves: payment methods from test cards, confirming an intent, its charge, and refunds. */
import { invalid, StripeError } from "../engine/errors.ts";
import {
  type Charge,
  newId,
  type PaymentIntent,
  type PaymentMethod,
  type SetupIntent,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { cardByNumber, cardByToken, type Decline, type TestCard } from "./cards.ts";

export interface Address {
  city: string | null;
  country: string | null;
  line1: string | null;
  line2: string | null;
  postal_code: string | null;
  state: string | null;
}
export const EMPTY_ADDRESS: Address = {
  city: null,
  country: null,
  line1: null,
  line2: null,
  postal_code: null,
  state: null,
};
export type BillingDetails = PaymentMethod["billing_details"];

export interface CardDetails {
  number: string;
  exp_month: number;
  exp_year: number;
}

export function createCardMethod(
  work: Work,
  card: CardDetails,
  options: { customer?: string | null; billing?: Partial<BillingDetails>; metadata?: Record<string, string> } = {},
): PaymentMethod {
  const digits = card.number.replace(/\D/g, "");
  const known = cardByNumber(digits);
  const now = work.now(work.clockOf(options.customer));
  const method: PaymentMethod = {
    id: newId("pm_"),
    object: "payment_method",
    allow_redisplay: "unspecified",
    billing_details: { address: EMPTY_ADDRESS, email: null, name: null, phone: null, tax_id: null, ...options.billing },
    card: {
      brand: known?.brand ?? "visa",
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
      country: "US",
      display_brand: known?.brand ?? "visa",
      exp_month: card.exp_month,
      exp_year: card.exp_year,
      fingerprint: `sandbox${digits.slice(-8)}`,
      funding: "credit",
      generated_from: null,
      last4: digits.slice(-4),
      networks: { available: [known?.brand ?? "visa"], preferred: null },
      regulated_status: "unregulated",
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    created: now,
    customer: options.customer ?? null,
    customer_account: null,
    livemode: false,
    metadata: options.metadata ?? {},
    type: "card",
  };
  const hidden = { card: digits, authenticated: false };
  return work.create("payment_method", method, hidden, { clock: work.clockOf(options.customer) });
}

/** An id as requests give it: a stored method, or one of Stripe's shared test names, of which each use makes a new one. */
export function resolveMethod(work: Work, id: string, param: string): PaymentMethod {
  const shared = cardByToken(id);
  if (!shared) return work.require("payment_method", id, param);
  return createCardMethod(work, { number: shared.number, exp_month: 12, exp_year: nextYear(work) });
}
const nextYear = (work: Work) => new Date(work.now() * 1000).getUTCFullYear() + 1;

export function cardFromToken(work: Work, token: string, param: string): CardDetails {
  const card = cardByToken(token);
  if (!card) throw invalid(`No such token: '${token}'`, param, "resource_missing");
  return { number: card.number, exp_month: 12, exp_year: nextYear(work) };
}

export function testCardOf(work: Work, method: PaymentMethod): TestCard | null {
  return cardByNumber(work.hidden("payment_method", method.id).card);
}

const NOT_A_TEST_CARD: Decline = {
  code: "card_declined",
  decline_code: "test_mode_live_card",
  message: "Your card was declined. Your request was in test mode, but used a non test (live) card.",
};

export function attach(work: Work, methodId: string, customer: string, param = "payment_method"): PaymentMethod {
  const method = resolveMethod(work, methodId, param);
  if (method.customer === customer) return method;
  if (method.customer !== null) {
    throw invalid("The payment method you provided has already been attached to a customer.", param);
  }
  const card = testCardOf(work, method);
  const refused = card ? card.refuses : NOT_A_TEST_CARD;
  if (refused) throw cardError(refused, {});
  return work.change("payment_method", method.id, { customer }, "payment_method.attached");
}

export function cardError(decline: Decline, extra: Partial<StripeError["body"]>, keepWrites = false): StripeError {
  const { decline_code, message, code } = decline;
  return new StripeError(402, {
    type: "card_error",
    code,
    message,
    ...(decline_code ? { decline_code } : {}),
    ...extra,
  }, keepWrites);
}

type Verdict = { kind: "ok" } | { kind: "authenticate" } | { kind: "refused"; decline: Decline };

/** What the bank says. `approved`: the person has just passed its challenge. */
export function bankVerdict(work: Work, method: PaymentMethod, approved: boolean, setup: boolean): Verdict {
  const card = testCardOf(work, method);
  if (!card) return { kind: "refused", decline: NOT_A_TEST_CARD };
  const refused = setup ? card.refuses : card.failsCharge;
  if (refused) return { kind: "refused", decline: refused };
  if (approved || !card.authentication) return { kind: "ok" };
  const isSetUp = work.hidden("payment_method", method.id).authenticated;
  return card.authentication === "until_set_up" && isSetUp ? { kind: "ok" } : { kind: "authenticate" };
}

const AUTHENTICATION_FAILED: Decline = {
  code: "payment_intent_authentication_failure",
  decline_code: null,
  message: "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
};

export interface Confirmation {
  method: PaymentMethod;
  /** The person's answer to the challenge, when there has been one. */
  approved?: boolean;
  returnUrl?: string;
}

/** Confirms an intent and leaves it `succeeded`, `requires_capture`, `requires_action` or `requires_payment_method`. */
export function confirmPayment(work: Work, intentId: string, by: Confirmation): PaymentIntent {
  const intent = work.change("payment_intent", intentId, { payment_method: by.method.id });
  const verdict: Verdict = by.approved === false
    ? { kind: "refused", decline: AUTHENTICATION_FAILED }
    : bankVerdict(work, by.method, by.approved ?? false, false);
  if (verdict.kind === "authenticate") {
    const next_action: PaymentIntent["next_action"] = by.returnUrl
      ? { type: "redirect_to_url", redirect_to_url: { return_url: by.returnUrl, url: challengeUrl(work, intent.id) } }
      : { type: "use_stripe_sdk", use_stripe_sdk: {} };
    return work.change("payment_intent", intentId, { status: "requires_action", next_action }, "payment_intent.requires_action");
  }
  if (verdict.kind === "refused") return failPayment(work, intent, by.method, verdict.decline);
  if (by.approved) work.changeHidden("payment_method", by.method.id, { authenticated: true });
  return succeedPayment(work, intent, by.method);
}

export function challengeUrl(work: Work, id: string): string {
  return `${work.settings.publicUrl}/_sandbox/authenticate/${id}`;
}

function failPayment(work: Work, intent: PaymentIntent, method: PaymentMethod, decline: Decline): PaymentIntent {
  const charge = createCharge(work, intent, method, decline);
  const { code, message, decline_code } = decline;
  return work.change("payment_intent", intent.id, {
    last_payment_error: {
      type: "card_error",
      code,
      message,
      charge: charge.id,
      payment_method: method,
      ...(decline_code ? { decline_code } : {}),
    },
    latest_charge: charge.id,
    next_action: null,
    payment_method: null,
    status: "requires_payment_method",
  }, "payment_intent.payment_failed");
}

function succeedPayment(work: Work, intent: PaymentIntent, method: PaymentMethod): PaymentIntent {
  const charge = createCharge(work, intent, method, null);
  if (intent.setup_future_usage && intent.customer && method.customer === null) {
    attach(work, method.id, intent.customer);
  }
  const common = { last_payment_error: null, latest_charge: charge.id, next_action: null };
  if (intent.capture_method === "manual") {
    return work.change("payment_intent", intent.id, {
      ...common,
      amount_capturable: intent.amount,
      status: "requires_capture",
    }, "payment_intent.amount_capturable_updated");
  }
  return work.change("payment_intent", intent.id, {
    ...common,
    amount_received: intent.amount,
    status: "succeeded",
  }, "payment_intent.succeeded");
}

function createCharge(work: Work, intent: PaymentIntent, method: PaymentMethod, decline: Decline | null): Charge {
  const captured = decline === null && intent.capture_method !== "manual";
  const clock = work.clockOf(intent.customer);
  const id = newId("ch_");
  const charge: Charge = {
    id,
    object: "charge",
    amount: intent.amount,
    amount_captured: captured ? intent.amount : 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: method.billing_details,
    calculated_statement_descriptor: "TOLLGATE SANDBOX",
    captured,
    created: work.now(clock),
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    fraud_details: {},
    livemode: false,
    metadata: intent.metadata,
    on_behalf_of: null,
    outcome: outcomeOf(decline),
    paid: decline === null,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { type: "card", card: chargedCard(intent, method) },
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: intent.shipping,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: decline === null ? "succeeded" : "failed",
    transfer_data: null,
    transfer_group: null,
  };
  return work.create("charge", charge, {}, { clock, event: decline ? "charge.failed" : "charge.succeeded" });
}

type ChargedCard = NonNullable<NonNullable<Charge["payment_method_details"]>["card"]>;
function chargedCard(intent: PaymentIntent, method: PaymentMethod): ChargedCard {
  const card = method.card;
  return {
    amount_authorized: intent.amount,
    authorization_code: null,
    brand: card?.brand ?? null,
    checks: card?.checks ?? null,
    country: card?.country ?? null,
    electronic_commerce_indicator: null,
    exp_month: card?.exp_month ?? 0,
    exp_year: card?.exp_year ?? 0,
    fingerprint: card?.fingerprint ?? null,
    funding: card?.funding ?? null,
    installments: null,
    last4: card?.last4 ?? null,
    mandate: null,
    network: card?.brand ?? null,
    network_transaction_id: null,
    regulated_status: "unregulated",
    three_d_secure: null,
    transaction_link_id: null,
    wallet: null,
  };
}

function outcomeOf(decline: Decline | null): Charge["outcome"] {
  return {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: decline ? "declined_by_network" : "approved_by_network",
    reason: decline?.decline_code ?? decline?.code ?? null,
    risk_level: "normal",
    risk_score: 10,
    seller_message: decline ? "The bank did not return any further details with this decline." : "Payment complete.",
    type: decline ? "issuer_declined" : "authorized",
  };
}

/** Sets a card up for later; same verdicts as a payment, without money. */
export function confirmSetup(work: Work, intentId: string, by: Confirmation): SetupIntent {
  const intent = work.change("setup_intent", intentId, { payment_method: by.method.id });
  const verdict: Verdict = by.approved === false
    ? { kind: "refused", decline: { ...AUTHENTICATION_FAILED, code: "setup_intent_authentication_failure" } }
    : bankVerdict(work, by.method, by.approved ?? false, true);
  if (verdict.kind === "authenticate") {
    return work.change("setup_intent", intentId, {
      next_action: { type: "use_stripe_sdk", use_stripe_sdk: {} },
      status: "requires_action",
    }, "setup_intent.requires_action");
  }
  if (verdict.kind === "refused") {
    const { code, message, decline_code } = verdict.decline;
    return work.change("setup_intent", intentId, {
      last_setup_error: {
        type: "card_error",
        code,
        message,
        payment_method: by.method,
        ...(decline_code ? { decline_code } : {}),
      },
      next_action: null,
      payment_method: null,
      status: "requires_payment_method",
    }, "setup_intent.setup_failed");
  }
  work.changeHidden("payment_method", by.method.id, { authenticated: true });
  if (intent.customer && by.method.customer === null) attach(work, by.method.id, intent.customer);
  return work.change("setup_intent", intentId, {
    last_setup_error: null,
    next_action: null,
    status: "succeeded",
  }, "setup_intent.succeeded");
}

export function refund(work: Work, charge: Charge, amount: number, reason: string | null, metadata: Record<string, string>) {
  const left = charge.amount_captured - charge.amount_refunded;
  if (left === 0) {
    throw invalid(`Charge ${charge.id} has already been refunded.`, undefined, "charge_already_refunded");
  }
  if (amount > left) {
    throw invalid(`Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`, "amount");
  }
  const clock = work.clockOf(charge.customer);
  const created = work.create("refund", {
    id: newId("re_"),
    object: "refund",
    amount,
    balance_transaction: null,
    charge: charge.id,
    created: work.now(clock),
    currency: charge.currency,
    customer: charge.customer,
    customer_account: null,
    metadata,
    payment_intent: charge.payment_intent,
    payment_method: charge.payment_method,
    reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: "succeeded",
    transfer_reversal: null,
  }, {}, { clock, event: "refund.created" });
  const amount_refunded = charge.amount_refunded + amount;
  work.change("charge", charge.id, { amount_refunded, refunded: amount_refunded === charge.amount }, "charge.refunded");
  return created;
}
