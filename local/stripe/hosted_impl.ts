/** The hosted pages' operations over the same billing code the API uses. */
import { invalid, StripeError } from "./engine/errors.ts";
import type { Settings } from "./engine/settings.ts";
import type { Store } from "./engine/store.ts";
import { newId, type PaymentMethod } from "./engine/types.ts";
import { Work } from "./engine/work.ts";
import { bankTypeFor, createBankMethod } from "./billing/bank_debits.ts";
import { cardProblem } from "./billing/cards.ts";
import {
  answerChallenge,
  type CheckoutOutcome,
  openSession,
  payCheckout,
  setAddress,
  setPromotionCode,
  successUrl,
} from "./billing/checkout.ts";
import { attemptPayment, type PaymentOutcome } from "./billing/invoices.ts";
import { createCardMethod } from "./billing/methods.ts";
import { bankVerdict } from "./billing/payments.ts";
import { receiptView } from "./billing/receipts.ts";
import { checkoutView, invoiceView, portalView } from "./billing/views.ts";
import {
  leaveOnboarding,
  onboardingView,
  openLink,
  submitOnboarding,
} from "./billing/onboarding.ts";
import type { BankInput, CardInput, Hosted, PayOutcome, PlanChangeOutcome } from "./hosted.ts";
import * as portal from "./billing/portal.ts";
import { activeCode } from "./resources/coupons.ts";
import { detach } from "./resources/payment_methods.ts";

const CHALLENGE = "Your bank asks you to confirm this payment.";
const DECLINED = {
  outcome: "declined",
  code: "card_declined",
  message: "Your card was declined.",
} as const;

/** The field of the form a decline is about, so that the page can mark it. */
const FIELDS: Partial<Record<string, "number" | "exp_month" | "cvc">> = {
  expired_card: "exp_month",
  incorrect_cvc: "cvc",
  incorrect_number: "number",
};

/** Carries an outcome out of a transaction that must be rolled back. */
class Undo extends Error {
  constructor(readonly outcome: PlanChangeOutcome) {
    super("undone");
  }
}

