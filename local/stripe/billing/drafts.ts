/** Draft invoices: new ones, their lines and their totals. */
import { listOf } from "../engine/answer.ts";
import { type Invoice, type InvoiceItem, type InvoiceLine, newId } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { discountLines, discountsFor } from "./discounts.ts";
import { lineOf } from "./lines.ts";
import { invoiceTaxSwitch, taxLines } from "./tax.ts";

/** Stripe waits about an hour between creating a renewal's invoice and finalizing it. */
export const DRAFT_LIFETIME = 3600;

export interface InvoiceSpec {
  customer: string;
  currency: string;
  reason: Invoice["billing_reason"];
  lines: InvoiceLine[];
  subscription?: string | null;
  auto_advance: boolean;
  /** Without it as the subscription has it. */
  automatic_tax?: boolean;
  /** When the scheduler finalizes the draft; null = only by request. */
  finalizes_at?: number | null;
  collection_method?: Invoice["collection_method"];
  days_until_due?: number | null;
  default_payment_method?: string | null;
  description?: string | null;
  /** Ids; without them the subscription's count, or the customer's. */
  discounts?: string[];
  footer?: string | null;
  metadata?: Record<string, string>;
  period?: { start: number; end: number };
}

export function createInvoice(work: Work, spec: InvoiceSpec): Invoice {
  const customer = work.require("customer", spec.customer, "customer");
  const clock = work.clockOf(customer.id);
  const now = work.now(clock);
  const id = newId("in_");
  const collection_method = spec.collection_method ?? "charge_automatically";
  const sub = spec.subscription ? work.require("subscription", spec.subscription) : null;
  const invoice: Invoice = {
    id,
    object: "invoice",
    account_country: "US",
    account_name: work.settings.merchantName,
    account_tax_ids: null,
    amount_due: 0,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: 0,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: spec.auto_advance,
    automatic_tax: invoiceTaxSwitch(spec.automatic_tax ?? sub?.automatic_tax.enabled ?? false),
    automatically_finalizes_at: spec.auto_advance ? spec.finalizes_at ?? null : null,
    billing_reason: spec.reason,
    collection_method,
    created: now,
    currency: spec.currency,
    custom_fields: null,
    customer: customer.id,
    customer_account: null,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: customer.shipping,
    customer_tax_exempt: customer.tax_exempt ?? "none",
    customer_tax_ids: [],
    default_payment_method: spec.default_payment_method ?? null,
    default_source: null,
    default_tax_rates: [],
    description: spec.description ?? null,
    discounts: spec.discounts ?? discountsFor(work, customer.id, sub),
    due_date: collection_method === "send_invoice"
      ? now + (spec.days_until_due ?? 30) * 86_400
      : null,
    effective_at: null,
    ending_balance: null,
    footer: spec.footer ?? null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    lines: listOf([], `/v1/invoices/${id}/lines`),
    livemode: false,
    metadata: spec.metadata ?? {},
    next_payment_attempt: null,
    number: null,
    on_behalf_of: null,
    parent: sub
      ? {
        type: "subscription_details",
        quote_details: null,
        subscription_details: { metadata: sub.metadata, subscription: sub.id },
      }
      : null,
    payment_settings: {
      default_mandate: null,
      payment_method_options: null,
      payment_method_types: null,
    },
    period_end: spec.period?.end ?? now,
    period_start: spec.period?.start ?? now,
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: 0,
    statement_descriptor: null,
    status: "draft",
    status_transitions: {
      finalized_at: null,
      marked_uncollectible_at: null,
      paid_at: null,
      voided_at: null,
    },
    subtotal: 0,
    subtotal_excluding_tax: 0,
    test_clock: clock === "" ? null : clock,
    total: 0,
    total_discount_amounts: [],
    total_excluding_tax: 0,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: null,
  };
  Object.assign(invoice, totals(work, invoice, spec.lines));
  const hidden = { payment_intent: null, subscription: sub?.id ?? null, retries: 0 };
  return work.create("invoice", invoice, hidden, { clock, event: "invoice.created" });
}

/** Lines and the amounts that follow from them, for a draft. */
export function totals(work: Work, invoice: Invoice, lines: InvoiceLine[]): Partial<Invoice> {
  const ids = invoice.discounts.filter((id) => typeof id === "string");
  const discounted = discountLines(work, lines, ids, invoice.currency);
  const owned = discounted.lines.map((line) => ({
    ...line,
    invoice: invoice.id,
    pretax_credit_amounts: [...(line.discount_amounts ?? []).map(asPretax), ...creditsOf(line)],
  }));
  const taxed = taxLines(work, invoice, owned);
  const subtotal = owned.reduce((sum, line) => sum + line.amount, 0);
  const { total_discount_amounts } = discounted;
  const total_pretax_credit_amounts = [
    ...total_discount_amounts.map(asPretax),
    ...owned.flatMap(creditsOf),
  ];
  const net = total_pretax_credit_amounts.reduce((sum, each) => sum - each.amount, subtotal);
  const total = net + taxed.exclusive;
  return {
    ...taxed.patch,
    amount_due: Math.max(0, total),
    amount_remaining: Math.max(0, total),
    lines: listOf(taxed.lines, invoice.lines.url),
    subtotal,
    total,
    total_discount_amounts,
    total_excluding_tax: total - taxed.all,
    total_pretax_credit_amounts,
  };
}

const asPretax = ({ amount, discount }: { amount: number; discount: string }) => ({
  amount,
  discount,
  type: "discount" as const,
});

/** The billing credits on a line. */
const creditsOf = (line: InvoiceLine) =>
  (line.pretax_credit_amounts ?? []).filter((each) => each.type === "credit_balance_transaction");

/** The pending items that the next invoice of a subscription (or, without one, of the customer) takes along. */
export function pendingItems(
  work: Work,
  { customer, currency, id }: { customer: string | null; currency: string; id: string | null },
): InvoiceItem[] {
  return work.store.all("invoiceitem", { customer, invoice: null })
    .filter((item) => item.currency === currency)
    .filter((item) => {
      const owner = item.parent?.subscription_details?.subscription ?? null;
      return owner === null || owner === id;
    });
}

/** Pending items this invoice shall take: their lines, once `invoice` is known. */
export function takePendingItems(
  work: Work,
  invoice: Invoice,
  subscription: string | null,
): Invoice {
  const pending = pendingItems(work, { ...invoice, id: subscription });
  if (pending.length === 0) return invoice;
  for (const item of pending) work.change("invoiceitem", item.id, { invoice: invoice.id });
  const lines = [...pending.map(lineOf), ...invoice.lines.data];
  return work.change("invoice", invoice.id, totals(work, invoice, lines), "invoice.updated");
}
