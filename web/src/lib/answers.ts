/**
 * The shapes in which the server answers, and how they become the client's own (times in milliseconds,
 * camelCase). Pure.
 */

import * as z from "zod/mini";
import { parseTime } from "./dates.ts";
import type { Preview } from "./plan-change.ts";
import type { Price, TierTable } from "./plans.ts";
import type { Invoice, Message } from "./records.ts";
import type { Entitlements } from "./subscription.ts";

/** bigint arrives as a number or, from some servers, as text. */
const count = z.coerce.number();
const time = z.pipe(z.nullish(z.string()), z.transform(parseTime));
const text = z.pipe(z.nullish(z.string()), z.transform((value) => value || null));
/** An address to link to: of the web or not at all, whatever the row says. */
const link = z.pipe(
  z.nullish(z.string()),
  z.transform((value) => value && /^https?:\/\//.test(value) ? value : null),
);

// ---------------------------------------------------------------------------------------------------
// Entitlements and usage

const entitlementsSchema = z.object({
  plan: z.object({ id: z.string(), name: z.string(), rank: count }),
  source: z.string(),
  status: z.nullable(z.string()),
  features: z.array(z.string()),
  limits: z.record(z.string(), z.nullable(count)),
  subscription: z.nullable(z.object({
    id: z.string(),
    status: z.string(),
    price_lookup_key: z.nullable(z.string()),
    quantity: z.nullable(count),
    current_period_end: time,
    ends_at: time,
    trial_end: time,
  })),
  grace_ends_at: time,
  payment_problem: z.nullable(z.object({ status: z.string(), hosted_invoice_url: link })),
  pending_change: z.nullable(z.object({ lookup_key: z.string(), at: time })),
  grant: z.nullable(z.object({ ends_at: time })),
});

export const entitlementsAnswer = z.pipe(
  entitlementsSchema,
  z.transform(
    ({ subscription, grace_ends_at, payment_problem, pending_change, grant, ...rest }) => ({
      ...rest,
      subscription: subscription && {
        id: subscription.id,
        status: subscription.status,
        priceLookupKey: subscription.price_lookup_key,
        quantity: subscription.quantity,
        currentPeriodEnd: subscription.current_period_end,
        endsAt: subscription.ends_at,
        trialEnd: subscription.trial_end,
      },
      graceEndsAt: grace_ends_at,
      paymentProblem: payment_problem && {
        status: payment_problem.status,
        invoiceUrl: payment_problem.hosted_invoice_url,
      },
      pendingChange: pending_change && {
        lookupKey: pending_change.lookup_key,
        at: pending_change.at,
      },
      grant: grant && { endsAt: grant.ends_at },
    } satisfies Entitlements),
  ),
);

export const usageAnswer = z.array(z.object({
  metric: z.string(),
  used: count,
  limit_value: z.nullable(count),
  resets_at: time,
  plan: z.string(),
}));

// ---------------------------------------------------------------------------------------------------
// Money

/** Checkout and the portal live at Stripe, or at the sandbox: any web address, nothing else. */
export const redirectAnswer = z.object({ url: z.url({ protocol: /^https?$/ }) });

const effect = { kind: z.enum(["now", "at_period_end"]), effective_at: time };

export const previewAnswer = z.pipe(
  z.object({
    ...effect,
    proration_date: count,
    currency: z.string(),
    amount_due_now_minor: count,
    lines: z.array(
      z.object({ description: z.string(), amount_minor: count, proration: z.boolean() }),
    ),
    next_amount_minor: z.nullable(count),
    next_payment_at: time,
    from: z.object({ lookup_key: z.nullable(z.string()) }),
    to: z.object({ lookup_key: z.string() }),
  }),
  z.transform((answer): Preview => ({
    kind: answer.kind,
    effectiveAt: answer.effective_at,
    prorationDate: answer.proration_date,
    currency: answer.currency,
    dueNowMinor: answer.amount_due_now_minor,
    lines: answer.lines.map(({ description, amount_minor, proration }) => ({
      description,
      amountMinor: amount_minor,
      proration,
    })),
    nextAmountMinor: answer.next_amount_minor,
    nextPaymentAt: answer.next_payment_at,
    fromLookupKey: answer.from.lookup_key,
    toLookupKey: answer.to.lookup_key,
  })),
);

export const changeAnswer = z.object({
  ...effect,
  outcome: z.enum(["done", "payment_required"]),
  payment_url: link,
  entitlements: entitlementsAnswer,
});

export const entitledAnswer = z.object({ entitlements: entitlementsAnswer });

export const invoicesAnswer = z.array(z.pipe(
  z.object({
    id: z.string(),
    number: text,
    status: text,
    currency: z.string(),
    total_minor: count,
    amount_due_minor: count,
    amount_paid_minor: count,
    hosted_invoice_url: link,
    invoice_pdf: link,
    stripe_created_at: z.string(),
  }),
  z.transform((row): Invoice => ({
    id: row.id,
    number: row.number,
    status: row.status ?? "draft",
    currency: row.currency,
    totalMinor: row.total_minor,
    dueMinor: row.amount_due_minor,
    paidMinor: row.amount_paid_minor,
    hostedUrl: row.hosted_invoice_url,
    pdfUrl: row.invoice_pdf,
    createdAt: row.stripe_created_at,
  })),
));

// ---------------------------------------------------------------------------------------------------
// Prices

const tiersSchema = z.array(z.object({
  up_to: z.nullable(count),
  unit_amount_minor: count,
  flat_amount_minor: count,
}));

const priceSchema = z.object({
  lookup_key: z.string(),
  plan_id: z.string(),
  currency: z.string(),
  unit_amount_minor: z.nullable(count),
  billing_interval: z.enum(["month", "year"]),
  is_active: z.boolean(),
  trial_days: count,
  tiers_mode: z.nullable(z.string()),
  tiers: z.nullable(tiersSchema),
});

export const pricesAnswer = z.array(priceSchema);
export const currencyOptionsAnswer = z.array(
  z.object({ lookup_key: z.string(), currency: z.string(), unit_amount_minor: count }),
);

type PriceRow = z.infer<typeof priceSchema>;
type CurrencyOption = z.infer<typeof currencyOptionsAnswer>[number];

/** A price as the pages show it; null for one that cannot be bought or is not understood. */
export function toPrice(row: PriceRow, options: CurrencyOption[]): Price | null {
  const tiers = toTiers(row);
  if (!row.is_active || (row.unit_amount_minor === null && tiers === null)) return null;
  const others = options
    .filter((option) => option.lookup_key === row.lookup_key)
    .map((option) => [option.currency, option.unit_amount_minor]);
  const amountMinor = row.unit_amount_minor ?? 0;
  return {
    lookupKey: row.lookup_key,
    planId: row.plan_id,
    currency: row.currency,
    amountMinor,
    interval: row.billing_interval,
    trialDays: row.trial_days,
    tiers,
    ownCurrency: row.currency,
    // Tiers are told in the price's own currency only; another one would show a wrong amount.
    amounts: tiers ? {} : Object.fromEntries([...others, [row.currency, amountMinor]]),
  };
}

function toTiers({ tiers, tiers_mode }: PriceRow): TierTable | null {
  if (!tiers?.length || (tiers_mode !== "graduated" && tiers_mode !== "volume")) return null;
  return {
    mode: tiers_mode,
    tiers: tiers.map((tier) => ({
      upTo: tier.up_to,
      unitAmountMinor: tier.unit_amount_minor,
      flatAmountMinor: tier.flat_amount_minor,
    })),
  };
}

// ---------------------------------------------------------------------------------------------------
// Messages

export const messageAnswer = z.object({
  id: z.string(),
  conversation_id: z.string(),
  role: z.string(),
  content: z.string(),
  reply_to: z.nullable(z.string()),
  created_at: z.string(),
});

export function toMessage(row: z.infer<typeof messageAnswer>): Message {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    role: row.role === "assistant" ? "assistant" : "user",
    content: row.content,
    replyTo: row.reply_to,
    createdAt: row.created_at,
  };
}
