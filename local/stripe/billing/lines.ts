/** Invoice lines and pending invoice items: what they say and what they cost. */
import {
  type InvoiceItem,
  type InvoiceLine,
  newId,
  type Price,
  type SubscriptionItem,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { amountFor, isMetered, optionOf, tierParts } from "./amounts.ts";

export interface Period {
  start: number;
  end: number;
}

export function money(amount: number, currency: string): string {
  const options = { style: "currency", currency: currency.toUpperCase() } as const;
  const format = new Intl.NumberFormat("en-US", options);
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  const value = amount / 10 ** digits;
  if (Number.isInteger(amount)) return format.format(value);
  // A price can be a fraction of the smallest unit; an amount cannot.
  return new Intl.NumberFormat("en-US", { ...options, maximumFractionDigits: digits + 12 })
    .format(value);
}

export function productName(work: Work, price: Price): string {
  return work.find("product", price.product)?.name ?? "Deleted product";
}

/** `each`: what one costs, when a tier says so and not the price. */
function describe(
  work: Work,
  price: Price,
  quantity: number,
  currency: string,
  each?: { amount: number; tier: number },
): string {
  const { interval, interval_count: count } = price.recurring ??
    { interval: null, interval_count: 1 };
  const per = interval === null
    ? ""
    : count === 1
    ? ` / ${interval}`
    : ` / every ${count} ${interval}s`;
  const unit = each?.amount ??
    Number(optionOf(work, price, currency)?.unit_amount_decimal ?? 0);
  const at = each ? `Tier ${each.tier} at` : "at";
  return `${quantity} × ${productName(work, price)} (${at} ${money(unit, currency)}${per})`;
}

const blank = {
  discount_amounts: [],
  discountable: true,
  discounts: [],
  invoice: null,
  livemode: false,
  metadata: {},
  pretax_credit_amounts: [],
  quantity_decimal: null,
  taxes: [],
};

export function pricingOf(price: Price): NonNullable<InvoiceLine["pricing"]> {
  return {
    type: "price_details",
    price_details: { price: price.id, product: price.product },
    unit_amount_decimal: price.unit_amount_decimal,
  };
}

/** What is billed in advance for one item and one period: nothing for usage; `trial` bills it at nothing. */
export function itemLines(
  work: Work,
  item: SubscriptionItem,
  period: Period,
  currency: string,
  trial = false,
): InvoiceLine[] {
  const { price } = item;
  if (isMetered(price)) return [];
  const quantity = item.quantity ?? 1;
  if (!trial) return pricedLines(work, item, quantity, period, currency);
  const description = `Trial period for ${productName(work, price)}`;
  return [itemLine(item, period, currency, { amount: 0, quantity, description })];
}

/** The lines of a quantity, one for each tier reached. */
export function pricedLines(
  work: Work,
  item: Pick<SubscriptionItem, "id" | "price" | "subscription">,
  quantity: number,
  period: Period,
  currency: string,
): InvoiceLine[] {
  const { price } = item;
  const tiers = optionOf(work, price, currency)?.tiers;
  const parts = tiers ? tierParts(tiers, price.tiers_mode, quantity) : [];
  if (parts.length > 0) {
    return parts.map((part) => {
      const each = { amount: part.each, tier: part.tier };
      const description = describe(work, price, part.quantity, currency, each);
      return itemLine(item, period, currency, { ...part, description });
    });
  }
  const amount = amountFor(work, price, quantity, currency);
  const description = describe(work, price, quantity, currency);
  return [itemLine(item, period, currency, { amount, quantity, description })];
}

function itemLine(
  item: Pick<SubscriptionItem, "id" | "price" | "subscription">,
  period: Period,
  currency: string,
  { amount, quantity, description }: { amount: number; quantity: number; description: string },
): InvoiceLine {
  return {
    ...blank,
    id: newId("il_"),
    object: "line_item",
    amount,
    currency,
    description,
    parent: {
      type: "subscription_item_details",
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: { credited_items: null },
        subscription: item.subscription,
        subscription_item: item.id,
      },
    },
    period,
    pricing: pricingOf(item.price),
    quantity,
    subscription: item.subscription,
    subtotal: amount,
  };
}

/** The line a pending invoice item becomes once an invoice takes it. */
export function lineOf(item: InvoiceItem): InvoiceLine {
  const details = item.parent?.subscription_details ?? null;
  return {
    ...blank,
    id: newId("il_"),
    object: "line_item",
    amount: item.amount,
    currency: item.currency,
    description: item.description,
    discountable: item.discountable,
    metadata: item.metadata ?? {},
    parent: {
      type: "invoice_item_details",
      invoice_item_details: {
        invoice_item: item.id,
        proration: item.proration,
        proration_details: { credited_items: null },
        subscription: details?.subscription ?? null,
      },
      subscription_item_details: null,
    },
    period: item.period,
    pricing: item.pricing,
    quantity: item.quantity,
    subscription: details?.subscription ?? null,
    subtotal: item.amount,
  };
}

export interface ItemSpec {
  customer: string;
  amount: number;
  currency: string;
  description: string | null;
  invoice?: string | null;
  metadata?: Record<string, string>;
  period?: Period;
  price?: Price | null;
  quantity?: number;
  proration?: boolean;
  subscription?: string | null;
  subscription_item?: string;
}

export function createInvoiceItem(work: Work, spec: ItemSpec): InvoiceItem {
  const clock = work.clockOf(spec.customer);
  const now = work.now(clock);
  const quantity = spec.quantity ?? 1;
  const item: InvoiceItem = {
    id: newId("ii_"),
    object: "invoiceitem",
    amount: spec.amount,
    currency: spec.currency,
    customer: spec.customer,
    customer_account: null,
    date: now,
    description: spec.description,
    discountable: !spec.proration,
    discounts: [],
    invoice: spec.invoice ?? null,
    livemode: false,
    metadata: spec.metadata ?? {},
    parent: spec.subscription
      ? {
        type: "subscription_details",
        subscription_details: {
          subscription: spec.subscription,
          ...(spec.subscription_item ? { subscription_item: spec.subscription_item } : {}),
        },
      }
      : null,
    period: spec.period ?? { start: now, end: now },
    pricing: spec.price
      ? pricingOf(spec.price)
      : { type: "price_details", unit_amount_decimal: String(Math.trunc(spec.amount / quantity)) },
    proration: spec.proration ?? false,
    quantity,
    quantity_decimal: String(quantity),
    tax_rates: [],
    test_clock: clock === "" ? null : clock,
  };
  return work.create("invoiceitem", item, {}, { clock, event: "invoiceitem.created" });
}
