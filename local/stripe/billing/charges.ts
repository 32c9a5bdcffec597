/** Charges. */
import type { Charge, PaymentIntent, PaymentMethod } from "../engine/types.ts";
import { newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { processingFee, record } from "./balance.ts";
import type { Decline } from "./cards.ts";
import { chargeObject } from "./charge_object.ts";
import { testCardOf } from "./methods.ts";
import { availableOn } from "./balance.ts";
import { sendShare } from "./transfers.ts";
import { worldNow } from "../engine/work.ts";

export type ChargeResult = { kind: "paid" } | { kind: "pending" } | {
  kind: "failed";
  decline: Decline;
};

/** A charge and its event; what was paid and captured moves money at once. */
export function createCharge(
  work: Work,
  intent: PaymentIntent,
  method: PaymentMethod,
  result: ChargeResult,
): Charge {
  const decline = result.kind === "failed" ? result.decline : null;
  const captured = result.kind === "paid" && intent.capture_method !== "manual";
  const clock = work.clockOf(intent.customer);
  const made = {
    id: newId("ch_"),
    amount: intent.amount,
    created: work.now(clock),
    currency: intent.currency,
  };
  const group = intent.transfer_data ? `group_${intent.id}` : null;
  const charge: Charge = {
    ...chargeObject(made),
    amount_captured: captured ? intent.amount : 0,
    application_fee_amount: intent.application_fee_amount,
    billing_details: method.billing_details,
    calculated_statement_descriptor: "TOLLGATE SANDBOX",
    captured,
    customer: intent.customer,
    description: intent.description,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    metadata: intent.metadata,
    outcome: outcomeOf(decline),
    paid: result.kind === "paid",
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: paidWith(intent, method),
    receipt_email: intent.receipt_email,
    receipt_url: result.kind === "paid" ? receiptUrl(work, made.id) : null,
    shipping: intent.shipping,
    status: {
      paid: "succeeded",
      pending: "pending",
      failed: "failed",
    }[result.kind] as Charge["status"],
    transfer_data: intent.transfer_data
      ? {
        amount: intent.transfer_data.amount ?? null,
        destination: intent.transfer_data.destination,
      }
      : null,
    transfer_group: intent.transfer_group ?? group,
  };
  // Stripe tells of the charge first and fills in where its money went a moment later, unless capture is `automatic`.
  const isLater = intent.capture_method === "automatic_async";
  const event = { paid: "charge.succeeded", pending: "charge.pending", failed: "charge.failed" }[
    result.kind
  ] as "charge.succeeded";
  if (!captured || isLater) {
    work.create("charge", charge, {}, { clock, event });
    return captured ? settle(work, charge.id, "charge.updated") : charge;
  }
  work.create("charge", charge, {}, { clock });
  const done = settle(work, charge.id);
  work.emit(event, done);
  return done;
}

/** The page of a payment that went through. */
export function receiptUrl(work: Work, id: string): string {
  return `${work.settings.publicUrl}/receipts/${id}`;
}

/** Its money comes into the balance, and a connected account's share goes on from there. */
export function settle(work: Work, id: string, event?: "charge.updated"): Charge {
  const charge = work.require("charge", id);
  const method = charge.payment_method ? work.find("payment_method", charge.payment_method) : null;
  const isBypassing = method ? testCardOf(work, method)?.isAvailable ?? false : false;
  const now = worldNow(work.store);
  const entry = record(work, {
    type: charge.payment_method_details?.type === "card" ? "charge" : "payment",
    reporting_category: "charge",
    amount: charge.amount_captured,
    currency: charge.currency,
    source: id,
    description: charge.description,
    // Money for tests, as it was asked for: at once and without a fee.
    ...(isBypassing
      ? {}
      : { available_on: availableOn(now), fees: processingFee(charge.amount_captured) }),
  });
  const paid = work.change("charge", id, { balance_transaction: entry.id });
  const done = sendShare(work, paid);
  if (event) {
    const previous = {
      balance_transaction: null,
      ...(done.transfer ? { application_fee: null, transfer: null } : {}),
    };
    work.emit(event, done, previous);
  }
  return done;
}

type Details = NonNullable<Charge["payment_method_details"]>;

function paidWith(intent: PaymentIntent, method: PaymentMethod): Details {
  if (method.sepa_debit) {
    const { generated_from: _, ...debit } = method.sepa_debit;
    return { type: "sepa_debit", sepa_debit: { ...debit, mandate: null } };
  }
  if (method.us_bank_account) {
    const { account_holder_type, account_type, bank_name, fingerprint, last4, routing_number } =
      method.us_bank_account;
    const known = { account_holder_type, account_type, bank_name, fingerprint, last4 };
    return {
      type: "us_bank_account",
      us_bank_account: { ...known, payment_reference: null, routing_number },
    };
  }
  return { type: "card", card: chargedCard(intent, method) };
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