export function createHosted(store: Store, settings: Settings, onCommit: () => void): Hosted {
  const run = <T>(action: (work: Work) => T): T => {
    const origin = { id: newId("req_", 14), idempotency_key: null };
    const result = store.transaction(() => action(new Work(store, settings, origin)));
    onCommit();
    return result;
  };
  const look = <T>(action: (work: Work) => T): T =>
    action(new Work(store, settings, { id: null, idempotency_key: null }));

  return {
    openAccountLink: (account, token) => run((work) => openLink(work, account, token)),
    getOnboardingView: (visit) => look((work) => onboardingView(work, visit)),
    submitOnboarding: (visit, input) => run((work) => submitOnboarding(work, visit, input)),
    leaveOnboarding: (visit) => run((work) => leaveOnboarding(work, visit)),

    getCheckoutView: (id) =>
      look((work) => {
        const session = work.find("checkout.session", id);
        return session && checkoutView(work, session);
      }),
    payCheckout: (id, input) =>
      run((work) => {
        openSession(work, id);
        const email = input.email ?? null;
        const method = input.saved_card !== undefined
          ? savedCard(work, id, input.saved_card)
          : input.bank
          ? newBank(work, id, input.bank, email)
          : newCard(work, input.card, email);
        return "outcome" in method
          ? method
          : checkoutOutcome(work, id, payCheckout(work, id, { method, email }));
      }),
    confirmAuthentication: (id, approve) =>
      run((work) => checkoutOutcome(work, id, answerChallenge(work, id, approve))),
    applyPromotionCode: (id, text) =>
      run((work) => {
        const session = openSession(work, id);
        const code = activeCode(work, text, session.customer);
        if (!code) return { outcome: "refused", message: "This code is not valid." };
        try {
          setPromotionCode(work, id, code);
        } catch (error) {
          // A refusal is thrown before anything is written.
          if (!(error instanceof StripeError) || !session.allow_promotion_codes) throw error;
          return { outcome: "refused", message: error.message };
        }
        return { outcome: "applied" };
      }),
    setBillingAddress: (id, address) =>
      run((work) =>
        setAddress(work, id, address) ? { outcome: "applied" } : {
          outcome: "refused",
          message: "We need a country, and in the United States and Canada a postal code.",
        }
      ),
    removePromotionCode: (id) => run((work) => setPromotionCode(work, id, null)),
    abandonCheckout: (id) =>
      look((work) => ({ redirect: work.require("checkout.session", id).cancel_url })),

    getPortalView: (id) =>
      look((work) => {
        const session = work.find("billing_portal.session", id);
        if (session) portal.checkAge(work, session);
        return session && portalView(work, session);
      }),
    portalCancel: (id, subscription, input) =>
      run((work) => {
        portal.cancel(work, id, subscription, input?.feedback ?? null, input?.comment ?? null);
        return { redirect: portal.afterFlow(portal.portalSession(work, id)) };
      }),
    portalResume: (id, subscription) =>
      run((work) => {
        portal.resume(work, id, subscription);
        return { redirect: null };
      }),
    portalPreviewPlan: (id, subscription, choice) =>
      look((work) => portal.preview(work, id, subscription, choice)),
    portalChangePlan: (id, subscription, choice) =>
      changePlan(run, id, subscription, choice, false),
    portalUpdatePaymentMethod: (id, card) => run((work) => updateMethod(work, id, card)),
    portalSetDefaultPaymentMethod: (id, method) =>
      run((work) => {
        const session = portal.portalSession(work, id, "payment_method_update");
        portal.adoptMethod(work, session.customer, portal.ownMethod(work, session, method));
        return { redirect: null };
      }),
    portalDetachPaymentMethod: (id, method) =>
      run((work) => {
        const session = portal.portalSession(work, id, "payment_method_update");
        portal.checkUnused(work, session, portal.ownMethod(work, session, method).id);
        detach(work, method);
        return { redirect: null };
      }),
    portalConfirmAuthentication: (id, approve) => confirmPortal(run, id, approve),

    getReceiptView: (id) => look((work) => receiptView(work, id)),
    getInvoiceView: (id) =>
      look((work) => {
        const invoice = work.find("invoice", id);
        return invoice && invoice.status !== "draft" ? invoiceView(work, invoice) : null;
      }),
    payInvoice: (id, card) =>
      run((work) => {
        const method = newCard(work, card, null);
        return "outcome" in method
          ? method
          : invoiceOutcome(work, id, attemptPayment(work, id, { method }));
      }),
    confirmInvoiceAuthentication: (id, approve) =>
      run((work) => {
        const { payment_intent } = work.hidden("invoice", work.require("invoice", id).id);
        const waiting = payment_intent
          ? work.require("payment_intent", payment_intent).payment_method
          : null;
        if (!waiting) {
          throw new StripeError(400, {
            type: "invalid_request_error",
            message: "Nothing waits for an authentication.",
          });
        }
        const method = work.require("payment_method", waiting);
        return invoiceOutcome(work, id, attemptPayment(work, id, { method, approved: approve }));
      }),
  };
}

/** The card as a new, not yet attached method, or why the form refuses it. */
function newCard(
  work: Work,
  card: CardInput | undefined,
  email: string | null,
): PaymentMethod | PayOutcome {
  if (!card) return { ...DECLINED, param: "number", message: "Please give a card." };
  const problem = cardProblem(card, work.now());
  if (problem) {
    return {
      outcome: "declined",
      code: problem.code,
      message: problem.message,
      param: problem.param,
    };
  }
  const exp_year = card.exp_year < 100 ? 2000 + card.exp_year : card.exp_year;
  return createCardMethod(work, { ...card, exp_year }, {
    billing: { email, name: card.name ?? null },
  });
}

/** Refused with a `StripeError` when it is no test account. */
function newBank(work: Work, id: string, bank: BankInput, email: string | null): PaymentMethod {
  const session = work.require("checkout.session", id);
  const type = session.mode === "payment" ? bankTypeFor(session.currency) : null;
  if (!type) throw invalid("This Checkout Session does not take bank debits.");
  return createBankMethod(work, type, bank.number, {
    billing: { email: session.customer_email ?? email, name: bank.name ?? null },
  });
}

function savedCard(work: Work, session: string, id: string): PaymentMethod | PayOutcome {
  const method = work.require("payment_method", id);
  const { customer } = work.require("checkout.session", session);
  return customer !== null && method.customer === customer ? method : DECLINED;
}

