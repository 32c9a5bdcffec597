/** What is wrong with the payment, what it means for the plan, and what helps. Pure. */

import { formatDate, formatDuration } from "./dates.ts";
import type { Entitlements } from "./subscription.ts";

export interface ProblemText {
  /** `warn` while the plan is still there. */
  tone: "warn" | "bad";
  title: string;
  advice: string;
  /** The hosted page of the open invoice. */
  invoiceUrl: string | null;
  /** What else helps: another payment method, a look at the billing portal, or a plan chosen anew. */
  remedy: "payment_method" | "portal" | "pricing";
}

const DAY = 24 * 3_600_000;
const FINE = new Set(["active", "trialing", "canceled", "incomplete_expired"]);

/**
 * Describes the problem for a banner; null when all is well. `planName` is what is being paid for. The
 * status of the subscription serves where the server does not name a problem by itself.
 */
export function describeProblem(
  entitlements: Entitlements,
  planName: string,
  now: number,
): ProblemText | null {
  const { subscription, paymentProblem, graceEndsAt } = entitlements;
  const status = paymentProblem?.status ?? subscription?.status ?? "active";
  if (!paymentProblem && FINE.has(status)) return null;
  const invoiceUrl = paymentProblem?.invoiceUrl ?? null;
  const words = status === "past_due"
    ? overdue(planName, graceEndsAt, now)
    : broken(status, planName);
  return { remedy: "payment_method", invoiceUrl, ...words };
}

type Words = Pick<ProblemText, "tone" | "title" | "advice"> & Partial<ProblemText>;

function overdue(planName: string, graceEndsAt: number | null, now: number): Words {
  if (graceEndsAt === null) {
    return {
      tone: "warn",
      title: "Your last payment did not go through",
      advice: `Update your payment method to keep ${planName}.`,
    };
  }
  if (graceEndsAt <= now) {
    return {
      tone: "bad",
      title: `${planName} is off, because a payment failed`,
      advice: `It was kept until ${
        formatDate(graceEndsAt)
      }. Pay the open invoice, and it comes back at once.`,
    };
  }
  return {
    tone: "warn",
    title: `Your last payment did not go through: ${timeLeft(graceEndsAt - now)} left to fix it`,
    advice: `You keep ${planName} until ${
      formatDate(graceEndsAt)
    }. Update your payment method or pay the open invoice by then.`,
  };
}

/** `6 days`; hours and minutes when it is getting short. */
function timeLeft(ms: number): string {
  return ms > 2 * DAY ? `${Math.ceil(ms / DAY)} days` : formatDuration(ms);
}

function broken(status: string, planName: string): Words {
  switch (status) {
    case "incomplete":
      return {
        tone: "bad",
        title: "Your first payment is not complete",
        advice: `${planName} starts as soon as it is. Finish the payment or use another card.`,
      };
    case "incomplete_expired":
      return {
        tone: "bad",
        title: "Your first payment was never completed",
        advice:
          "The subscription has lapsed and nothing was charged. Choose a plan to begin again.",
        remedy: "pricing",
        invoiceUrl: null,
      };
    case "unpaid":
      return {
        tone: "bad",
        title: `${planName} is off, because an invoice is unpaid`,
        advice: "Pay it, and the plan comes back at once.",
      };
    case "paused":
      return {
        tone: "bad",
        title: "Your subscription is paused",
        advice: `${planName} is off and nothing is billed. Add a payment method to go on.`,
      };
    default:
      return {
        tone: "bad",
        title: `Your subscription is “${status.replaceAll("_", " ")}”, which we do not know yet`,
        advice: `So ${planName} is off for now. Look at it in billing, or write to us.`,
        remedy: "portal",
        invoiceUrl: null,
      };
  }
}
