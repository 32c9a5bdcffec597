/** What somebody bought: its state in words, and what can be done with it. Pure. */

import { formatDate } from "./dates.ts";
import type { Category, Kind, Listing } from "./marketplace.ts";
import { formatExact, formatMoney } from "./money.ts";
import type { Tone } from "./subscription.ts";

export interface LibraryItem {
  /** Of the purchase. */
  id: string;
  /** null while the payment is not through: there is no licence yet. */
  licenceId: string | null;
  listingId: string;
  /** A short name of the purchase, which its seller and support know too. */
  reference: string;
  title: string;
  category: Category;
  kind: Kind;
  /** null: sold by the house. */
  sellerName: string | null;
  /** Of the licence: active, suspended, revoked; "processing" while there is none. */
  status: string;
  /** Why it is not active, as the database says it. */
  reason: string | null;
  /** Of a monthly licence: until when it gives access. */
  validUntil: number | null;
  periodEnd: number | null;
  endsWithPeriod: boolean;
  /** The renewal of a monthly licence could not be paid, and it is not over yet. */
  isLate: boolean;
  /** Stripe's page where the month that is open can be paid, and what it costs. */
  openInvoiceUrl: string | null;
  openMinor: number | null;
  amountMinor: number;
  refundedMinor: number;
  currency: string;
  receiptUrl: string | null;
  boughtAt: number | null;
  /** Copies of it among one's own agents. */
  copies: number;
}

export type Access = "open" | "waiting" | "closed";

export interface LicenceState {
  access: Access;
  label: string;
  tone: Tone;
  /** Why, and what comes next; null when there is nothing to say. */
  explanation: string | null;
}

const REVOKED = new Map(Object.entries({
  refunded: {
    label: "Refunded",
    explanation: "The payment was given back to you, and the licence ended with it.",
  },
  dispute_lost: {
    label: "Charged back",
    explanation: "Your bank took the payment back, and the licence ended with it.",
  },
  canceled: { label: "Ended", explanation: "You cancelled it, and the paid time is over." },
  payment_failed: {
    label: "Ended",
    explanation: "The renewal could not be paid. Buy it again to go on.",
  },
}));

const SUSPENDED = new Map(Object.entries({
  dispute_open:
    "The payment is disputed at your bank. The licence comes back when that is decided for the seller.",
  payment_failed: "The renewal could not be paid. It comes back with the payment.",
}));

/** What a licence is worth now; an unknown state or reason opens nothing and still gets honest words. */
export function licenceState(item: LibraryItem, now: number): LicenceState {
  const { status, reason } = item;
  if (item.isLate && status !== "suspended") return lateState(item, now);
  if (status === "active") {
    if (item.validUntil !== null && item.validUntil <= now) {
      return closed("Ended", REVOKED.get(item.endsWithPeriod ? "canceled" : "payment_failed"));
    }
    return { access: "open", label: "Active", tone: "good", explanation: renewalText(item) };
  }
  if (status === "processing" || status === "open") {
    return {
      access: "waiting",
      label: "Processing",
      tone: "warn",
      explanation:
        "Your payment is on its way. With some payment methods that takes days; you do not need to pay again.",
    };
  }
  if (status === "suspended") {
    return {
      access: "closed",
      label: "Suspended",
      tone: "warn",
      explanation: suspendedText(item),
    };
  }
  return closed("Ended", REVOKED.get(reason ?? ""));
}

function suspendedText({ reason, kind }: LibraryItem): string {
  const words = SUSPENDED.get(reason ?? "") ?? "It cannot be used at the moment.";
  return reason === "dispute_open" && kind === "monthly"
    ? `${words} No other month is charged until then.`
    : words;
}

/** The renewal failed: for the grace it can still be used, and in either case it can be paid or cancelled. */
function lateState(item: LibraryItem, now: number): LicenceState {
  const label = "Payment due";
  if (item.status === "active" && item.validUntil !== null && item.validUntil > now) {
    return {
      ...{ access: "open", label, tone: "warn" },
      explanation: `The renewal could not be paid. It is kept for you until ${
        formatDate(item.validUntil)
      }: pay by then to go on, or cancel it and owe nothing.`,
    };
  }
  return {
    ...{ access: "closed", label, tone: "bad" },
    explanation:
      "The renewal could not be paid, so it cannot be used. Pay what is open and it comes back at once, or cancel it and owe nothing.",
  };
}

