/** Payment intents, setup intents, charges and refunds. */
import { invalid } from "../engine/errors.ts";
import {
  address,
  arr,
  bool,
  currency,
  given,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  unset,
  url,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { type PaymentIntent, type SetupIntent } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createIntent, createSetup } from "../billing/intents.ts";
import { cardError, confirmPayment, confirmSetup, EMPTY_ADDRESS, refund, resolveMethod } from "../billing/payments.ts";

export const shippingParam = () =>
  obj({
    address: required(address()),
    name: required(str()),
    phone: unset(str()),
  });
export function shippingOf(p: Values<{ s: ReturnType<typeof shippingParam> }>["s"]): PaymentIntent["shipping"] {
  if (!p) return null;
  const given = p.address ?? {};
  const filled = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { address: { ...EMPTY_ADDRESS, ...filled }, carrier: null, name: p.name, phone: p.phone ?? null, tracking_number: null };
}

const CANCEL_REASONS = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"] as const;
const types = arr(oneOf("card"));
const automatic = obj({ enabled: required(bool()), allow_redirects: oneOf("always", "never") });
const paymentFields = {
  amount: int(1),
  customer: str(),
  description: unset(str()),
  metadata: metadata(),
  payment_method: str(),
  payment_method_types: types,
  receipt_email: unset(str()),
  setup_future_usage: unset(oneOf("off_session", "on_session")),
  shipping: shippingParam(),
};
const paymentCreate = {
  ...paymentFields,
  amount: required(int(1)),
  automatic_payment_methods: automatic,
  capture_method: oneOf("automatic", "automatic_async", "manual"),
  confirm: bool(),
  confirmation_method: oneOf("automatic", "manual"),
  currency: required(currency()),
  off_session: bool(),
  return_url: url(),
};
const confirmShape = { off_session: bool(), payment_method: str(), return_url: url() };

function createPayment(work: Work, p: Values<typeof paymentCreate>): PaymentIntent {
  if (p.customer !== undefined) work.require("customer", p.customer, "customer");
  const method = p.payment_method === undefined ? null : resolveMethod(work, p.payment_method, "payment_method");
  if (p.confirm && !method) {
    throw invalid("You cannot confirm this PaymentIntent because it's missing a payment method.", "payment_method", "payment_intent_unexpected_state");
  }
  const intent = createIntent(work, {
    ...p,
    customer: p.customer ?? null,
    metadata: mergeMetadata({}, p.metadata),
    payment_method: method?.id ?? null,
    shipping: shippingOf(p.shipping),
  });
  return p.confirm ? confirmNow(work, intent.id, { ...p, payment_method: method?.id }) : intent;
}

