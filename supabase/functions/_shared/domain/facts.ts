import type Stripe from "stripe";
import { amount, shapeUnknown, text, time } from "./fields.ts";

/**
 * One movement of money at Stripe, as the ledger posts it: once per `source`, whatever it is told again. Amounts are in the
 * smallest unit of `currency` and positive, but for disputes, whose sign says which way the money went.
 */
export interface Fact {
  /** The id of Stripe's object; with `:failed` behind it the way back of what did not arrive. */
  source: string;
  kind:
    | "charge"
    | "transfer"
    | "application_fee"
    | "refund"
    | "refund_failed"
    | "transfer_reversal"
    | "fee_refund"
    | "dispute";
  amount_minor: number;
  /** What Stripe keeps of it; negative when a fee is given back. */
  fee_minor?: number;
  currency: string;
  /** The one in which the payment reached our balance, when that is not the one it was paid in: then nothing of it can be posted. */
  settlement_currency?: string;
  occurred_at: string;
  /** The connected account at the other end. */
  seller_account?: string;
  /** The payment it belongs to: a monthly licence has one a month. */
  charge_id?: string;
}

/** Everything of Stripe's that moved money because of one purchase; see `fetchPurchase` for what must be expanded. */
export interface MoneyObjects {
  charges: Stripe.Charge[];
  refunds: Stripe.Refund[];
  disputes: Stripe.Dispute[];
  transfers: Stripe.Transfer[];
  reversals: Stripe.TransferReversal[];
  fees: Stripe.ApplicationFee[];
  feeRefunds: Stripe.FeeRefund[];
}

/**
 * The facts of a purchase. What has no balance transaction yet has moved no money yet and is left out; the next look has it.
 * Charges, refunds and disputes are counted in the currency in which they reached the platform's balance, which is not
 * always the one that was paid in; the database refuses to post what is not in the sale's own.
 */
export function toFacts(objects: MoneyObjects): Fact[] {
  const exchanged = new Map(objects.charges.flatMap(exchangedCharge));
  return allFacts(objects).map((fact) => {
    const settlement_currency = exchanged.get(fact.charge_id ?? "");
    return settlement_currency === undefined ? fact : { ...fact, settlement_currency };
  });
}

function exchangedCharge(charge: Stripe.Charge): [string, string][] {
  const transaction = expanded(charge.balance_transaction, "charge.balance_transaction");
  if (transaction === null || transaction.currency === charge.currency) return [];
  return [[charge.id, transaction.currency]];
}

function allFacts(objects: MoneyObjects): Fact[] {
  return [
    ...objects.charges.flatMap(chargeFact),
    ...objects.transfers.map((transfer) => transferFact(transfer, objects)),
    ...objects.fees.map((fee) => feeFact(fee, objects.charges)),
    ...objects.refunds.flatMap(refundFacts),
    ...objects.reversals.map((reversal) => reversalFact(reversal, objects)),
    ...objects.feeRefunds.map((refund) => feeRefundFact(refund, objects)),
    ...objects.disputes.flatMap(disputeFacts),
  ];
}

function chargeFact(charge: Stripe.Charge): Fact[] {
  const transaction = expanded(charge.balance_transaction, "charge.balance_transaction");
  if (charge.status !== "succeeded" || transaction === null) return [];
  return [{
    source: text(charge.id, "charge.id"),
    kind: "charge",
    amount_minor: amount(transaction.amount, "balance_transaction.amount"),
    fee_minor: amount(transaction.fee, "balance_transaction.fee"),
    currency: text(transaction.currency, "balance_transaction.currency"),
    occurred_at: time(charge.created, "charge.created"),
    charge_id: charge.id,
  }];
}

function transferFact(transfer: Stripe.Transfer, objects: MoneyObjects): Fact {
  return {
    source: text(transfer.id, "transfer.id"),
    kind: "transfer",
    amount_minor: amount(transfer.amount, "transfer.amount"),
    currency: text(transfer.currency, "transfer.currency"),
    occurred_at: time(transfer.created, "transfer.created"),
    seller_account: text(refOf(transfer.destination), "transfer.destination"),
    ...chargeOf(chargeOfTransfer(transfer, objects)),
  };
}

/** The charge's own, or what was paid again after its dispute was won. */
function chargeOfTransfer(
  { id, metadata }: Stripe.Transfer,
  { charges, disputes }: MoneyObjects,
): { id: string | null } | undefined {
  const own = charges.find((charge) => refOf(charge.transfer) === id);
  if (own !== undefined) return own;
  const dispute = disputes.find((one) => one.id === metadata?.["dispute"]);
  return dispute && { id: refOf(dispute.charge) };
}

