/** The shapes of answers about usage beyond the plan, credits and notices, and what they become. Pure. */

import * as z from "zod/mini";
import { parseTime } from "./dates.ts";
import type { Overage, OveragePrice } from "./overage.ts";
import type { CreditGrant, CreditPack, Notification, NotificationEmails } from "./records.ts";
import type { DayUsage } from "./usage-history.ts";

/** bigint and numeric arrive as a number or, from some servers, as text. */
const count = z.coerce.number();
const time = z.pipe(z.nullish(z.string()), z.transform(parseTime));

export const overageAnswer = z.pipe(
  z.object({
    available: z.boolean(),
    reason: z.nullable(z.string()),
    enabled: z.boolean(),
    attached: z.boolean(),
    cap_minor: z.nullable(count),
    maximum_cap_minor: count,
    currency: z.string(),
    period_start: time,
    period_end: time,
    spent_minor: count,
    projected_minor: count,
    metrics: z.array(z.object({
      metric: z.string(),
      name: z.string(),
      quantity: count,
      unit_amount_minor: z.nullable(count),
      amount_minor: count,
    })),
    credits: z.nullable(
      z.object({ balance_minor: count, currency: z.string(), next_expiry: time }),
    ),
  }),
  z.transform((answer): Overage => ({
    available: answer.available,
    reason: answer.reason,
    enabled: answer.enabled,
    attached: answer.attached,
    capMinor: answer.cap_minor,
    maximumCapMinor: answer.maximum_cap_minor,
    currency: answer.currency,
    periodStart: answer.period_start,
    periodEnd: answer.period_end,
    spentMinor: answer.spent_minor,
    projectedMinor: answer.projected_minor,
    metrics: answer.metrics.map((row) => ({
      metric: row.metric,
      name: row.name,
      quantity: row.quantity,
      unitMinor: row.unit_amount_minor,
      amountMinor: row.amount_minor,
    })),
    credits: answer.credits && {
      balanceMinor: answer.credits.balance_minor,
      currency: answer.credits.currency,
      nextExpiry: answer.credits.next_expiry,
    },
  })),
);

export const historyAnswer = z.array(z.pipe(
  z.object({
    day: z.string(),
    used: count,
    allowance: z.nullable(count),
    overage: count,
    amount_minor: count,
  }),
  z.transform((row): DayUsage => ({
    day: row.day.slice(0, 10),
    used: row.used,
    allowance: row.allowance,
    overage: row.overage,
    amountMinor: row.amount_minor,
  })),
));

export const notificationsAnswer = z.array(z.pipe(
  z.object({
    id: count,
    kind: z.string(),
    title: z.string(),
    body: z.string(),
    created_at: time,
    read_at: time,
  }),
  z.transform((row): Notification => ({
    id: row.id,
    kind: row.kind,
    title: row.title,
    body: row.body,
    createdAt: row.created_at ?? 0,
    isRead: row.read_at !== null,
  })),
));

export const notificationEmailsAnswer = z.pipe(
  z.object({ available: z.boolean(), enabled: z.boolean() }),
  z.transform((answer): NotificationEmails => ({
    isAvailable: answer.available,
    isEnabled: answer.enabled,
  })),
);

export const creditGrantsAnswer = z.array(z.pipe(
  z.object({
    id: z.string(),
    name: z.nullable(z.string()),
    amount_minor: count,
    currency: z.string(),
    stripe_created_at: time,
    effective_at: time,
    expires_at: time,
    voided_at: time,
  }),
  z.transform((row): CreditGrant => ({
    id: row.id,
    name: row.name,
    amountMinor: row.amount_minor,
    currency: row.currency,
    createdAt: row.stripe_created_at ?? 0,
    effectiveAt: row.effective_at,
    expiresAt: row.expires_at,
    voidedAt: row.voided_at,
  })),
));

/** What a pack costs and holds in one currency. */
const packOffer = z.object({ currency: z.string(), price_minor: count, credit_minor: count });

/** Each pack once per currency it is sold in. */
export const creditPacksAnswer = z.pipe(
  z.array(z.extend(packOffer, {
    lookup_key: z.string(),
    name: z.string(),
    expires_days: z.nullable(count),
    credit_pack_currency_options: z.array(packOffer),
  })),
  z.transform((rows): CreditPack[] =>
    rows.flatMap((row) =>
      [row, ...row.credit_pack_currency_options].map((offer) => ({
        lookupKey: row.lookup_key,
        name: row.name,
        currency: offer.currency,
        priceMinor: offer.price_minor,
        creditMinor: offer.credit_minor,
        expiresDays: row.expires_days,
      }))
    )
  ),
);

const overagePriceSchema = z.object({
  lookup_key: z.string(),
  plan_id: z.string(),
  metric_id: z.string(),
  currency: z.string(),
  unit_amount_minor: count,
});

export const overagePricesAnswer = z.array(overagePriceSchema);

type OveragePriceRow = z.infer<typeof overagePriceSchema>;
interface CurrencyOption {
  lookup_key: string;
  currency: string;
  unit_amount_minor: number | null;
}

export function toOveragePrice(row: OveragePriceRow, options: CurrencyOption[]): OveragePrice {
  const others = options
    .filter((option) => option.lookup_key === row.lookup_key)
    .map((option) => [option.currency, option.unit_amount_minor]);
  return {
    metric: row.metric_id,
    currency: row.currency,
    unitMinor: row.unit_amount_minor,
    amounts: Object.fromEntries([...others, [row.currency, row.unit_amount_minor]]),
  };
}
