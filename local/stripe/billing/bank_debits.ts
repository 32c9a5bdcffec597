/** Debits of a bank account, which succeed or fail later. Test numbers: https://docs.stripe.com/testing#non-card-payments */
import { invalid } from "../engine/errors.ts";
import { newId, type PaymentIntent, type PaymentMethod } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import type { Decline } from "./cards.ts";
import { createCharge, receiptUrl, settle } from "./charges.ts";
import { createDispute } from "./disputes.ts";
import { type BillingDetails, EMPTY_ADDRESS } from "./methods.ts";

export type BankType = "sepa_debit" | "us_bank_account";
type Outcome = "disputed" | "failed" | "succeeded";

interface TestBank {
  type: BankType;
  number: string;
  outcome: Outcome;
}
const bank = (type: BankType, outcome: Outcome, ...numbers: string[]): TestBank[] =>
  numbers.map((number) => ({ type, number, outcome }));

const BANKS: readonly TestBank[] = [
  ...bank("sepa_debit", "succeeded", "AT611904300234573201", "AT321904300235473204"),
  ...bank("sepa_debit", "succeeded", "DE89370400440532013000", "DE08370400440532013003"),
  ...bank("sepa_debit", "succeeded", "IT40S0542811101000000123456"),
  ...bank("sepa_debit", "failed", "AT861904300235473202", "AT051904300235473205"),
  ...bank("sepa_debit", "failed", "DE62370400440532013001", "DE78370400440532013004"),
  ...bank("sepa_debit", "failed", "IT60X0542811101000000123456"),
  ...bank("sepa_debit", "disputed", "AT591904300235473203", "DE35370400440532013002"),
  ...bank("us_bank_account", "succeeded", "000123456789"),
  ...bank("us_bank_account", "failed", "000111111113", "000111111116", "000222222227"),
];

const CURRENCY: Record<BankType, string> = { sepa_debit: "eur", us_bank_account: "usd" };

/** What kind of bank debit a currency has. */
export function bankTypeFor(currency: string | null): BankType | null {
  if (currency === "eur") return "sepa_debit";
  return currency === "usd" ? "us_bank_account" : null;
}

export const isBankType = (type: string): type is BankType => Object.hasOwn(CURRENCY, type);

/** A method type that the currency does not have. */
export function checkCurrency(types: readonly string[], currency: string): void {
  for (const type of types) {
    if (!isBankType(type) || CURRENCY[type] === currency) continue;
    throw invalid(
      `The currency provided (${currency}) is invalid for payment method type ${type}. Payments with ${type} support the ` +
        `following currencies: ${CURRENCY[type]}.`,
      "payment_method_types",
    );
  }
}

export function createBankMethod(
  work: Work,
  type: BankType,
  typed: string,
  options: { billing?: Partial<BillingDetails>; metadata?: Record<string, string> } = {},
): PaymentMethod {
  const number = typed.replaceAll(/[\s-]/g, "").toUpperCase();
  if (!BANKS.some((each) => each.type === type && each.number === number)) {
    throw invalid(
      type === "sepa_debit"
        ? "The IBAN you provided is invalid."
        : "You must use a test bank account number in test mode. Try 000123456789.",
      type === "sepa_debit" ? "sepa_debit[iban]" : "us_bank_account[account_number]",
      type === "sepa_debit" ? "invalid_bank_account_iban" : "account_number_invalid",
    );
  }
  const common = { fingerprint: `sandbox${number.slice(-8)}`, last4: number.slice(-4) };
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
    created: work.now(),
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: options.metadata ?? {},
    ...(type === "sepa_debit"
      ? {
        sepa_debit: {
          ...common,
          bank_code: number.slice(4, 9),
          branch_code: "",
          country: number.slice(0, 2),
          generated_from: { charge: null, setup_attempt: null },
        },
      }
      : {
        us_bank_account: {
          ...common,
          account_holder_type: "individual",
          account_type: "checking",
          bank_name: "STRIPE TEST BANK",
          financial_connections_account: null,
          networks: { preferred: "ach", supported: ["ach"] },
          routing_number: "110000000",
          status_details: null,
        },
      }),
    type,
  };
  return work.create("payment_method", method, { card: number, authenticated: false });
}

const outcomeOf = (work: Work, method: PaymentMethod): Outcome =>
  BANKS.find((each) =>
    each.type === method.type && each.number === work.hidden("payment_method", method.id).card
  )?.outcome ?? "failed";

/** The debit is under way: nobody knows yet. */
export function startDebit(
  work: Work,
  intent: PaymentIntent,
  method: PaymentMethod,
): PaymentIntent {
  const charge = createCharge(work, intent, method, { kind: "pending" });
  const now = work.now(work.clockOf(intent.customer));
  work.changeHidden("payment_intent", intent.id, {
    settles_at: now + work.settings.asyncDelaySeconds,
  });
  return work.change("payment_intent", intent.id, {
    last_payment_error: null,
    latest_charge: charge.id,
    next_action: null,
    status: "processing",
  }, "payment_intent.processing");
}

const FAILED: Decline = {
  code: "payment_intent_payment_attempt_failed",
  decline_code: null,
  message: "The payment failed: the bank could not debit the account.",
};

/** The bank's answer. */
export function settleDebit(work: Work, id: string): PaymentIntent {
  work.changeHidden("payment_intent", id, { settles_at: null });
  const intent = work.require("payment_intent", id);
  const method = work.require("payment_method", intent.payment_method ?? "");
  const outcome = outcomeOf(work, method);
  const charge = work.require("charge", intent.latest_charge ?? "");
  if (outcome === "failed") return failDebit(work, intent, method);
  work.change("charge", charge.id, {
    amount_captured: charge.amount,
    captured: true,
    paid: true,
    receipt_url: receiptUrl(work, charge.id),
    status: "succeeded",
  });
  work.emit("charge.succeeded", settle(work, charge.id));
  const paid = work.change("payment_intent", id, {
    amount_received: intent.amount,
    status: "succeeded",
  }, "payment_intent.succeeded");
  finishSession(work, id, "checkout.session.async_payment_succeeded");
  if (outcome === "disputed") {
    createDispute(work, work.require("charge", charge.id), "fraudulent");
  }
  return paid;
}

function failDebit(work: Work, intent: PaymentIntent, method: PaymentMethod): PaymentIntent {
  const { code, message } = FAILED;
  work.change("charge", intent.latest_charge ?? "", {
    failure_code: "generic_could_not_process",
    failure_message: message,
    status: "failed",
  }, "charge.failed");
  const failed = work.change("payment_intent", intent.id, {
    last_payment_error: {
      type: "invalid_request_error",
      code,
      message,
      charge: intent.latest_charge ?? undefined,
      payment_method: method,
    },
    payment_method: null,
    status: "requires_payment_method",
  }, "payment_intent.payment_failed");
  finishSession(work, intent.id, "checkout.session.async_payment_failed");
  return failed;
}

function finishSession(
  work: Work,
  intent: string,
  event: "checkout.session.async_payment_failed" | "checkout.session.async_payment_succeeded",
): void {
  const [session] = work.store.all("checkout.session", { payment_intent: intent });
  if (!session) return;
  const isPaid = event.endsWith("succeeded");
  work.emit(
    event,
    isPaid ? work.change("checkout.session", session.id, { payment_status: "paid" }) : session,
  );
}
