/** Disputes, as the test cards that bring one make them. https://docs.stripe.com/disputes */
import { invalid } from "../engine/errors.ts";
import { type Charge, type Dispute, newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { type Entry, record } from "./balance.ts";
import type { TestCard } from "./cards.ts";

const DAY = 86_400;
/** Taken with the disputed amount, and kept whoever wins. */
const DISPUTE_FEE = 1500;

export function createDispute(
  work: Work,
  charge: Charge,
  kind: NonNullable<TestCard["disputed"]>,
  amount = charge.amount,
): Dispute {
  const clock = work.clockOf(charge.customer);
  const now = work.now(clock);
  const isInquiry = kind === "inquiry";
  const dispute: Dispute = {
    id: newId("du_"),
    object: "dispute",
    amount,
    balance_transactions: [],
    charge: charge.id,
    created: now,
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: {
      access_activity_log: null,
      billing_address: null,
      cancellation_policy: null,
      cancellation_policy_disclosure: null,
      cancellation_rebuttal: null,
      customer_communication: null,
      customer_email_address: charge.billing_details.email,
      customer_name: charge.billing_details.name,
      customer_purchase_ip: null,
      customer_signature: null,
      duplicate_charge_documentation: null,
      duplicate_charge_explanation: null,
      duplicate_charge_id: null,
      enhanced_evidence: {},
      product_description: null,
      receipt: null,
      refund_policy: null,
      refund_policy_disclosure: null,
      refund_refusal_explanation: null,
      service_date: null,
      service_documentation: null,
      shipping_address: null,
      shipping_carrier: null,
      shipping_date: null,
      shipping_documentation: null,
      shipping_tracking_number: null,
      uncategorized_file: null,
      uncategorized_text: null,
    },
    evidence_details: {
      due_by: now + 9 * DAY,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "not_submitted",
    },
    intended_submission_method: null,
    is_charge_refundable: isInquiry,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    payment_method_details: {
      card: {
        brand: "visa",
        case_type: isInquiry ? "inquiry" : "chargeback",
        network: "visa",
        network_reason_code: kind === "product_not_received" ? "13.1" : "10.4",
      },
      type: "card",
    },
    reason: isInquiry ? "general" : kind,
    status: isInquiry ? "warning_needs_response" : "needs_response",
  };
  work.change("charge", charge.id, { disputed: true }, "charge.updated");
  work.create("dispute", dispute, {}, { clock, event: "charge.dispute.created" });
  return isInquiry ? dispute : withdraw(work, dispute);
}

/** The platform pays, whoever got the money of the charge; a transfer stays where it is. */
function withdraw(work: Work, dispute: Dispute): Dispute {
  const description = "Dispute fee";
  const fees = [{ amount: DISPUTE_FEE, application: null, description, type: "stripe_fee" }];
  const done = move(work, dispute, {
    amount: -dispute.amount,
    reporting_category: "dispute",
    description: `Chargeback withdrawal for ${dispute.charge}`,
    fees,
  });
  work.emit("charge.dispute.funds_withdrawn", done);
  return done;
}

function move(
  work: Work,
  dispute: Dispute,
  entry: Pick<Entry, "amount" | "description" | "fees" | "reporting_category">,
): Dispute {
  const { currency, id } = dispute;
  const moved = record(work, { ...entry, currency, source: id, type: "adjustment" });
  const balance_transactions = [...dispute.balance_transactions, moved];
  return work.change("dispute", id, { balance_transactions });
}

/** The merchant's answer: test evidence `winning_evidence` or `losing_evidence` decides at once, as in Stripe's test mode. */
export function submit(work: Work, dispute: Dispute, text: string | null): Dispute {
  const isInquiry = dispute.status.startsWith("warning");
  const evidence_details: Dispute["evidence_details"] = {
    ...dispute.evidence_details,
    has_evidence: true,
    submission_count: dispute.evidence_details.submission_count + 1,
    submission_method: "manual",
  };
  const status = isInquiry ? "warning_under_review" : "under_review";
  const patch = { evidence_details, status } as const;
  const sent = work.change("dispute", dispute.id, patch, "charge.dispute.updated");
  if (text === "winning_evidence") return win(work, sent);
  return text === "losing_evidence" ? lose(work, sent) : sent;
}

export function win(work: Work, dispute: Dispute): Dispute {
  const isInquiry = dispute.status.startsWith("warning");
  const won = work.change("dispute", dispute.id, {
    is_charge_refundable: true,
    status: isInquiry ? "warning_closed" : "won",
  });
  const paid = isInquiry ? won : move(work, won, {
    amount: dispute.amount,
    reporting_category: "dispute_reversal",
    description: `Chargeback reversal for ${dispute.charge}`,
  });
  work.emit("charge.dispute.closed", paid);
  if (!isInquiry) work.emit("charge.dispute.funds_reinstated", paid);
  return paid;
}

/** Accepting a dispute is losing it; an inquiry is only closed. */
export function lose(work: Work, dispute: Dispute): Dispute {
  const status = dispute.status.startsWith("warning") ? "warning_closed" : "lost";
  return work.change("dispute", dispute.id, { status }, "charge.dispute.closed");
}

/** By hand: what a test card does, of any charge that was paid; as banks can, also of a part of it. */
export function openDispute(
  work: Work,
  id: string,
  kind: NonNullable<TestCard["disputed"]>,
  amount?: number,
): Dispute {
  const charge = work.require("charge", id);
  if (charge.status !== "succeeded" || charge.disputed) {
    throw invalid(`Charge ${id} is not paid, or disputed already.`);
  }
  if (amount !== undefined && amount > charge.amount) {
    throw invalid(`Charge ${id} is of ${charge.amount}: ${amount} of it cannot be disputed.`);
  }
  return createDispute(work, charge, kind, amount);
}

const DECIDED = ["lost", "warning_closed", "won"];

/** By hand: the bank decides. */
export function decideDispute(work: Work, id: string, outcome: "lost" | "won"): Dispute {
  const dispute = work.require("dispute", id);
  if (DECIDED.includes(dispute.status)) {
    throw invalid(`This dispute is already closed: its status is ${dispute.status}.`);
  }
  return outcome === "won" ? win(work, dispute) : lose(work, dispute);
}
