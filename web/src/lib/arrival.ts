/** What a person finds who comes back from Checkout. Pure. */

import { formatDate } from "./dates.ts";
import type { Entitlements } from "./subscription.ts";

/** `processing`: a subscription exists, and its first payment is not complete. */
export type Arrival = "active" | "trial" | "processing" | "absent";

/** By the subscription and not by the plan: a plan that was granted may be above the paid one. */
export function arrivalOf({ subscription }: Entitlements): Arrival {
  switch (subscription?.status) {
    case "active":
      return "active";
    case "trialing":
      return "trial";
    case "incomplete":
    case "past_due":
    case "unpaid":
      return "processing";
    default:
      return "absent";
  }
}

export interface ArrivalText {
  title: string;
  body: string;
}

/** Only what is known: nobody is thanked for a payment that nobody has seen. */
export function describeArrival(entitlements: Entitlements, paidPlanName: string): ArrivalText {
  switch (arrivalOf(entitlements)) {
    case "active":
      return entitlements.source === "subscription"
        ? {
          title: `You are on ${paidPlanName}`,
          body: "Thank you. Your new allowance is open now.",
        }
        : {
          title: `Your ${paidPlanName} subscription is active`,
          body:
            `Thank you. You keep ${entitlements.plan.name} for as long as it is granted to you.`,
        };
    case "trial":
      return { title: `Your trial of ${paidPlanName} has begun`, body: trialText(entitlements) };
    case "processing":
      return {
        title: "Your payment is still being processed",
        body:
          `${paidPlanName} begins by itself as soon as it arrives. With some payment methods that takes days, and you do not need to pay again.`,
      };
    case "absent":
      return {
        title: "Your payment is not confirmed yet",
        body:
          "Stripe has not told us about it. The plan switches by itself when it does, and you do not need to pay again.",
      };
  }
}

function trialText({ subscription }: Entitlements): string {
  const end = subscription?.trialEnd ? `on ${formatDate(subscription.trialEnd)}` : "at its end";
  return `Nothing was charged. The first payment is ${end}; cancel before that, and you pay nothing.`;
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
