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

/** Thin events about usage that Stripe took and then did not count. */
const METER_REPORTS: readonly string[] = [
  "v1.billing.meter.error_report_triggered",
  "v1.billing.meter.no_meter_found",
];

export function isMeterReport(type: string): boolean {
  return METER_REPORTS.includes(type);
}

/** Bill what was used before this invoice is final: it stays a draft for an hour. */
export function closesUsage(type: string): boolean {
  return type === "invoice.created";
}

/** The customer whose present state should be fetched because of this event, or null when it tells us nothing. */
export function customerToSync(event: Stripe.Event): string | null {
  return HINTS.includes(event.type) ? customerOf(event) : null;
}

/** The id of the customer an event is about, from any API version's shape: only two fields are ever read. */
export function customerOf(event: Stripe.Event): string | null {
  const object: unknown = event.data?.object;
  if (!isRecord(object)) return null;
  if (object["object"] === "customer") return idOf(object["id"]);
  const customer = object["customer"];
  return isRecord(customer) ? idOf(customer["id"]) : idOf(customer);
}

function idOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
