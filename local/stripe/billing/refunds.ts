/** Refunds: money back to the payer, and with it, when asked, the transfer and the fee. https://docs.stripe.com/connect/destination-charges#issue-refunds */
import { invalid } from "../engine/errors.ts";
import { type Charge, newId, type Refund, type Transfer } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { availableWith, record } from "./balance.ts";
import { testCardOf } from "./methods.ts";
import { type Part, refundShare, share } from "./fees.ts";
import { reverseTransfer } from "./transfers.ts";

export interface RefundSpec {
  amount?: number;
  metadata?: Record<string, string>;
  reason?: Refund["reason"];
  refund_application_fee?: boolean;
  reverse_transfer?: boolean;
}

export function refund(work: Work, charge: Charge, spec: RefundSpec): Refund {
  const amount = refundable(work, charge, spec.amount);
  const part = { before: charge.amount_refunded, by: amount, of: charge.amount_captured };
  checkShares(charge, spec);
  const clock = work.clockOf(charge.customer);
  const id = newId("re_");
  const entry = record(work, {
    type: charge.payment_method_details?.type === "card" ? "refund" : "payment_refund",
    reporting_category: "refund",
    amount: -amount,
    currency: charge.currency,
    source: id,
    description: `REFUND FOR ${charge.description ?? "CHARGE"}`,
    available_on: availableWith(work, charge.balance_transaction),
  });
  const reversal = spec.reverse_transfer ? reverseShare(work, charge, id, part) : null;
  if (spec.refund_application_fee && charge.application_fee) {
    refundShare(work, work.require("application_fee", charge.application_fee), part);
  }
  const method = charge.payment_method ? work.find("payment_method", charge.payment_method) : null;
  const later = method ? testCardOf(work, method)?.refunds ?? null : null;
  const made = work.create(
    "refund",
    {
      id,
      object: "refund",
      amount,
      balance_transaction: entry.id,
      charge: charge.id,
      created: work.now(clock),
      currency: charge.currency,
      customer: charge.customer,
      customer_account: null,
      ...(charge.payment_method_details?.type === "card"
        ? { destination_details: { type: "card", card: { type: "refund" } } }
        : {}),
      metadata: spec.metadata ?? {},
      payment_intent: charge.payment_intent,
      payment_method: charge.payment_method,
      ...(later === "succeed_later" ? { pending_reason: "processing" } : {}),
      reason: spec.reason ?? null,
      receipt_number: null,
      source_transfer_reversal: null,
      status: later === "succeed_later" ? "pending" : "succeeded",
      transfer_reversal: reversal,
    },
    later === null ? {} : {
      outcome: later === "fail_later" ? "failed" : "succeeded",
      settles_at: worldNow(work.store) + work.settings.asyncDelaySeconds,
    },
    { event: "refund.created" },
  );
  const amount_refunded = charge.amount_refunded + amount;
  work.change(
    "charge",
    charge.id,
    { amount_refunded, refunded: amount_refunded === charge.amount },
    "charge.refunded",
  );
  return made;
}

function refundable(work: Work, charge: Charge, wanted: number | undefined): number {
  const left = charge.amount_captured - charge.amount_refunded;
  if (left === 0) {
    throw invalid(
      `Charge ${charge.id} has already been refunded.`,
      undefined,
      "charge_already_refunded",
    );
  }
  const lost = work.store.all("dispute", { charge: charge.id })
    .some((dispute) => !dispute.is_charge_refundable);
  if (lost) {
    throw invalid(
      `Charge ${charge.id} has been charged back; cannot issue a refund.`,
      undefined,
      "charge_disputed",
    );
  }
  if (wanted !== undefined && wanted > left) {
    throw invalid(
      `Refund amount (${wanted}) is greater than unrefunded amount on charge (${left})`,
      "amount",
    );
  }
  return wanted ?? left;
}

function checkShares(charge: Charge, spec: RefundSpec): void {
  if (spec.reverse_transfer && !charge.transfer) {
    throw invalid(
      `Cannot reverse the transfer of ${charge.id}: the charge has no associated transfer.`,
      "reverse_transfer",
    );
  }
  if (!spec.refund_application_fee) return;
  if (!charge.application_fee) {
    throw invalid(
      `Cannot refund the application fee of ${charge.id}: the charge has no application fee.`,
      "refund_application_fee",
    );
  }
  if (!spec.reverse_transfer) {
    throw invalid(
      "`refund_application_fee` needs `reverse_transfer` on a charge with a destination.",
      "refund_application_fee",
    );
  }
}

function reverseShare(work: Work, charge: Charge, refund: string, part: Part): string {
  const of: Transfer = work.require("transfer", charge.transfer ?? "");
  const amount = share(of.amount, of.amount_reversed, part);
  if (amount <= 0) {
    throw invalid(`Transfer ${of.id} is already fully reversed.`, "reverse_transfer");
  }
  return reverseTransfer(work, of.id, { amount, refund }).id;
}

/** What a test card decided when the refund was made. A failed one brings its money back, not the transfer's. */
export function settleRefund(work: Work, id: string): void {
  const { outcome } = work.hidden("refund", id);
  work.changeHidden("refund", id, { outcome: null, settles_at: null });
  const { pending_reason: _, ...old } = work.require("refund", id);
  if (outcome === "failed") return fail(work, old);
  const done = work.change("refund", id, {
    pending_reason: undefined,
    status: "succeeded",
  }, "refund.updated");
  work.emit("charge.refund.updated", done);
}

function fail(work: Work, old: Refund): void {
  const entry = record(work, {
    type: "refund_failure",
    reporting_category: "refund_failure",
    amount: old.amount,
    currency: old.currency,
    source: old.id,
    description: "REFUND FAILURE",
    available_on: availableWith(work, old.balance_transaction),
  });
  const charge = work.require("charge", old.charge ?? "");
  const failed = work.change("refund", old.id, {
    failure_balance_transaction: entry.id,
    failure_reason: "expired_or_canceled_card",
    status: "failed",
  });
  work.change("charge", charge.id, {
    amount_refunded: charge.amount_refunded - old.amount,
    refunded: false,
  }, "charge.updated");
  work.emit("refund.failed", failed);
  work.emit("refund.updated", failed);
  work.emit("charge.refund.updated", failed);
}
