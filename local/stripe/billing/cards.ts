/** Test cards: https://docs.stripe.com/testing. Any other number is declined, as in Stripe's test mode. */
import type { PaymentIntent } from "../engine/types.ts";
import type { CardInput } from "../hosted.ts";

export interface Decline {
  code: NonNullable<NonNullable<PaymentIntent["last_payment_error"]>["code"]>;
  decline_code: string | null;
  message: string;
}
const decline = (decline_code: string, message: string): Decline => ({
  code: "card_declined",
  decline_code,
  message,
});
const GENERIC = decline("generic_decline", "Your card was declined.");

export interface TestCard {
  number: string;
  brand: "visa" | "mastercard" | "amex";
  /** Refused when it is attached or set up. */
  refuses?: Decline;
  /** Attaches, but a charge is refused. */
  failsCharge?: Decline;
  /** `always`: each payment asks the bank. `until_set_up`: only until the first approval. */
  authentication?: "always" | "until_set_up";
  /** The charge succeeds and is disputed at once. */
  disputed?: "fraudulent" | "product_not_received" | "inquiry";
  /** What becomes of a refund some time later; it begins as pending when it will succeed. */
  refunds?: "fail_later" | "succeed_later";
  /** The money is available at once, and Stripe takes no fee of it. */
  isAvailable?: boolean;
  names: readonly string[];
}

const CARDS: readonly TestCard[] = [
  { number: "4242424242424242", brand: "visa", names: ["visa", "us"] },
  {
    number: "4000000000000077",
    brand: "visa",
    isAvailable: true,
    names: ["bypassPending"],
  },
  {
    number: "4000000000005126",
    brand: "visa",
    refunds: "fail_later",
    names: ["refundFail"],
  },
  {
    number: "4000000000007726",
    brand: "visa",
    refunds: "succeed_later",
    names: ["pendingRefund"],
  },
  { number: "4000056655665556", brand: "visa", names: ["visa_debit"] },
  { number: "5555555555554444", brand: "mastercard", names: ["mastercard"] },
  { number: "378282246310005", brand: "amex", names: ["amex"] },
  {
    number: "4000000000000002",
    brand: "visa",
    refuses: GENERIC,
    failsCharge: GENERIC,
    names: ["chargeDeclined", "visa_chargeDeclined"],
  },
  {
    number: "4000000000009995",
    brand: "visa",
    refuses: decline("insufficient_funds", "Your card has insufficient funds."),
    failsCharge: decline("insufficient_funds", "Your card has insufficient funds."),
    names: ["chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"],
  },
  {
    number: "4000000000000069",
    brand: "visa",
    refuses: { code: "expired_card", decline_code: null, message: "Your card has expired." },
    failsCharge: { code: "expired_card", decline_code: null, message: "Your card has expired." },
    names: ["chargeDeclinedExpiredCard"],
  },
  {
    number: "4000000000000127",
    brand: "visa",
    refuses: {
      code: "incorrect_cvc",
      decline_code: null,
      message: "Your card's security code is incorrect.",
    },
    failsCharge: {
      code: "incorrect_cvc",
      decline_code: null,
      message: "Your card's security code is incorrect.",
    },
    names: ["chargeDeclinedIncorrectCvc"],
  },
  {
    number: "4000000000000341",
    brand: "visa",
    failsCharge: GENERIC,
    names: ["chargeCustomerFail"],
  },
  {
    number: "4000002500003155",
    brand: "visa",
    authentication: "until_set_up",
    names: ["authenticationRequiredOnSetup"],
  },
  {
    number: "4000002760003184",
    brand: "visa",
    authentication: "always",
    names: ["authenticationRequired", "threeDSecure2Required"],
  },
  {
    number: "4000000000000259",
    brand: "visa",
    disputed: "fraudulent",
    names: ["createDispute"],
  },
  {
    number: "4000000000002685",
    brand: "visa",
    disputed: "product_not_received",
    names: ["createDisputeProductNotReceived"],
  },
  {
    number: "4000000000001976",
    brand: "visa",
    disputed: "inquiry",
    names: ["createDisputeInquiry"],
  },
];

export function cardByNumber(number: string): TestCard | null {
  const digits = number.replace(/\D/g, "");
  return CARDS.find((card) => card.number === digits) ?? null;
}

/** `pm_card_visa` → visa, `tok_visa` → visa; null when it is not the name of a test card. */
export function cardByToken(token: string): TestCard | null {
  const name = /^(?:pm_card_|tok_)(\w+)$/.exec(token)?.[1];
  return name === undefined ? null : CARDS.find((card) => card.names.includes(name)) ?? null;
}

export type CardProblem = Decline & { param: "number" | "exp_month" | "exp_year" | "cvc" };

/** What a form checks before it asks the bank. `now` in Unix seconds. */
export function cardProblem(
  card: Omit<CardInput, "cvc"> & { cvc?: string },
  now: number,
): CardProblem | null {
  const digits = card.number.replace(/[\s-]/g, "");
  const problem = (
    param: CardProblem["param"],
    code: Decline["code"],
    message: string,
  ): CardProblem => ({ code, decline_code: null, message, param });
  if (!/^\d{12,19}$/.test(digits) || !luhn(digits)) {
    return problem("number", "incorrect_number", "Your card number is incorrect.");
  }
  if (card.exp_month < 1 || card.exp_month > 12) {
    return problem("exp_month", "invalid_expiry_month", "Your card's expiration month is invalid.");
  }
  const today = new Date(now * 1000);
  const year = card.exp_year < 100 ? 2000 + card.exp_year : card.exp_year;
  const past = year * 12 + card.exp_month - 1 < today.getUTCFullYear() * 12 + today.getUTCMonth();
  if (past || year > today.getUTCFullYear() + 50) {
    return problem("exp_year", "invalid_expiry_year", "Your card's expiration year is invalid.");
  }
  if (card.cvc !== undefined && !/^\d{3,4}$/.test(card.cvc)) {
    return problem("cvc", "invalid_cvc", "Your card's security code is invalid.");
  }
  return null;
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = Number(digits.charAt(digits.length - 1 - i));
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