function closed(label: string, words?: { label: string; explanation: string }): LicenceState {
  return {
    access: "closed",
    label: words?.label ?? label,
    tone: "bad",
    explanation: words?.explanation ?? "This licence has ended.",
  };
}

/** `Renews on …`, `Ends on …`; null for what was bought for good. */
export function renewalText(item: LibraryItem): string | null {
  if (item.kind !== "monthly") return null;
  const end = item.periodEnd ?? item.validUntil;
  if (item.endsWithPeriod) {
    return end === null ? "Ends with the paid month." : `Ends on ${formatDate(end)}.`;
  }
  return end === null ? "Renews every month." : `Renews on ${formatDate(end)}.`;
}

/** What was paid, and when. */
export function paidText(item: LibraryItem): string {
  const amount = formatExact(item.amountMinor, item.currency);
  const price = item.kind === "monthly" ? `${amount} a month` : amount;
  const day = item.boughtAt === null ? "" : ` on ${formatDate(item.boughtAt)}`;
  if (item.refundedMinor <= 0) return `${price}${day}`;
  const refunded = item.refundedMinor >= item.amountMinor
    ? "refunded"
    : `${formatExact(item.refundedMinor, item.currency)} refunded`;
  return `${price}${day}, ${refunded}`;
}

/** A monthly licence that goes on can be cancelled, and so can one whose renewal failed; one that is set to end resumed. */
export function endingOf(item: LibraryItem, now: number): "cancel" | "resume" | null {
  if (item.kind !== "monthly" || item.licenceId === null) return null;
  if (item.isLate) return "cancel";
  if (licenceState(item, now).access !== "open") return null;
  return item.endsWithPeriod ? "resume" : "cancel";
}

/** What cancelling or resuming it means. */
export function endingText(item: LibraryItem, action: "cancel" | "resume", now: number): string {
  const price = `${formatMoney(item.amountMinor, item.currency)} a month`;
  if (item.isLate && action === "cancel") {
    const keeps = item.validUntil !== null && item.validUntil > now
      ? `You keep it until ${formatDate(item.validUntil)}`
      : "It ends now";
    return `${keeps}. What is open is written off, and nothing more is charged.`;
  }
  const end = item.periodEnd === null ? "the end of the paid month" : formatDate(item.periodEnd);
  return action === "cancel"
    ? `You keep it until ${end}, and nothing more is charged. You can resume it until then.`
    : `It goes on after ${end}, for ${price}. Nothing is charged now.`;
}

/** What can be used first, then what waits, then what was. */
export function inOrder(items: LibraryItem[], now: number): LibraryItem[] {
  const rank: Record<Access, number> = { waiting: 0, open: 1, closed: 2 };
  return items.toSorted((a, b) =>
    rank[licenceState(a, now).access] - rank[licenceState(b, now).access] ||
    (b.boughtAt ?? Infinity) - (a.boughtAt ?? Infinity)
  );
}

/** The one that came by a purchase: there now, and not before. Any open one when it is not known what was there. */
export function arrivedOf(
  items: LibraryItem[],
  listingId: string | null,
  now: number,
): LibraryItem | null {
  const open = items.filter((item) => licenceState(item, now).access === "open");
  if (listingId !== null) return open.find((item) => item.listingId === listingId) ?? null;
  return open.toSorted((a, b) => (b.boughtAt ?? 0) - (a.boughtAt ?? 0))[0] ?? null;
}

/** What a listing is to its reader. */
export type Offer =
  | "own"
  | "owned"
  | "waiting"
  | "suspended"
  | "unpaid"
  | "withdrawn"
  | "paused"
  | "open";

/** `item`: what the reader has of it; null for who has nothing, or has not signed in. */
export function offerOf(
  { status, salesPaused }: Pick<Listing, "status" | "salesPaused">,
  isOwn: boolean,
  item: LibraryItem | null,
  now: number,
): Offer {
  if (isOwn) return "own";
  const access = item && licenceState(item, now).access;
  if (access === "open") return "owned";
  if (access === "waiting") return "waiting";
  if (item?.status === "suspended") return "suspended";
  if (item?.isLate) return "unpaid";
  if (status !== "published") return "withdrawn";
  return salesPaused ? "paused" : "open";
}
