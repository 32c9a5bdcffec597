/** What a subscription means to its owner, in words. Pure. */

import { formatDate } from "./dates.ts";

export interface SubscriptionSnapshot {
  id: string;
  status: string;
  priceLookupKey: string | null;
  quantity: number | null;
  currentPeriodEnd: number | null;
  /** When access ends, if it is ending. */
  endsAt: number | null;
  trialEnd: number | null;
}

export interface Entitlements {
  plan: { id: string; name: string; rank: number };
  source: string;
  status: string | null;
  features: string[];
  limits: Record<string, number | null>;
  subscription: SubscriptionSnapshot | null;
}

export type Tone = "good" | "warn" | "bad" | "plain";

export interface StatusText {
  label: string;
  tone: Tone;
  /** One sentence for the account page. */
  sentence: string;
  /** The payment method needs attention. */
  fixPayment: boolean;
}

const BROKEN: Record<string, string> = {
  incomplete: "The first payment was not completed, so the plan is not active.",
  incomplete_expired: "The first payment was never completed, so the subscription has lapsed.",
  unpaid: "Payments failed, so the plan is not active until the open invoice is paid.",
  paused: "The subscription is paused, so the plan is not active.",
  canceled: "The subscription has ended.",
};

/** Describes status, renewal and end. A status we do not know is shown as it is, never hidden. */
export function describeStatus(entitlements: Entitlements): StatusText {
  const { subscription, source, plan } = entitlements;
  if (!subscription) {
    return source === "default"
      ? { label: "Free", tone: "plain", sentence: "No subscription, no charge.", fixPayment: false }
      : {
        label: "Granted",
        tone: "good",
        sentence: `${plan.name} was granted to you.`,
        fixPayment: false,
      };
  }
  const { status, endsAt, currentPeriodEnd, trialEnd } = subscription;
  if (status === "past_due") {
    return {
      label: "Payment overdue",
      tone: "bad",
      sentence: "The last payment failed. Update your payment method to keep your plan.",
      fixPayment: true,
    };
  }
  if (status !== "active" && status !== "trialing") {
    const sentence = BROKEN[status] ??
      "This status gives no access to the plan. Write to us if that is wrong.";
    const fixPayment = status === "unpaid" || status === "incomplete";
    return { label: status.replaceAll("_", " "), tone: "bad", sentence, fixPayment };
  }
  if (endsAt !== null) {
    const sentence = `Your plan stays until ${formatDate(endsAt)} and is not billed again.`;
    return { label: `Ends ${formatDate(endsAt)}`, tone: "warn", sentence, fixPayment: false };
  }
  if (status === "trialing") {
    const sentence = trialEnd === null
      ? "Your trial is running."
      : `Your trial runs until ${formatDate(trialEnd)}.`;
    return { label: "Trial", tone: "good", sentence, fixPayment: false };
  }
  const sentence = currentPeriodEnd === null
    ? "Renews by itself."
    : `Renews on ${formatDate(currentPeriodEnd)}.`;
  return { label: "Active", tone: "good", sentence, fixPayment: false };
}

/** Access comes from Stripe, and a second Checkout would be refused: changes go through the portal. */
export function isSubscriber(entitlements: Entitlements): boolean {
  const status = entitlements.subscription?.status;
  return status !== undefined && status !== "canceled" && status !== "incomplete_expired";
}

/** The waits before each further try to confirm a payment: about a minute in all, then honesty. */
export const CONFIRMATION_WAITS_MS = [
  0,
  1000,
  1500,
  2500,
  4000,
  6000,
  8000,
  10_000,
  12_000,
  15_000,
];
