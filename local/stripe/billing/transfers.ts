/** Money to connected accounts and back: transfers and their reversals. */
import { listOf } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import { type Charge, newId, type Transfer, type TransferReversal } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { requireRecipient } from "./accounts.ts";
import { availableWith, record } from "./balance.ts";
import { chargeObject } from "./charge_object.ts";
import { APPLICATION, collectFee, feeOf, refundShare } from "./fees.ts";

export interface TransferSpec {
  amount: number;
  currency: string;
  destination: string;
  description?: string | null;
  metadata?: Record<string, string>;
  source?: Charge | null;
  transfer_group?: string | null;
  fee?: number;
}

/** The platform pays, the account gets a payment, and the platform takes its fee from that. */
export function transfer(work: Work, spec: TransferSpec): Transfer {
  const { amount, currency, destination, source = null, fee = 0 } = spec;
  const id = newId("tr_");
  const payment = newId("py_");
  const feeId = fee > 0 ? newId("fee_") : null;
  const available_on = source ? availableWith(work, source.balance_transaction) : undefined;
  const entry = { currency, available_on };
  const account = work.as(destination);
  const got = record(account, {
    ...entry,
    type: "payment",
    reporting_category: "charge",
    amount,
    source: payment,
    fees: fee === 0 ? [] : [{
      amount: fee,
      application: APPLICATION,
      description: `${work.settings.merchantName} application fee`,
      type: "application_fee",
    }],
  });
  const now = worldNow(work.store);
  account.create("charge", {
    ...chargeObject({ id: payment, amount, currency, created: now }),
    application: APPLICATION,
    application_fee: feeId,
    application_fee_amount: fee > 0 ? fee : null,
    balance_transaction: got.id,
    source_transfer: id,
    transfer_group: spec.transfer_group ?? null,
  }, {});
  const paid = record(work, {
    ...entry,
    type: "transfer",
    reporting_category: "transfer",
    amount: -amount,
    source: id,
    description: spec.description ?? null,
  });
  const made = work.create(
    "transfer",
    {
      id,
      object: "transfer",
      amount,
      amount_reversed: 0,
      balance_transaction: paid.id,
      created: now,
      currency,
      description: spec.description ?? null,
      destination,
      destination_payment: payment,
      livemode: false,
      metadata: spec.metadata ?? {},
      reversals: listOf([], `/v1/transfers/${id}/reversals`),
      reversed: false,
      source_transaction: source?.id ?? null,
      source_type: "card",
      transfer_group: spec.transfer_group ?? null,
    },
    {},
    { event: "transfer.created" },
  );
  if (feeId) collectFee(work, { id: feeId, payment, spec, available_on });
  return made;
}

/** The share of a destination charge, at the moment its money is the platform's. */
export function sendShare(work: Work, charge: Charge): Charge {
  if (!charge.transfer_data) return charge;
  const { destination, amount } = charge.transfer_data;
  const whole = amount ?? charge.amount_captured;
  if (whole === 0) return charge;
  requireRecipient(work, destination, "transfer_data[destination]");
  const made = transfer(work, {
    amount: whole,
    currency: charge.currency,
    destination,
    fee: charge.application_fee_amount ?? 0,
    source: charge,
    transfer_group: charge.transfer_group,
  });
  const [fee] = work.store.all("application_fee", { originating_transaction: charge.id });
  return work.change("charge", charge.id, {
    application_fee: fee?.id ?? null,
    transfer: made.id,
  });
}

export interface ReversalSpec {
  amount: number;
  metadata?: Record<string, string>;
  refund?: string | null;
  refund_application_fee?: boolean;
}

export function reverseTransfer(work: Work, id: string, spec: ReversalSpec): TransferReversal {
  const old = work.require("transfer", id);
  const left = old.amount - old.amount_reversed;
  const { amount } = spec;
  if (amount > left || left === 0) {
    throw invalid(
      `Transfer reversal amount (${amount}) is greater than the amount of the transfer that has not been reversed (${left}).`,
      "amount",
    );
  }
  const reversal = newId("trr_");
  const entry = {
    currency: old.currency,
    available_on: availableWith(work, old.balance_transaction),
  };
  const got = record(work, {
    ...entry,
    type: "transfer_refund",
    reporting_category: "transfer_reversal",
    amount,
    source: reversal,
  });
  const back = giveBack(work.as(old.destination ?? ""), old, reversal, amount);
  const now = worldNow(work.store);
  const made = work.create("transfer_reversal", {
    id: reversal,
    object: "transfer_reversal",
    amount,
    balance_transaction: got.id,
    created: now,
    currency: old.currency,
    destination_payment_refund: back,
    metadata: spec.metadata ?? {},
    source_refund: spec.refund ?? null,
    transfer: id,
  }, {});
  const fee = spec.refund_application_fee ? feeOf(work, old) : null;
  const amount_reversed = old.amount_reversed + amount;
  work.change("transfer", id, {
    amount_reversed,
    reversals: { ...old.reversals, data: [made, ...old.reversals.data].slice(0, 10) },
    reversed: amount_reversed === old.amount,
  }, "transfer.reversed");
  if (fee) refundShare(work, fee, { before: old.amount_reversed, by: amount, of: old.amount });
  return made;
}

/** The payment on the account's side is refunded; its balance may become negative. */
function giveBack(account: Work, of: Transfer, reversal: string, amount: number): string {
  const id = newId("pyr_");
  const payment = account.require("charge", of.destination_payment ?? "");
  const entry = record(account, {
    type: "payment_refund",
    reporting_category: "refund",
    amount: -amount,
    currency: of.currency,
    source: id,
    description: "REFUND FOR PAYMENT",
    available_on: availableWith(account, payment.balance_transaction),
  });
  account.create("refund", {
    id,
    object: "refund",
    amount,
    balance_transaction: entry.id,
    charge: payment.id,
    created: worldNow(account.store),
    currency: of.currency,
    customer: null,
    customer_account: null,
    metadata: {},
    payment_intent: null,
    payment_method: null,
    reason: null,
    receipt_number: null,
    source_transfer_reversal: reversal,
    status: "succeeded",
    transfer_reversal: null,
  }, {});
  const amount_refunded = payment.amount_refunded + amount;
  const refunded = amount_refunded === payment.amount;
  account.change("charge", payment.id, { amount_refunded, refunded });
  return id;
}
