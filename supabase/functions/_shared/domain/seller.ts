import type Stripe from "stripe";
import { amount, text, time } from "./fields.ts";

/** What the database keeps of a creator's connected account. Times are ISO 8601, amounts minor units. */
export interface SellerSnapshot {
  /** `active`, `pending`, `restricted`, `unsupported`, or `unrequested` when the capability is not there at all. */
  transfers_status: string;
  closed: boolean;
  /** What Stripe wants of the creator now, in Stripe's words. */
  requirements: string[];
  display_name: string | null;
  payouts: PayoutSnapshot[];
}

export interface PayoutSnapshot {
  id: string;
  amount_minor: number;
  currency: string;
  status: string;
  created: string;
  arrival_date: string | null;
}

/** Entries that the creator need not care about yet. */
const NOT_YET: readonly string[] = ["eventually_due"];

/** Translates an account (`include: ["configuration.recipient", "requirements"]`) and its payouts. */
export function toSellerSnapshot(
  account: Stripe.V2.Core.Account,
  payouts: Stripe.Payout[],
): SellerSnapshot {
  const transfers = account.configuration?.recipient?.capabilities?.stripe_balance
    ?.stripe_transfers;
  return {
    transfers_status: transfers?.status ?? "unrequested",
    closed: account.closed === true,
    requirements: (account.requirements?.entries ?? []).flatMap(requirementOf),
    display_name: account.display_name ?? null,
    payouts: payouts.map(toPayout),
  };
}

function requirementOf(entry: Stripe.V2.Core.Account.Requirements.Entry): string[] {
  if (entry.awaiting_action_from !== "user") return [];
  return NOT_YET.includes(entry.minimum_deadline?.status) ? [] : [entry.description];
}

function toPayout(payout: Stripe.Payout): PayoutSnapshot {
  return {
    id: text(payout.id, "payout.id"),
    amount_minor: amount(payout.amount, "payout.amount"),
    currency: text(payout.currency, "payout.currency"),
    status: text(payout.status, "payout.status"),
    created: time(payout.created, "payout.created"),
    arrival_date: payout.arrival_date ? time(payout.arrival_date, "payout.arrival_date") : null,
  };
}

/** What a connected account has at Stripe, by currency: what is available, and what will be. */
export function balanceByCurrency(balance: Stripe.Balance): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { currency, amount: value } of [...balance.available, ...balance.pending]) {
    sums.set(currency, (sums.get(currency) ?? 0) + value);
  }
  return sums;
}
