import type Stripe from "stripe";
import { amount, shapeUnknown, text, time, timeOrNull } from "./fields.ts";
import { isMetered, type MeteringSnapshot } from "./metering.ts";

/** One subscription as the database keeps it. Times are ISO 8601 in UTC, or null where Stripe has none. */
export interface SubscriptionSnapshot {
  id: string;
  status: string;
  price_lookup_key: string | null;
  quantity: number;
  currency: string;
  current_period_start: string | null;
  current_period_end: string | null;
  cancel_at: string | null;
  cancel_at_period_end: boolean;
  canceled_at: string | null;
  ended_at: string | null;
  trial_end: string | null;
  created: string | null;
  pending_price_lookup_key: string | null;
  pending_change_at: string | null;
}

/** One finalized invoice as the database keeps it; amounts in the smallest unit of its currency. */
export interface InvoiceSnapshot {
  id: string;
  subscription_id: string | null;
  number: string | null;
  status: string;
  currency: string;
  total_minor: number;
  amount_due_minor: number;
  amount_paid_minor: number;
  period_start: string | null;
  period_end: string | null;
  hosted_invoice_url: string | null;
  invoice_pdf: string | null;
  created: string;
}

/** Everything we keep of a customer, whole: what is not in these lists does not exist. */
export interface CustomerSnapshot extends MeteringSnapshot {
  subscriptions: SubscriptionSnapshot[];
  invoices: InvoiceSnapshot[];
}

/** What a schedule will change a subscription to, and when (Unix seconds). */
export interface PendingChange {
  price: string;
  lookupKey: string | null;
  at: number;
}

/** Statuses after which Stripe never bills a subscription again. */
const ENDED_STATUSES: readonly string[] = ["canceled", "incomplete_expired"];

/** True for every status that may still bill, a status of tomorrow included: when in doubt there is no second checkout. */
export function mayStillBill(status: string): boolean {
  return !ENDED_STATUSES.includes(status);
}

/**
 * Translates Stripe's subscription (API 2026-10-28.endive) into a row.
 *
 * The billing period lives on the items, and items may have different periods, so everything is read from the one item
 * that sells a plan. Throws `stripe_shape_unknown` when a field that decides access is missing: code written for another
 * API version must fail loudly instead of writing nulls.
 */
export function toSnapshot(
  subscription: Stripe.Subscription,
  catalogueKeys: ReadonlySet<string>,
  pending: PendingChange | null = null,
): SubscriptionSnapshot {
  const item = planItem(subscription, catalogueKeys);
  return {
    id: text(subscription.id, "id"),
    status: text(subscription.status, "status"),
    price_lookup_key: lookupKeyOf(item.price),
    quantity: item.quantity ?? 1,
    currency: text(subscription.currency, "currency"),
    current_period_start: time(item.current_period_start, "items.current_period_start"),
    current_period_end: time(item.current_period_end, "items.current_period_end"),
    cancel_at: timeOrNull(subscription.cancel_at, "cancel_at"),
    cancel_at_period_end: subscription.cancel_at_period_end === true,
    canceled_at: timeOrNull(subscription.canceled_at, "canceled_at"),
    ended_at: timeOrNull(subscription.ended_at, "ended_at"),
    trial_end: timeOrNull(subscription.trial_end, "trial_end"),
    created: time(subscription.created, "created"),
    pending_price_lookup_key: pending?.lookupKey ?? null,
    pending_change_at: pending === null ? null : time(pending.at, "schedule.phases.start_date"),
  };
}

/**
 * The row of a subscription that `toSnapshot` cannot read. Its status is none that gives access and none that has ended: who
 * has it is on the default plan and cannot buy a second one, and everybody can see that something is wrong.
 */
export function notUnderstood(id: string): SubscriptionSnapshot {
  return {
    id,
    status: "not_understood",
    price_lookup_key: null,
    quantity: 1,
    // ISO 4217 for "no currency".
    currency: "xxx",
    current_period_start: null,
    current_period_end: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    trial_end: null,
    created: null,
    pending_price_lookup_key: null,
    pending_change_at: null,
  };
}

/**
 * The next phase of the schedule that manages a subscription (`expand: ["data.schedule"]`), or null when there is none or
 * it keeps the price. Our own schedules carry the lookup key in the phase's metadata; one made in the portal or the
 * dashboard names only the price.
 */
export function pendingChange(subscription: Stripe.Subscription): PendingChange | null {
  const schedule = subscription.schedule;
  if (typeof schedule !== "object" || schedule === null || schedule.status !== "active") {
    return null;
  }
  const end = schedule.current_phase?.end_date;
  const next = schedule.phases.find((phase) => end !== undefined && phase.start_date >= end);
  const present = new Set(subscription.items.data.map((item) => item.price.id));
  // Plans come first in our phases, before their metered prices.
  const price = next?.items.map((item) => idOf(item.price)).find((id) => !present.has(id));
  if (next === undefined || price === undefined) return null;
  return { price, lookupKey: next.metadata?.["lookup_key"] ?? null, at: next.start_date };
}

/** Translates Stripe's invoice (API 2026-10-28.endive) into a row. Throws `stripe_shape_unknown` like `toSnapshot`. */
export function toInvoice(invoice: Stripe.Invoice): InvoiceSnapshot {
  const of = invoice.parent?.subscription_details?.subscription;
  return {
    id: text(invoice.id, "invoice.id"),
    subscription_id: of ? idOf(of) : null,
    number: invoice.number ?? null,
    status: text(invoice.status, "invoice.status"),
    currency: text(invoice.currency, "invoice.currency"),
    total_minor: amount(invoice.total, "invoice.total"),
    amount_due_minor: amount(invoice.amount_due, "invoice.amount_due"),
    amount_paid_minor: amount(invoice.amount_paid, "invoice.amount_paid"),
    period_start: timeOrNull(invoice.period_start, "invoice.period_start"),
    period_end: timeOrNull(invoice.period_end, "invoice.period_end"),
    hosted_invoice_url: invoice.hosted_invoice_url ?? null,
    invoice_pdf: invoice.invoice_pdf ?? null,
    created: time(invoice.created, "invoice.created"),
  };
}

/**
 * The lookup key under which a price was sold. Moving a lookup key to a new price takes it from the old one, whose
 * subscribers keep what they bought: the key is therefore also kept in the price's metadata by whoever makes the prices.
 */
export function lookupKeyOf(price: Pick<Stripe.Price, "lookup_key" | "metadata">): string | null {
  return price.lookup_key ?? price.metadata?.["lookup_key"] ?? null;
}

function planItem(
  subscription: Stripe.Subscription,
  catalogueKeys: ReadonlySet<string>,
): Stripe.SubscriptionItem {
  const items = subscription.items?.data;
  if (!Array.isArray(items)) throw shapeUnknown("items");
  const licensed = items.filter((item) => !isMetered(item));
  const known = licensed.find((item) => catalogueKeys.has(lookupKeyOf(item.price) ?? ""));
  const item = known ?? licensed[0] ?? items[0];
  if (item === undefined) throw shapeUnknown("items");
  return item;
}

function idOf(value: string | { id: string }): string {
  return typeof value === "string" ? value : value.id;
}