function feeFact(fee: Stripe.ApplicationFee, charges: Stripe.Charge[]): Fact {
  return {
    source: text(fee.id, "application_fee.id"),
    kind: "application_fee",
    amount_minor: amount(fee.amount, "application_fee.amount"),
    currency: text(fee.currency, "application_fee.currency"),
    occurred_at: time(fee.created, "application_fee.created"),
    seller_account: text(refOf(fee.account), "application_fee.account"),
    ...chargeOf(charges.find((charge) => refOf(charge.application_fee) === fee.id)),
  };
}

/** A refund that failed, or was canceled, has given the money back under a second balance transaction. */
function refundFacts(refund: Stripe.Refund): Fact[] {
  const id = text(refund.id, "refund.id");
  const occurred_at = time(refund.created, "refund.created");
  const sent = expanded(refund.balance_transaction, "refund.balance_transaction");
  const back = expanded(
    refund.failure_balance_transaction ?? null,
    "refund.failure_balance_transaction",
  );
  if (sent === null) return [];
  const charge = chargeOf({ id: refOf(refund.charge) });
  return [
    { source: id, kind: "refund", ...moved(sent, -1), occurred_at, ...charge },
    ...(back === null ? [] : [{
      source: `${id}:failed`,
      kind: "refund_failed" as const,
      ...moved(back, 1),
      occurred_at: time(back.created, "balance_transaction.created"),
      ...charge,
    }]),
  ];
}

function reversalFact(reversal: Stripe.TransferReversal, objects: MoneyObjects): Fact {
  const of = objects.transfers.find(({ id }) => id === refOf(reversal.transfer));
  return {
    source: text(reversal.id, "transfer_reversal.id"),
    kind: "transfer_reversal",
    amount_minor: amount(reversal.amount, "transfer_reversal.amount"),
    currency: text(reversal.currency, "transfer_reversal.currency"),
    occurred_at: time(reversal.created, "transfer_reversal.created"),
    seller_account: text(refOf(of?.destination ?? null), "transfer.destination"),
    ...chargeOf(of && chargeOfTransfer(of, objects)),
  };
}

function feeRefundFact(refund: Stripe.FeeRefund, { fees, charges }: MoneyObjects): Fact {
  const of = fees.find(({ id }) => id === refOf(refund.fee));
  return {
    source: text(refund.id, "fee_refund.id"),
    kind: "fee_refund",
    amount_minor: amount(refund.amount, "fee_refund.amount"),
    currency: text(refund.currency, "fee_refund.currency"),
    occurred_at: time(refund.created, "fee_refund.created"),
    seller_account: text(refOf(of?.account ?? null), "application_fee.account"),
    ...chargeOf(
      charges.find((charge) => of !== undefined && refOf(charge.application_fee) === of.id),
    ),
  };
}

/** The money taken (negative), and given back when the dispute is won; each movement is one fact with its own fee. */
function disputeFacts(dispute: Stripe.Dispute): Fact[] {
  if (!Array.isArray(dispute.balance_transactions)) {
    throw shapeUnknown("dispute.balance_transactions");
  }
  return dispute.balance_transactions.map((transaction) => ({
    source: text(transaction.id, "balance_transaction.id"),
    kind: "dispute" as const,
    ...moved(transaction, 1),
    fee_minor: amount(transaction.fee, "balance_transaction.fee"),
    occurred_at: time(transaction.created, "balance_transaction.created"),
    ...chargeOf({ id: refOf(dispute.charge) }),
  }));
}

function chargeOf(charge: { id: string | null } | undefined): { charge_id?: string } {
  return charge?.id ? { charge_id: charge.id } : {};
}

function moved(transaction: Stripe.BalanceTransaction, sign: 1 | -1) {
  return {
    amount_minor: sign * amount(transaction.amount, "balance_transaction.amount"),
    currency: text(transaction.currency, "balance_transaction.currency"),
  };
}

/** What had to be expanded; an id in its place is a mistake of ours, which must not pass for "nothing yet". */
function expanded<T>(value: string | T | null, field: string): T | null {
  if (typeof value === "string") throw shapeUnknown(`${field} (not expanded)`);
  return value ?? null;
}

/** The id of what is either an id or an object. */
export function refOf(value: string | { id?: string } | null | undefined): string | null {
  return typeof value === "string" ? value : value?.id ?? null;
}