function confirmNow(work: Work, id: string, p: Values<typeof confirmShape>): PaymentIntent {
  const intent = work.require("payment_intent", id);
  if (!["requires_payment_method", "requires_confirmation", "requires_action"].includes(intent.status)) {
    throw invalid(
      `You cannot confirm this PaymentIntent because it has already ${intent.status} after being previously confirmed.`,
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  const wanted = p.payment_method ?? intent.payment_method;
  if (!wanted) {
    throw invalid("You cannot confirm this PaymentIntent because it's missing a payment method.", undefined, "payment_intent_unexpected_state");
  }
  const method = resolveMethod(work, wanted, "payment_method");
  const done = confirmPayment(work, id, { method, returnUrl: p.return_url });
  if (done.status === "requires_payment_method" || (done.status === "requires_action" && p.off_session)) {
    const error = done.last_payment_error;
    throw cardError({
      code: error?.code ?? "authentication_required",
      decline_code: error?.decline_code ?? (error ? null : "authentication_required"),
      message: error?.message ?? "Your card was declined. This transaction requires authentication.",
    }, { charge: error?.charge, payment_intent: done, payment_method: method }, true);
  }
  return done;
}

function capture(work: Work, amount: number | undefined, id: string): PaymentIntent {
  const intent = work.require("payment_intent", id);
  if (intent.status !== "requires_capture") {
    throw invalid(
      `This PaymentIntent could not be captured because it has a status of ${intent.status}.`,
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  const captured = amount ?? intent.amount_capturable;
  if (captured > intent.amount_capturable) {
    throw invalid("The requested capture amount is greater than the amount you can capture for this charge.", "amount_to_capture");
  }
  if (intent.latest_charge) {
    work.change("charge", intent.latest_charge, { amount_captured: captured, captured: true }, "charge.captured");
  }
  return work.change("payment_intent", id, {
    amount_capturable: 0,
    amount_received: captured,
    status: "succeeded",
  }, "payment_intent.succeeded");
}

function cancelPayment(work: Work, reason: string | undefined, id: string): PaymentIntent {
  const intent = work.require("payment_intent", id);
  if (intent.status === "succeeded" || intent.status === "canceled") {
    throw invalid(
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}.`,
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  if (work.hidden("payment_intent", id).invoice !== null) {
    throw invalid("You cannot cancel a PaymentIntent of an invoice. Void the invoice instead.", undefined, "payment_intent_unexpected_state");
  }
  return work.change("payment_intent", id, {
    amount_capturable: 0,
    canceled_at: work.now(work.clockOf(intent.customer)),
    cancellation_reason: reason ?? null,
    next_action: null,
    status: "canceled",
  }, "payment_intent.canceled");
}

const setupFields = {
  customer: str(),
  description: unset(str()),
  metadata: metadata(),
  payment_method: str(),
  payment_method_types: types,
};
const setupCreate = {
  ...setupFields,
  automatic_payment_methods: automatic,
  confirm: bool(),
  return_url: url(),
  usage: oneOf("off_session", "on_session"),
};

function createSetupIntent(work: Work, p: Values<typeof setupCreate>): SetupIntent {
  if (p.customer !== undefined) work.require("customer", p.customer, "customer");
  const method = p.payment_method === undefined ? null : resolveMethod(work, p.payment_method, "payment_method");
  const intent = createSetup(work, {
    customer: p.customer ?? null,
    description: p.description,
    metadata: mergeMetadata({}, p.metadata),
    payment_method: method?.id,
    usage: p.usage,
  });
  return p.confirm ? confirmSetupNow(work, intent.id, method?.id) : intent;
}

function confirmSetupNow(work: Work, id: string, wanted: string | undefined): SetupIntent {
  const intent = work.require("setup_intent", id);
  const methodId = wanted ?? intent.payment_method;
  if (!methodId || intent.status === "succeeded" || intent.status === "canceled") {
    throw invalid(
      methodId
        ? `You cannot confirm this SetupIntent because it has a status of ${intent.status}.`
        : "You cannot confirm this SetupIntent because it's missing a payment method.",
      undefined,
      "setup_intent_unexpected_state",
    );
  }
  const done = confirmSetup(work, id, { method: resolveMethod(work, methodId, "payment_method") });
  const error = done.last_setup_error;
  if (done.status !== "requires_payment_method" || !error) return done;
  const { code = "card_declined", decline_code = null, message = "Your card was declined." } = error;
  throw cardError({ code, decline_code, message }, { setup_intent: done }, true);
}

const refundShape = {
  amount: int(1),
  charge: str(),
  metadata: metadata(),
  payment_intent: str(),
  reason: oneOf("duplicate", "fraudulent", "requested_by_customer"),
};

function createRefund(work: Work, p: Values<typeof refundShape>) {
  const id = p.charge ?? (p.payment_intent === undefined
    ? undefined
    : work.require("payment_intent", p.payment_intent, "payment_intent").latest_charge);
  if (!id) {
    const message = "One of the following params should be provided for this request: payment_intent or charge.";
    throw invalid(message, undefined, "parameter_missing");
  }
  const charge = work.require("charge", id, "charge");
  if (charge.status !== "succeeded") throw invalid(`Charge ${id} has not been paid and cannot be refunded.`, "charge");
  const left = charge.amount_captured - charge.amount_refunded;
  return refund(work, charge, p.amount ?? left, p.reason ?? null, mergeMetadata({}, p.metadata));
}

export const intentRoutes: Route[] = [
  route("POST", "/v1/payment_intents", paymentCreate, createPayment),
  route("POST", "/v1/payment_intents/:id", paymentFields, (work, p, id) => {
    const old = work.require("payment_intent", id);
    if (old.status === "succeeded" || old.status === "canceled") {
      const only = Object.entries(p).every(([key, value]) => value === undefined || key === "metadata" || key === "description");
      if (!only) throw invalid(`This PaymentIntent could not be updated because it has a status of ${old.status}.`, undefined, "payment_intent_unexpected_state");
    }
    const method = p.payment_method === undefined ? old.payment_method : resolveMethod(work, p.payment_method, "payment_method").id;
    return work.change("payment_intent", id, {
      amount: given(p.amount, old.amount),
      customer: given(p.customer, old.customer),
      description: given(p.description, old.description),
      metadata: mergeMetadata(old.metadata, p.metadata),
      payment_method: method,
      receipt_email: given(p.receipt_email, old.receipt_email),
      setup_future_usage: given(p.setup_future_usage, old.setup_future_usage),
      shipping: p.shipping === undefined ? old.shipping : shippingOf(p.shipping),
      status: old.status === "requires_payment_method" && method ? "requires_confirmation" : old.status,
    });
  }),
  route("POST", "/v1/payment_intents/:id/confirm", confirmShape, (work, p, id) => {
    if (work.hidden("payment_intent", work.require("payment_intent", id).id).invoice !== null) {
      throw invalid("The sandbox pays an invoice's PaymentIntent through the invoice: POST /v1/invoices/:id/pay.");
    }
    return confirmNow(work, id, p);
  }),
  route("POST", "/v1/payment_intents/:id/capture", { amount_to_capture: int(1) }, (work, p, id) => capture(work, p.amount_to_capture, id)),
  route(
    "POST",
    "/v1/payment_intents/:id/cancel",
    { cancellation_reason: oneOf(...CANCEL_REASONS) },
    (work, p, id) => cancelPayment(work, p.cancellation_reason, id),
  ),
  retrieveRoute("payment_intent", "/v1/payment_intents"),
  listRoute("payment_intent", "/v1/payment_intents", { customer: { param: str(), path: "customer" } }),

  route("POST", "/v1/setup_intents", setupCreate, createSetupIntent),
  route("POST", "/v1/setup_intents/:id", setupFields, (work, p, id) => {
    const old = work.require("setup_intent", id);
    const method = p.payment_method === undefined ? old.payment_method : resolveMethod(work, p.payment_method, "payment_method").id;
    return work.change("setup_intent", id, {
      customer: given(p.customer, old.customer),
      description: given(p.description, old.description),
      metadata: mergeMetadata(old.metadata, p.metadata),
      payment_method: method,
      status: old.status === "requires_payment_method" && method ? "requires_confirmation" : old.status,
    });
  }),
  route("POST", "/v1/setup_intents/:id/confirm", { payment_method: str(), return_url: url() }, (work, p, id) => confirmSetupNow(work, id, p.payment_method)),
  route("POST", "/v1/setup_intents/:id/cancel", { cancellation_reason: oneOf("abandoned", "duplicate", "requested_by_customer") }, (work, p, id) => {
    const intent = work.require("setup_intent", id);
    if (intent.status === "succeeded" || intent.status === "canceled") {
      throw invalid(`You cannot cancel this SetupIntent because it has a status of ${intent.status}.`, undefined, "setup_intent_unexpected_state");
    }
    return work.change("setup_intent", id, {
      cancellation_reason: p.cancellation_reason ?? null,
      next_action: null,
      status: "canceled",
    }, "setup_intent.canceled");
  }),
  retrieveRoute("setup_intent", "/v1/setup_intents"),
  listRoute("setup_intent", "/v1/setup_intents", {
    customer: { param: str(), path: "customer" },
    payment_method: { param: str(), path: "payment_method" },
  }),

  retrieveRoute("charge", "/v1/charges"),
  listRoute("charge", "/v1/charges", {
    customer: { param: str(), path: "customer" },
    payment_intent: { param: str(), path: "payment_intent" },
  }),
  route("POST", "/v1/refunds", refundShape, createRefund),
  route("POST", "/v1/refunds/:id", { metadata: metadata() }, (work, p, id) => {
    const old = work.require("refund", id);
    const done = work.change("refund", id, { metadata: mergeMetadata(old.metadata, p.metadata) }, "refund.updated");
    work.emit("charge.refund.updated", done);
    return done;
  }),
  retrieveRoute("refund", "/v1/refunds"),
  listRoute("refund", "/v1/refunds", {
    charge: { param: str(), path: "charge" },
    payment_intent: { param: str(), path: "payment_intent" },
  }),
];
