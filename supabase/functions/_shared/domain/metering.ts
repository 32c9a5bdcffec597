import type Stripe from "stripe";
import { amount, text, time, timeOrNull } from "./fields.ts";

/** A metered item of a subscription as the database keeps it; the unit amount is decimal text in minor units. */
export interface MeteredItemSnapshot {
  id: string;
  subscription_id: string;
  price_lookup_key: string | null;
  currency: string;
  unit_amount_minor: string | null;
  period_start: string;
  period_end: string;
}

export interface CreditGrantSnapshot {
  id: string;
  amount_minor: number;
  currency: string;
  category: string;
  name: string | null;
  effective_at: string | null;
  expires_at: string | null;
  voided_at: string | null;
  created: string;
}

export interface CreditBalanceSnapshot {
  currency: string;
  balance_minor: number;
}

/** What a customer may use beyond their plan, and what they have prepaid. */
export interface MeteringSnapshot {
  metered_items: MeteredItemSnapshot[];
  credit_grants: CreditGrantSnapshot[];
  credit_balances: CreditBalanceSnapshot[];
}

export function isMetered(item: Pick<Stripe.SubscriptionItem, "price">): boolean {
  return item.price?.recurring?.usage_type === "metered";
}

/**
 * Translates a metered item (API 2026-10-28.endive). `unitAmount` is what its price says in the subscription's currency,
 * null for tiers and packages, which the database then reports instead of guessing.
 */
export function toMeteredItem(
  subscription: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
  unitAmount: string | null,
): MeteredItemSnapshot {
  return {
    id: text(item.id, "items.id"),
    subscription_id: subscription.id,
    price_lookup_key: item.price.lookup_key ?? item.price.metadata?.["lookup_key"] ?? null,
    currency: subscription.currency,
    unit_amount_minor: unitAmount,
    period_start: time(item.current_period_start, "items.current_period_start"),
    period_end: time(item.current_period_end, "items.current_period_end"),
  };
}

/** Only money can be granted here; a grant of custom units is none of ours. */
export function toCreditGrant(grant: Stripe.Billing.CreditGrant): CreditGrantSnapshot[] {
  const { monetary } = grant.amount;
  if (!monetary) return [];
  return [{
    id: grant.id,
    amount_minor: amount(monetary.value, "credit_grant.amount"),
    currency: monetary.currency,
    category: grant.category,
    name: grant.name,
    effective_at: timeOrNull(grant.effective_at, "credit_grant.effective_at"),
    expires_at: timeOrNull(grant.expires_at, "credit_grant.expires_at"),
    voided_at: timeOrNull(grant.voided_at, "credit_grant.voided_at"),
    created: time(grant.created, "credit_grant.created"),
  }];
}

export function toCreditBalances(
  summary: Stripe.Billing.CreditBalanceSummary,
): CreditBalanceSnapshot[] {
  return summary.balances.flatMap(({ available_balance: { monetary } }) =>
    monetary
      ? [{ currency: monetary.currency, balance_minor: amount(monetary.value, "credit_balance") }]
      : []
  );
}
