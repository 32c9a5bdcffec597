/** Money moves: payment methods from test cards, confirming an intent, its charge, and refunds. */
import type { PaymentIntent, PaymentMethod, SetupIntent } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import type { Decline } from "./cards.ts";
import { isBankType, startDebit } from "./bank_debits.ts";
import { createCharge } from "./charges.ts";
import { createDispute } from "./disputes.ts";
import { checkConnect } from "./destinations.ts";
import { attach, NOT_A_TEST_CARD, testCardOf } from "./methods.ts";

type Verdict = { kind: "ok" } | { kind: "authenticate" } | { kind: "refused"; decline: Decline };

/** What the bank says. `approved`: the person has just passed its challenge. */
export function bankVerdict(
  work: Work,
  method: PaymentMethod,
  approved: boolean,
  setup: boolean,
): Verdict {
  const card = testCardOf(work, method);
  if (!card) return { kind: "refused", decline: NOT_A_TEST_CARD };
  const refused = setup ? card.refuses : card.failsCharge;
  if (refused) return { kind: "refused", decline: refused };
  if (approved || !card.authentication) return { kind: "ok" };
  const isSetUp = work.hidden("payment_method", method.id).authenticated;
  return card.authentication === "until_set_up" && isSetUp
    ? { kind: "ok" }
    : { kind: "authenticate" };
}

const AUTHENTICATION_FAILED: Decline = {
  code: "payment_intent_authentication_failure",
  decline_code: null,
  message:
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
};

export interface Confirmation {
  method: PaymentMethod;
  /** The person's answer to the challenge, when there has been one. */
  approved?: boolean;
}

/** A destination can be lost between the promise and the payment. */
export const intentConnect = (intent: PaymentIntent) => ({
  application_fee_amount: intent.application_fee_amount,
  transfer_data: intent.transfer_data,
});

/** Confirms an intent and leaves it `succeeded`, `requires_capture`, `requires_action` or `requires_payment_method`. */
export function confirmPayment(work: Work, intentId: string, by: Confirmation): PaymentIntent {
  const intent = work.change("payment_intent", intentId, { payment_method: by.method.id });
  checkConnect(work, intentConnect(intent), intent.amount);
  if (isBankType(by.method.type)) return startDebit(work, intent, by.method);
  const verdict: Verdict = by.approved === false
    ? { kind: "refused", decline: AUTHENTICATION_FAILED }
    : bankVerdict(work, by.method, by.approved ?? false, false);
  if (verdict.kind === "authenticate") {
    const next_action = { type: "use_stripe_sdk", use_stripe_sdk: {} };
    return work.change(
      "payment_intent",
      intentId,
      { status: "requires_action", next_action },
      "payment_intent.requires_action",
    );
  }
  if (verdict.kind === "refused") return failPayment(work, intent, by.method, verdict.decline);
  if (by.approved) work.changeHidden("payment_method", by.method.id, { authenticated: true });
  return succeedPayment(work, intent, by.method);
}

function failPayment(
  work: Work,
  intent: PaymentIntent,
  method: PaymentMethod,
  decline: Decline,
): PaymentIntent {
  const charge = createCharge(work, intent, method, { kind: "failed", decline });
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
  const charge = createCharge(work, intent, method, { kind: "paid" });
  if (intent.setup_future_usage && intent.customer && method.customer === null) {
    attach(work, method.id, intent.customer);
  }
  const disputed = testCardOf(work, method)?.disputed;
  if (disputed) createDispute(work, charge, disputed);
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

/** Sets a card up for later; same verdicts as a payment, without money. */
export function confirmSetup(work: Work, intentId: string, by: Confirmation): SetupIntent {
  const intent = work.change("setup_intent", intentId, { payment_method: by.method.id });
  const verdict: Verdict = by.approved === false
    ? {
      kind: "refused",
      decline: { ...AUTHENTICATION_FAILED, code: "setup_intent_authentication_failure" },
    }
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
