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
  /** Until when an overdue subscription keeps its plan; null when nothing is overdue. */
  graceEndsAt: number | null;
  paymentProblem: PaymentProblem | null;
  /** Another price from a later day on. */
  pendingChange: { lookupKey: string; at: number | null } | null;
  /** The plan was given by an operator; `endsAt` null: for ever. */
  grant: { endsAt: number | null } | null;
}

export interface PaymentProblem {
  status: string;
  /** Where the open invoice can be paid. */
  invoiceUrl: string | null;
}

export type Tone = "good" | "warn" | "bad" | "plain";

export interface StatusText {
  label: string;
  tone: Tone;
  /** One sentence for the account page. */
  sentence: string;
}

const BROKEN: Record<string, { label: string; sentence: string }> = {
  incomplete: {
    label: "Not paid yet",
    sentence: "The first payment was not completed, so the plan is not active.",
  },
  incomplete_expired: {
    label: "Lapsed",
    sentence: "The first payment was never completed, so the subscription has lapsed.",
  },
  unpaid: {
    label: "Unpaid",
    sentence: "Payments failed, so the plan is not active until the open invoice is paid.",
  },
  paused: {
    label: "Paused",
    sentence: "The subscription is paused, so the plan is not active.",
  },
  canceled: { label: "Ended", sentence: "The subscription has ended." },
};

/** Describes status, renewal and end. A status we do not know is shown as it is, never hidden. */
export function describeStatus(entitlements: Entitlements): StatusText {
  const { subscription, source, plan } = entitlements;
  if (source === "grant" || (!subscription && source !== "default")) {
    return granted(plan.name, entitlements.grant?.endsAt ?? null);
  }
  if (!subscription) {
    return { label: "Free", tone: "plain", sentence: "No subscription, no charge." };
  }
  if (subscription.status === "past_due" && source !== "subscription") {
    const sentence = "The last payment failed and was not made up for in time, so the plan is off.";
    return { label: "Payment overdue", tone: "bad", sentence };
  }
  const text = describeSubscription(subscription, entitlements.graceEndsAt);
  const { pendingChange } = entitlements;
  return pendingChange?.at && text.label === "Active"
    ? { ...text, sentence: `Paid until ${formatDate(pendingChange.at)}.` }
    : text;
}

function granted(planName: string, endsAt: number | null): StatusText {
  return {
    label: "Granted",
    tone: "good",
    sentence: endsAt === null
      ? `${planName} was granted to you. It is not billed.`
      : `${planName} was granted to you until ${formatDate(endsAt)}. It is not billed.`,
  };
}

/** The subscription by itself, whatever plan counts at the moment. */
export function describeSubscription(
  subscription: SubscriptionSnapshot,
  graceEndsAt: number | null,
): StatusText {
  const { status, endsAt, currentPeriodEnd, trialEnd } = subscription;
  if (status === "past_due") {
    const sentence = graceEndsAt === null
      ? "The last payment failed. Update your payment method to keep your plan."
      : `The last payment failed. Without another one your plan ends on ${
        formatDate(graceEndsAt)
      }.`;
    return { label: "Payment overdue", tone: "bad", sentence };
  }
  if (status !== "active" && status !== "trialing") {
    const known = BROKEN[status] ?? {
      label: status.replaceAll("_", " "),
      sentence: "This status gives no access to the plan. Write to us if that is wrong.",
    };
    return { ...known, tone: "bad" };
  }
  if (endsAt !== null) {
    const sentence = `Your plan stays until ${formatDate(endsAt)} and is not billed again.`;
    return { label: `Ends ${formatDate(endsAt)}`, tone: "warn", sentence };
  }
  if (status === "trialing") {
    const sentence = trialEnd === null
      ? "Your trial is running."
      : `Your trial runs until ${formatDate(trialEnd)}.`;
    return { label: "Trial", tone: "good", sentence };
  }
  const sentence = currentPeriodEnd === null
    ? "Renews by itself."
    : `Renews on ${formatDate(currentPeriodEnd)}.`;
  return { label: "Active", tone: "good", sentence };
}

/** A subscription exists, and a second Checkout would be refused: it is changed instead. */
export function isSubscriber(entitlements: Entitlements): boolean {
  const status = entitlements.subscription?.status;
  return status !== undefined && status !== "canceled" && status !== "incomplete_expired";
}

/** The plan can be changed: Stripe bills it, and no first, unpaid or lost payment stands in the way. */
export function isChangeable({ subscription, source }: Entitlements): boolean {
  const status = subscription?.status ?? "";
  return ["active", "trialing"].includes(status) ||
    (status === "past_due" && source === "subscription");
}

/** There is something to cancel; a first payment that is not complete lapses by itself within a day. */
export function isCancellable(entitlements: Entitlements): boolean {
  return isSubscriber(entitlements) && entitlements.subscription?.status !== "incomplete";
}
