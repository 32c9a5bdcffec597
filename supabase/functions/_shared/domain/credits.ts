import type Stripe from "stripe";

/** What a paid checkout of a credit pack entitles to; written into the session's metadata when it is opened. */
export interface CreditOrder {
  session: string;
  currency: string;
  creditMinor: number;
  /** Unix seconds; null: never. */
  expiresAt: number | null;
  name: string;
  refunded: boolean;
}

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
 * paid. A refund of all of it takes the credit back; a partial one is an operator's decision.
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
    refunded: isRefunded(session),
  };
}

function isRefunded({ payment_intent: intent }: Stripe.Checkout.Session): boolean {
  const charge = typeof intent === "object" ? intent?.latest_charge : null;
  return typeof charge === "object" && charge !== null && charge.refunded;
}
