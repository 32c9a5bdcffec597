import type Stripe from "stripe";
import { refOf } from "./facts.ts";
import { amount, text } from "./fields.ts";

/** A balance transaction of ours that the ledger may have to know. */
export interface Movement {
  id: string;
  type: string;
  /** What the ledger posts it under. */
  source: string;
  currency: string;
  /** What it did to our balance, Stripe's fee taken off, in minor units. */
  net: number;
  /** Ids of the payment, transfer or fee it belongs to. */
  parents: string[];
  /** What its transfer says it is of. */
  purchase: string | null;
  /** Only the marketplace moves money in this way: of whatever purchase, the ledger must have it. */
  isMarketplace: boolean;
}

/** docs.stripe.com/reports/balance-transaction-types; a payment is what a charge of a bank debit is called. */
const DIRECT: readonly string[] = ["charge", "payment", "refund", "payment_refund"];
const FAILED: readonly string[] = ["refund_failure", "payment_failure_refund"];
const MARKETPLACE: readonly string[] = [
  "transfer",
  "transfer_refund",
  "application_fee",
  "application_fee_refund",
];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Null: nothing that this ledger posts, as payouts of ours, Stripe's own fees and credit. `source` must be expanded. */
export function toMovement(transaction: Stripe.BalanceTransaction): Movement | null {
  const source = sourceOf(transaction);
  if (source === null) return null;
  const object = typeof transaction.source === "object" ? transaction.source : null;
  return {
    id: text(transaction.id, "balance_transaction.id"),
    type: transaction.type,
    source,
    currency: text(transaction.currency, "balance_transaction.currency"),
    net: amount(transaction.net, "balance_transaction.net"),
    parents: parentsOf(object),
    purchase: object?.object === "transfer" && UUID.test(object.transfer_group ?? "")
      ? object.transfer_group
      : null,
    isMarketplace: MARKETPLACE.includes(transaction.type),
  };
}

function sourceOf({ id, type, source }: Stripe.BalanceTransaction): string | null {
  const of = refOf(source);
  if (of === null) return null;
  if (DIRECT.includes(type) || MARKETPLACE.includes(type)) return of;
  if (FAILED.includes(type)) return `${of}:failed`;
  // What a dispute took or gave back; other adjustments are Stripe's own.
  const isDispute = typeof source === "object" && source?.object === "dispute";
  return type === "adjustment" && isDispute ? id : null;
}

function parentsOf(object: Exclude<Stripe.BalanceTransaction["source"], string>): string[] {
  switch (object?.object) {
    case "charge":
      return [object.id];
    case "refund":
    case "dispute":
      return ids(object.charge);
    case "transfer":
      return ids(object.source_transaction ?? null);
    case "application_fee":
      return ids(object.originating_transaction);
    case "transfer_reversal":
      return ids(object.transfer);
    case "fee_refund":
      return ids(object.fee);
    default:
      return [];
  }
}

function ids(value: Parameters<typeof refOf>[0]): string[] {
  const id = refOf(value);
  return id === null ? [] : [id];
}
