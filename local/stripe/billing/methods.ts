/** Payment methods made from test cards, and attaching them. */
import { invalid, StripeError } from "../engine/errors.ts";
import { newId, type PaymentMethod } from "../engine/types.ts";
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
  options: {
    customer?: string | null;
    billing?: Partial<BillingDetails>;
    metadata?: Record<string, string>;
  } = {},
): PaymentMethod {
  const digits = card.number.replace(/\D/g, "");
  const known = cardByNumber(digits);
  const now = work.now(work.clockOf(options.customer));
  const method: PaymentMethod = {
    id: newId("pm_"),
    object: "payment_method",
    allow_redisplay: "unspecified",
    billing_details: {
      address: EMPTY_ADDRESS,
      email: null,
      name: null,
      phone: null,
      tax_id: null,
      ...options.billing,
    },
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

export const NOT_A_TEST_CARD: Decline = {
  code: "card_declined",
  decline_code: "test_mode_live_card",
  message:
    "Your card was declined. Your request was in test mode, but used a non test (live) card.",
};

export function attach(
  work: Work,
  methodId: string,
  customer: string,
  param = "payment_method",
): PaymentMethod {
  const method = resolveMethod(work, methodId, param);
  if (method.customer === customer) return method;
  if (method.customer !== null) {
    throw invalid(
      "The payment method you provided has already been attached to a customer.",
      param,
    );
  }
  if (method.type !== "card") {
    throw invalid("The sandbox keeps cards only: a bank account pays once.", param);
  }
  const card = testCardOf(work, method);
  const refused = card ? card.refuses : NOT_A_TEST_CARD;
  if (refused) throw cardError(refused, {});
  return work.change("payment_method", method.id, { customer }, "payment_method.attached");
}

export function cardError(
  decline: Decline,
  extra: Partial<StripeError["body"]>,
  keepWrites = false,
): StripeError {
  const { decline_code, message, code } = decline;
  return new StripeError(402, {
    type: "card_error",
    code,
    message,
    ...(decline_code ? { decline_code } : {}),
    ...extra,
  }, keepWrites);
}
