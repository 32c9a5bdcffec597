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
import type { PaymentIntent } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { checkCurrency } from "../billing/bank_debits.ts";
import { settle } from "../billing/charges.ts";
import { createIntent } from "../billing/intents.ts";
import { cardError, EMPTY_ADDRESS, resolveMethod } from "../billing/methods.ts";
import { confirmPayment } from "../billing/payments.ts";
import { checkConnect } from "../billing/destinations.ts";

export const shippingParam = () =>
  obj({
    address: required(address()),
    name: required(str()),
    phone: unset(str()),
  });

export function shippingOf(
  p: Values<{ s: ReturnType<typeof shippingParam> }>["s"],
): PaymentIntent["shipping"] {
  if (!p) return null;
  const given = p.address ?? {};
  const filled = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  return {
    address: { ...EMPTY_ADDRESS, ...filled },
    carrier: null,
    name: p.name,
    phone: p.phone ?? null,
    tracking_number: null,
  };
}

function noDestination(): never {
  throw invalid(
    "You cannot set `transfer_data[amount]` on a PaymentIntent that was made without `transfer_data[destination]`.",
    "transfer_data",
  );
}

const CANCEL_REASONS = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"] as const;

export const types = arr(oneOf("card", "sepa_debit", "us_bank_account"));

export const automatic = obj({
  enabled: required(bool()),
  allow_redirects: oneOf("always", "never"),
});

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
  transfer_group: str(),
};

/** Of a destination charge, on creation; an update cannot change where the money goes. */
export const connectShape = {
  application_fee_amount: int(1),
  transfer_data: obj({ amount: int(1), destination: required(str()) }),
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
  ...connectShape,
};

const updateShape = {
  ...paymentFields,
  application_fee_amount: int(1),
  transfer_data: obj({ amount: int(1) }),
};

const confirmShape = { off_session: bool(), payment_method: str(), return_url: url() };

