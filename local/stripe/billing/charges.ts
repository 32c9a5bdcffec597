/** Charges and refunds. */
import { invalid } from "../engine/errors.ts";
import {
  type Charge,
  newId,
  type PaymentIntent,
  type PaymentMethod,
  type Refund,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import type { Decline } from "./cards.ts";

export function createCharge(
  work: Work,
  intent: PaymentIntent,
  method: PaymentMethod,
  decline: Decline | null,
): Charge {
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
  return work.create("charge", charge, {}, {
    clock,
    event: decline ? "charge.failed" : "charge.succeeded",
  });
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
    seller_message: decline
      ? "The bank did not return any further details with this decline."
      : "Payment complete.",
    type: decline ? "issuer_declined" : "authorized",
  };
}

export function refund(
  work: Work,
  charge: Charge,
  amount: number,
  reason: Refund["reason"],
  metadata: Record<string, string>,
) {
  const left = charge.amount_captured - charge.amount_refunded;
  if (left === 0) {
    throw invalid(
      `Charge ${charge.id} has already been refunded.`,
      undefined,
      "charge_already_refunded",
    );
  }
  if (amount > left) {
    throw invalid(
      `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      "amount",
    );
  }
  const clock = work.clockOf(charge.customer);
  const created = work.create(
    "refund",
    {
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
    },
    {},
    { clock, event: "refund.created" },
  );
  const amount_refunded = charge.amount_refunded + amount;
  work.change(
    "charge",
    charge.id,
    { amount_refunded, refunded: amount_refunded === charge.amount },
    "charge.refunded",
  );
  return created;
}