function checkoutOutcome(work: Work, id: string, done: CheckoutOutcome): PayOutcome {
  if (done.outcome === "requires_action") return { outcome: "requires_action", message: CHALLENGE };
  if (done.outcome === "declined") {
    const param = FIELDS[done.code];
    return {
      outcome: "declined",
      code: done.code,
      message: done.message,
      ...(param ? { param } : {}),
    };
  }
  return { outcome: "succeeded", redirect: successUrl(work.require("checkout.session", id)) };
}

function invoiceOutcome(work: Work, id: string, done: PaymentOutcome): PayOutcome {
  const invoice = work.require("invoice", id);
  if (done === "paid") return { outcome: "succeeded", redirect: invoice.hosted_invoice_url ?? "" };
  if (done === "requires_action") return { outcome: "requires_action", message: CHALLENGE };
  const { payment_intent } = work.hidden("invoice", id);
  const error = payment_intent
    ? work.require("payment_intent", payment_intent).last_payment_error
    : null;
  return {
    ...DECLINED,
    code: error?.code ?? DECLINED.code,
    message: error?.message ?? DECLINED.message,
  };
}

type Run = <T>(action: (work: Work) => T) => T;

/** A change whose payment does not go through is undone as a whole: the subscription stays on its old plan. */
function changePlan(
  run: Run,
  id: string,
  subscription: string,
  choice: portal.PlanChoice,
  approved: boolean,
): PlanChangeOutcome {
  try {
    return run((work) => {
      const outcome = portal.changePlan(work, id, subscription, choice, approved);
      if (outcome === "requires_action") throw new Undo({ outcome, message: CHALLENGE });
      if (outcome !== null && outcome !== "paid") throw new Undo(DECLINED);
      return { outcome: "succeeded", redirect: portal.afterFlow(portal.portalSession(work, id)) };
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
    if (error.outcome.outcome === "requires_action") {
      const { price, quantity = 1, promotion_code } = choice;
      const code = promotion_code === undefined ? {} : { promotion_code };
      const waiting = { action: "plan", subscription, price, quantity, ...code } as const;
      run((work) => work.changeHidden("billing_portal.session", id, { waiting }));
    }
    return error.outcome;
  }
}

function updateMethod(work: Work, id: string, card: CardInput): PayOutcome | PlanChangeOutcome {
  const session = portal.portalSession(work, id, "payment_method_update");
  const method = newCard(work, card, null);
  if ("outcome" in method) return method;
  const verdict = bankVerdict(work, method, false, true);
  if (verdict.kind === "refused") {
    return { outcome: "declined", code: verdict.decline.code, message: verdict.decline.message };
  }
  if (verdict.kind === "authenticate") {
    const waiting = { action: "method", payment_method: method.id } as const;
    work.changeHidden("billing_portal.session", id, { waiting });
    return { outcome: "requires_action", message: CHALLENGE };
  }
  return adopt(work, session.id, method);
}

function adopt(work: Work, id: string, method: PaymentMethod): PlanChangeOutcome {
  const session = portal.portalSession(work, id);
  const outcome = portal.adoptMethod(work, session.customer, method);
  if (outcome === null || outcome === "paid") {
    return { outcome: "succeeded", redirect: portal.afterFlow(session) };
  }
  const message = "The card was saved, but the open invoice could not be paid with it.";
  return { outcome: "declined", code: "card_declined", message };
}

function confirmPortal(run: Run, id: string, approve: boolean): PlanChangeOutcome {
  const waiting = run((work) => {
    const found = work.hidden("billing_portal.session", portal.portalSession(work, id).id).waiting;
    work.changeHidden("billing_portal.session", id, { waiting: null });
    return found;
  });
  if (!waiting) {
    throw new StripeError(400, {
      type: "invalid_request_error",
      message: "Nothing waits for an authentication.",
    });
  }
  if (!approve) {
    const message =
      "We are unable to authenticate your payment method. Please choose a different one and try again.";
    return { outcome: "declined", code: "payment_intent_authentication_failure", message };
  }
  if (waiting.action === "plan") {
    const { action: _, subscription, ...choice } = waiting;
    return changePlan(run, id, subscription, choice, true);
  }
  return run((work) => adopt(work, id, work.require("payment_method", waiting.payment_method)));
}
