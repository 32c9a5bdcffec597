import type Stripe from "stripe";
import { AppError } from "./errors.ts";

/** One subscription as the database keeps it. Times are ISO 8601 in UTC, or null where Stripe has none. */
export interface SubscriptionSnapshot {
  id: string;
  status: string;
  price_lookup_key: string | null;
  quantity: number;
  currency: string;
  current_period_start: string;
  current_period_end: string;
  cancel_at: string | null;
  cancel_at_period_end: boolean;
  canceled_at: string | null;
  ended_at: string | null;
  trial_end: string | null;
  created: string;
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
  const licensed = items.filter((item) => item.price?.recurring?.usage_type !== "metered");
  const known = licensed.find((item) => catalogueKeys.has(lookupKeyOf(item.price) ?? ""));
  const item = known ?? licensed[0] ?? items[0];
  if (item === undefined) throw shapeUnknown("items");
  return item;
}

function text(value: unknown, field: string): string {
  if (typeof value !== "string" || value === "") throw shapeUnknown(field);
  return value;
}

function time(value: unknown, field: string): string {
  if (typeof value !== "number" || !Number.isFinite(value)) throw shapeUnknown(field);
  return new Date(value * 1000).toISOString();
}

function timeOrNull(value: unknown, field: string): string | null {
  return value === null || value === undefined ? null : time(value, field);
}

function shapeUnknown(field: string): AppError {
  return new AppError(
    "stripe_shape_unknown",
    `Stripe answered a subscription whose ${field} is not understood.`,
  );
}