function createPayment(work: Work, p: Values<typeof paymentCreate>): PaymentIntent {
  if (p.customer !== undefined) work.require("customer", p.customer, "customer");
  const method = p.payment_method === undefined
    ? null
    : resolveMethod(work, p.payment_method, "payment_method");
  if (p.confirm && !method) {
    throw invalid(
      "You cannot confirm this PaymentIntent because it's missing a payment method.",
      "payment_method",
      "payment_intent_unexpected_state",
    );
  }
  checkCurrency(p.payment_method_types ?? [], p.currency);
  checkConnect(work, p, p.amount);
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
  if (
    !["requires_payment_method", "requires_confirmation", "requires_action"].includes(intent.status)
  ) {
    throw invalid(
      `You cannot confirm this PaymentIntent because it has already ${intent.status} after being previously confirmed.`,
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  const wanted = p.payment_method ?? intent.payment_method;
  if (!wanted) {
    throw invalid(
      "You cannot confirm this PaymentIntent because it's missing a payment method.",
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  const method = resolveMethod(work, wanted, "payment_method");
  if (!intent.payment_method_types.includes(method.type)) {
    throw invalid(
      `The PaymentMethod provided (${method.type}) is not allowed for this PaymentIntent. Please attach a PaymentMethod ` +
        `of one of the following types: ${intent.payment_method_types.join(", ")}.`,
      "payment_method",
    );
  }
  const done = confirmPayment(work, id, { method });
  if (
    done.status === "requires_payment_method" ||
    (done.status === "requires_action" && p.off_session)
  ) {
    const error = done.last_payment_error;
    throw cardError(
      {
        code: error?.code ?? "authentication_required",
        decline_code: error?.decline_code ?? (error ? null : "authentication_required"),
        message: error?.message ??
          "Your card was declined. This transaction requires authentication.",
      },
      { charge: error?.charge, payment_intent: done, payment_method: method },
      true,
    );
  }
  return done;
}

const captureShape = {
  amount_to_capture: int(1),
  application_fee_amount: int(1),
  transfer_data: obj({ amount: int(1) }),
};

function capture(work: Work, p: Values<typeof captureShape>, id: string): PaymentIntent {
  const amount = p.amount_to_capture;
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
    throw invalid(
      "The requested capture amount is greater than the amount you can capture for this charge.",
      "amount_to_capture",
    );
  }
  const connect = {
    application_fee_amount: p.application_fee_amount ?? intent.application_fee_amount,
    transfer_data: intent.transfer_data && { ...intent.transfer_data, ...p.transfer_data },
  };
  checkConnect(work, connect, captured);
  if (intent.latest_charge) {
    const { transfer_data: data } = connect;
    work.change("charge", intent.latest_charge, {
      amount_captured: captured,
      application_fee_amount: connect.application_fee_amount,
      captured: true,
      transfer_data: data && { amount: data.amount ?? null, destination: data.destination },
    });
    work.emit("charge.captured", settle(work, intent.latest_charge));
  }
  return work.change("payment_intent", id, {
    ...connect,
    amount_capturable: 0,
    amount_received: captured,
    status: "succeeded",
  }, "payment_intent.succeeded");
}

function cancelPayment(
  work: Work,
  reason: PaymentIntent["cancellation_reason"] | undefined,
  id: string,
): PaymentIntent {
  const intent = work.require("payment_intent", id);
  if (["canceled", "processing", "succeeded"].includes(intent.status)) {
    throw invalid(
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}.`,
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  if (work.hidden("payment_intent", id).invoice !== null) {
    throw invalid(
      "You cannot cancel a PaymentIntent of an invoice. Void the invoice instead.",
      undefined,
      "payment_intent_unexpected_state",
    );
  }
  return work.change("payment_intent", id, {
    amount_capturable: 0,
    canceled_at: work.now(work.clockOf(intent.customer)),
    cancellation_reason: reason ?? null,
    next_action: null,
    status: "canceled",
  }, "payment_intent.canceled");
}

export const intentRoutes: Route[] = [
  route("POST", "/v1/payment_intents", paymentCreate, createPayment),
  route("POST", "/v1/payment_intents/:id", updateShape, (work, p, id) => {
    const old = work.require("payment_intent", id);
    if (old.status === "succeeded" || old.status === "canceled") {
      const only = Object.entries(p).every(([key, value]) =>
        value === undefined || key === "metadata" || key === "description"
      );
      if (!only) {
        throw invalid(
          `This PaymentIntent could not be updated because it has a status of ${old.status}.`,
          undefined,
          "payment_intent_unexpected_state",
        );
      }
    }
    const method = p.payment_method === undefined
      ? old.payment_method
      : resolveMethod(work, p.payment_method, "payment_method").id;
    const connect = {
      application_fee_amount: given(p.application_fee_amount, old.application_fee_amount),
      transfer_data: p.transfer_data && !old.transfer_data
        ? noDestination()
        : old.transfer_data && { ...old.transfer_data, ...p.transfer_data },
    };
    checkConnect(work, connect, given(p.amount, old.amount));
    return work.change("payment_intent", id, {
      ...connect,
      transfer_group: given(p.transfer_group, old.transfer_group),
      amount: given(p.amount, old.amount),
      customer: given(p.customer, old.customer),
      description: given(p.description, old.description),
      metadata: mergeMetadata(old.metadata, p.metadata),
      payment_method: method,
      receipt_email: given(p.receipt_email, old.receipt_email),
      setup_future_usage: given(p.setup_future_usage, old.setup_future_usage),
      shipping: p.shipping === undefined ? old.shipping : shippingOf(p.shipping),
      status: old.status === "requires_payment_method" && method
        ? "requires_confirmation"
        : old.status,
    });
  }),
  route("POST", "/v1/payment_intents/:id/confirm", confirmShape, (work, p, id) => {
    if (work.hidden("payment_intent", work.require("payment_intent", id).id).invoice !== null) {
      throw invalid(
        "The sandbox pays an invoice's PaymentIntent through the invoice: POST /v1/invoices/:id/pay.",
      );
    }
    return confirmNow(work, id, p);
  }),
  route(
    "POST",
    "/v1/payment_intents/:id/capture",
    captureShape,
    (work, p, id) => capture(work, p, id),
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/cancel",
    { cancellation_reason: oneOf(...CANCEL_REASONS) },
    (work, p, id) => cancelPayment(work, p.cancellation_reason, id),
  ),
  retrieveRoute("payment_intent", "/v1/payment_intents"),
  listRoute("payment_intent", "/v1/payment_intents", {
    customer: { param: str(), path: "customer" },
  }),
];
