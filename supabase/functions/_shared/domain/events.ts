import type Stripe from "stripe";

/**
 * The events after which a customer's subscriptions may look different. An event is only a hint to fetch that customer,
 * so the list may be generous; what is not listed is stored, marked as ignored, and answered with 200. At most twenty: Stripe
 * lists no more types at once, and reconcile asks for these.
 */
export const HINTS: readonly string[] = [
  "billing.credit_grant.created",
  "billing.credit_grant.updated",
  "charge.refunded",
  "checkout.session.async_payment_succeeded",
  "checkout.session.completed",
  "customer.deleted",
  "customer.subscription.created",
  "customer.subscription.deleted",
  "customer.subscription.paused",
  "customer.subscription.pending_update_applied",
  "customer.subscription.pending_update_expired",
  "customer.subscription.resumed",
  "customer.subscription.updated",
  "invoice.created",
  "invoice.marked_uncollectible",
  "invoice.paid",
  "invoice.payment_action_required",
  "invoice.payment_failed",
  "invoice.voided",
  "subscription_schedule.updated",
];

/**
 * What besides `HINTS` may tell of a purchase on the marketplace; at most twenty as well. `charge.updated`: a charge that
 * was captured asynchronously gets its balance transaction, its transfer and its fee after it has succeeded.
 */
export const PURCHASE_HINTS: readonly string[] = [
  "application_fee.created",
  "application_fee.refunded",
  "charge.dispute.closed",
  "charge.dispute.created",
  "charge.dispute.funds_reinstated",
  "charge.dispute.funds_withdrawn",
  "charge.dispute.updated",
  "charge.refund.updated",
  "charge.updated",
  "checkout.session.async_payment_failed",
  "checkout.session.expired",
  "refund.created",
  "refund.failed",
  "refund.updated",
  "transfer.created",
  "transfer.reversed",
  "transfer.updated",
];

/** Stripe lists at most twenty types of events at once: reconcile asks for one group after the other. */
export const HINT_GROUPS: readonly (readonly string[])[] = [HINTS, PURCHASE_HINTS];

/** What happens on a connected account. Stripe lists these events only to that account, so no group has them. */
const SELLER_HINTS: readonly string[] = [
  "account.updated",
  "capability.updated",
  "payout.canceled",
  "payout.created",
  "payout.failed",
  "payout.paid",
  "payout.updated",
];

/** Thin events about usage that Stripe took and then did not count. */
const METER_REPORTS: readonly string[] = [
  "v1.billing.meter.error_report_triggered",
  "v1.billing.meter.no_meter_found",
];

/** Thin events about a connected account, which its seller should be fetched after. */
const ACCOUNT_REPORTS: readonly string[] = [
  "v2.core.account.closed",
  "v2.core.account.updated",
  "v2.core.account[configuration.recipient].capability_status_updated",
  "v2.core.account[configuration.recipient].updated",
  "v2.core.account[requirements].updated",
];

/**
 * What Stripe must deliver, and nothing else: by whose event it is, and by its shape. Stripe wants an endpoint for each of the four.
 */
export const DELIVERIES = {
  webhook: HINT_GROUPS.flat(),
  connect: SELLER_HINTS,
  meters: METER_REPORTS,
  accounts: ACCOUNT_REPORTS,
} as const satisfies Record<string, readonly string[]>;

/** By which ids an event names a purchase. Only our rows say whether there is one. */
export interface PurchaseClues {
  /** From metadata or a transfer group, which anybody at the dashboard can write: checked against the row. */
  purchase: string | null;
  session: string | null;
  paymentIntent: string | null;
  charge: string | null;
  subscription: string | null;
}

export function isMeterReport(type: string): boolean {
  return METER_REPORTS.includes(type);
}

/** Bill what was used before this invoice is final: it stays a draft for an hour. */
export function closesUsage(type: string): boolean {
  return type === "invoice.created";
}

/** Whether the customer of an event of this type should be fetched. */
export function hintsAtCustomer(type: string): boolean {
  return HINTS.includes(type);
}

/**
 * The id of the customer an event is about, from any API version's shape: only two fields are ever read. Customers of a
 * connected account are none of ours.
 */
export function customerOf(event: Stripe.Event): string | null {
  const object: unknown = event.data?.object;
  if (!isRecord(object) || connectedAccountOf(event) !== null) return null;
  if (object["object"] === "customer") return textOf(object["id"]);
  return idOf(object["customer"]);
}

/** What an event says of the purchase it may be about; null when it can be about none. */
export function purchaseClues(event: Stripe.Event): PurchaseClues | null {
  const object: unknown = event.data?.object;
  const hints = HINTS.includes(event.type) || PURCHASE_HINTS.includes(event.type);
  if (!hints || !isRecord(object) || connectedAccountOf(event) !== null) return null;
  const clues = cluesOf(object);
  return Object.values(clues).some((clue) => clue !== null) ? clues : null;
}

/** The connected account whose seller should be fetched because of this event. */
export function accountToSync(event: Stripe.Event): string | null {
  return SELLER_HINTS.includes(event.type) ? connectedAccountOf(event) : null;
}

/** The same of a thin event: `v2.core.account.updated`, `v2.core.account[configuration.recipient].updated`, and so on. */
export function thinAccountToSync(
  event: { type: string; related_object?: { id: string } | null | undefined },
): string | null {
  return /^v2\.core\.account[.[]/.test(event.type) ? event.related_object?.id ?? null : null;
}

function connectedAccountOf(event: Stripe.Event): string | null {
  return textOf(event.account);
}

const NO_CLUES: PurchaseClues = {
  purchase: null,
  session: null,
  paymentIntent: null,
  charge: null,
  subscription: null,
};

function cluesOf(object: Record<string, unknown>): PurchaseClues {
  const common = {
    ...NO_CLUES,
    purchase: purchaseIdIn(object["metadata"]),
    paymentIntent: idOf(object["payment_intent"]),
  };
  switch (object["object"]) {
    case "checkout.session":
      return { ...common, session: textOf(object["id"]) };
    case "charge":
      return { ...common, charge: textOf(object["id"]) };
    case "refund":
    case "dispute":
      return { ...common, charge: idOf(object["charge"]) };
    case "application_fee":
      // `charge` is the payment on the connected account; the charge of ours is where the money came from.
      return { ...common, charge: idOf(object["originating_transaction"]) };
    case "transfer": {
      const group = object["transfer_group"];
      return {
        ...common,
        purchase: common.purchase ?? uuidOf(group),
        charge: idOf(object["source_transaction"]),
      };
    }
    case "subscription":
      return { ...common, subscription: textOf(object["id"]) };
    case "invoice":
      return { ...common, ...invoiceClues(object) };
    default:
      return NO_CLUES;
  }
}

function invoiceClues(invoice: Record<string, unknown>): Partial<PurchaseClues> {
  const parent = invoice["parent"];
  const details = isRecord(parent) ? parent["subscription_details"] : null;
  if (!isRecord(details)) return {};
  return {
    purchase: purchaseIdIn(details["metadata"]),
    subscription: idOf(details["subscription"]),
  };
}

function purchaseIdIn(metadata: unknown): string | null {
  return isRecord(metadata) ? uuidOf(metadata["purchase_id"]) : null;
}

/** An id of ours, or null: what others wrote into metadata may be anything. */
export function uuidOf(value: unknown): string | null {
  const isUuid = typeof value === "string" &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
  return isUuid ? value : null;
}

/** The id of what is either an id or an object. */
function idOf(value: unknown): string | null {
  return isRecord(value) ? textOf(value["id"]) : textOf(value);
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
