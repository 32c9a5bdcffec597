import type Stripe from "stripe";
import { refOf } from "./facts.ts";

/** What a paid checkout of a credit pack entitles to; written into the session's metadata when it is opened. */
export interface CreditOrder {
  session: string;
  currency: string;
  creditMinor: number;
  /** Unix seconds; null: never. */
  expiresAt: number | null;
  name: string;
  paymentIntent: string | null;
  refunded: boolean;
  /** A bank has ever asked about it; whatever came of that. */
  disputed: boolean;
}

/**
 * Statuses of a dispute that leave the buyer what they paid for: it is won, or it is an inquiry that moves no money. Every
 * other one, one of tomorrow included, takes the credit back; `billing.dispute_statuses` says the same of licences.
 */
const HARMLESS: readonly string[] = [
  "prevented",
  "warning_closed",
  "warning_needs_response",
  "warning_under_review",
  "won",
];

/** Metadata of a session that sells credit; its values are ours, never the buyer's. */
export function creditMetadata(pack: {
  lookup_key: string;
  name: string;
  credit_minor: number;
  expires_days: number | null;
}): Record<string, string> {
  return {
    credit_pack: pack.lookup_key,
    credit_name: pack.name,
    credit_minor: String(pack.credit_minor),
    credit_days: pack.expires_days === null ? "" : String(pack.expires_days),
  };
}

/**
 * The credit that a session (`expand: ["payment_intent.latest_charge"]`) has paid for; null when it sells none or is not
 * paid. A partial refund is an operator's decision.
 */
export function paidCredit(session: Stripe.Checkout.Session): CreditOrder | null {
  const metadata = session.metadata ?? {};
  const creditMinor = Number(metadata["credit_minor"]);
  if (session.mode !== "payment" || session.payment_status !== "paid") return null;
  if (session.currency === null) return null;
  if (!metadata["credit_pack"] || !Number.isSafeInteger(creditMinor) || creditMinor <= 0) {
    return null;
  }
  const days = Number(metadata["credit_days"]);
  return {
    session: session.id,
    currency: session.currency,
    creditMinor,
    expiresAt: days > 0 ? session.created + days * 86_400 : null,
    name: metadata["credit_name"] || "Credit",
    ...paymentOf(session),
  };
}

function paymentOf(
  { payment_intent: intent }: Stripe.Checkout.Session,
): Pick<CreditOrder, "paymentIntent" | "refunded" | "disputed"> {
  const charge = typeof intent === "object" ? intent?.latest_charge : null;
  const isCharge = typeof charge === "object" && charge !== null;
  return {
    paymentIntent: refOf(intent),
    refunded: isCharge && charge.refunded,
    disputed: isCharge && charge.disputed,
  };
}

/**
 * Whether the buyer is to have the credit: not when all of it was refunded, nor while a bank holds the money or has kept it.
 * `grantsDue`: how often it may have been granted by now, once and again after each dispute that was won.
 */
export function creditDue(
  { refunded }: Pick<CreditOrder, "refunded">,
  disputes: Pick<Stripe.Dispute, "status">[],
): { due: boolean; grantsDue: number } {
  return {
    due: !refunded && disputes.every(({ status }) => HARMLESS.includes(status)),
    grantsDue: 1 + disputes.filter(({ status }) => status === "won").length,
  };
}

/** A grant that gives nothing any more; `now` in Unix seconds. */
export function hasEnded(
  grant: Pick<Stripe.Billing.CreditGrant, "voided_at" | "expires_at">,
  now: number,
): boolean {
  return grant.voided_at !== null || (grant.expires_at !== null && grant.expires_at <= now);
}
