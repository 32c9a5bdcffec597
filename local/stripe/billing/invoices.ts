/** An invoice's life: draft → open → paid, void or uncollectible, and the payment between. */
import { invalid } from "../engine/errors.ts";
import {
  type ConnectSpec,
  type Invoice,
  newId,
  type PaymentIntent,
  type PaymentMethod,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { capabilityOf } from "./accounts.ts";
import { applyCredits, reinstateCredits } from "./credits.ts";
import { useUp } from "./discounts.ts";
import { totals } from "./drafts.ts";
import { createIntent } from "./intents.ts";
import { recounted } from "./metered.ts";
import { cardError } from "./methods.ts";
import { confirmPayment } from "./payments.ts";
import { onInvoiceFailed, onInvoicePaid, onInvoiceVoided, subscriptionOf } from "./status.ts";
import { invoiceTaxSwitch, taxSwitch } from "./tax.ts";

const DAY = 86_400;

export function finalize(work: Work, id: string, quiet = false): Invoice {
  const found = work.require("invoice", id);
  if (found.status !== "draft") {
    throw invalid(
      "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
      undefined,
      "invoice_not_editable",
    );
  }
  const lines = recounted(work, found);
  const counted = lines ? work.change("invoice", id, totals(work, found, lines)) : found;
  const credited = applyCredits(work, counted);
  const billed = credited ? work.change("invoice", id, totals(work, counted, credited)) : counted;
  const draft = billed.automatic_tax.enabled ? settleTax(work, billed, quiet) : billed;
  const customer = work.require("customer", draft.customer ?? "");
  const clock = draft.test_clock ?? "";
  const now = work.now(clock);
  const sequence = customer.next_invoice_sequence ?? 1;
  const balance = applyBalance(draft.total, customer.balance);
  work.change("customer", customer.id, {
    next_invoice_sequence: sequence + 1,
    balance: balance.after,
  }, balance.after === customer.balance ? undefined : "customer.updated");
  const open = work.change("invoice", id, {
    amount_due: balance.due,
    amount_remaining: balance.due,
    automatically_finalizes_at: null,
    effective_at: now,
    ending_balance: balance.after,
    hosted_invoice_url: `${work.settings.publicUrl}/i/${id}`,
    number: `${customer.invoice_prefix}-${String(sequence).padStart(4, "0")}`,
    starting_balance: customer.balance,
    status: "open",
    status_transitions: { ...draft.status_transitions, finalized_at: now },
  }, "invoice.finalized");
  useUp(work, open.total_discount_amounts ?? [], quiet);
  if (open.amount_due === 0) return markPaid(work, open, null, quiet);
  if (open.collection_method !== "charge_automatically") return open;
  openPayment(work, open);
  return open;
}

/**
 * Tax is what it is at finalization. Without a place to compute it for, the invoice goes out without tax and neither it
 * nor its subscription computes any more. https://docs.stripe.com/tax/customer-locations#finalize
 */
function settleTax(work: Work, draft: Invoice, quiet: boolean): Invoice {
  const fresh = work.change("invoice", draft.id, totals(work, draft, draft.lines.data));
  if (fresh.automatic_tax.status !== "requires_location_inputs") return fresh;
  const sub = subscriptionOf(draft);
  if (sub) {
    const disabled_reason = "requires_location_inputs" as const;
    const event = quiet ? undefined : "customer.subscription.updated";
    const automatic_tax = { ...taxSwitch(false), disabled_reason };
    work.change("subscription", sub, { automatic_tax }, event);
  }
  const disabled_reason = "finalization_requires_location_inputs" as const;
  return work.change("invoice", draft.id, {
    automatic_tax: { ...invoiceTaxSwitch(false), disabled_reason },
  });
}

/** A negative balance is credit and lowers what is due; a negative total becomes credit. */
function applyBalance(total: number, balance: number): { due: number; after: number } {
  const owed = total + balance;
  if (total < 0) return { due: 0, after: owed };
  return owed >= 0 ? { due: owed, after: 0 } : { due: 0, after: owed };
}

function openPayment(work: Work, invoice: Invoice): PaymentIntent {
  const sub = subscriptionOf(invoice);
  const intent = createIntent(work, {
    ...shareOf(work, invoice),
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer: invoice.customer,
    description: sub && invoice.billing_reason === "subscription_create"
      ? "Subscription creation"
      : sub
      ? "Subscription update"
      : null,
    invoice: invoice.id,
    setup_future_usage: sub ? "off_session" : null,
  });
  const clock = invoice.test_clock ?? "";
  work.changeHidden("invoice", invoice.id, { payment_intent: intent.id });
  work.create(
    "invoice_payment",
    {
      id: newId("inpay_"),
      object: "invoice_payment",
      amount_paid: null,
      amount_requested: invoice.amount_due,
      created: work.now(clock),
      currency: invoice.currency,
      invoice: invoice.id,
      is_default: true,
      livemode: false,
      payment: { type: "payment_intent", payment_intent: intent.id },
      status: "open",
      status_transitions: { canceled_at: null, paid_at: null },
    },
    {},
    { clock },
  );
  return intent;
}

/** What of it goes to the connected account of its subscription, as the subscription stands when the payment is made. */
function shareOf(work: Work, invoice: Invoice): ConnectSpec {
  const id = subscriptionOf(invoice);
  const sub = id ? work.find("subscription", id) : null;
  if (!sub?.transfer_data) return {};
  const { destination, amount_percent } = sub.transfer_data;
  const part = (percent: number) => Math.round((invoice.amount_due * percent) / 100);
  const fee = part(sub.application_fee_percent ?? 0);
  return {
    application_fee_amount: fee > 0 ? fee : null,
    transfer_data: {
      destination,
      ...(amount_percent == null ? {} : { amount: part(amount_percent) }),
    },
  };
}

/** Its money cannot go where it should: the attempt fails before any bank is asked. */
function isStuck(work: Work, intent: string): boolean {
  const { transfer_data } = work.require("payment_intent", intent);
  const to = transfer_data ? work.store.find("v2.core.account", transfer_data.destination) : null;
  return transfer_data !== null && transfer_data !== undefined &&
    (!to || to.closed === true || capabilityOf(to)?.status !== "active");
}

/** The method an automatic charge uses: the invoice's, the subscription's, the customer's; null when there is none. */
export function defaultMethod(work: Work, invoice: Invoice): PaymentMethod | null {
  const sub = subscriptionOf(invoice);
  const customer = invoice.customer ? work.find("customer", invoice.customer) : null;
  const id = invoice.default_payment_method ??
    (sub ? work.find("subscription", sub)?.default_payment_method : null) ??
    customer?.invoice_settings.default_payment_method ?? null;
  return id === null ? null : work.find("payment_method", id);
}

export interface Payment {
  method?: PaymentMethod | null;
  approved?: boolean;
  quiet?: boolean;
  /** Counted as one of the automatic retries. */
  automatic?: boolean;
}

export type PaymentOutcome = "paid" | "requires_action" | "failed" | "no_method";

/** One attempt to collect an open invoice; its events and the subscription's state follow the outcome. */
export function attemptPayment(work: Work, id: string, by: Payment = {}): PaymentOutcome {
  const invoice = work.require("invoice", id);
  if (invoice.status !== "open" && invoice.status !== "uncollectible") return "paid";
  const method = by.method ?? defaultMethod(work, invoice);
  const quiet = by.quiet ?? false;
  if (!method) {
    failed(work, invoice, by.automatic ?? false, quiet);
    return "no_method";
  }
  const known = work.hidden("invoice", id).payment_intent ?? openPayment(work, invoice).id;
  if (isStuck(work, known)) {
    failed(work, invoice, by.automatic ?? false, quiet);
    return "failed";
  }
  const intent = confirmPayment(work, known, {
    method,
    approved: by.approved,
  });
  if (intent.status === "succeeded") {
    markPaid(work, invoice, intent, quiet);
    return "paid";
  }
  failed(work, invoice, by.automatic ?? false, quiet);
  if (intent.status !== "requires_action") return "failed";
  work.emit("invoice.payment_action_required", work.require("invoice", id));
  return "requires_action";
}

export function markPaid(
  work: Work,
  invoice: Invoice,
  intent: PaymentIntent | null,
  quiet = false,
  outOfBand = false,
): Invoice {
  const now = work.now(invoice.test_clock ?? "");
  const paid = work.change("invoice", invoice.id, {
    amount_paid: intent || outOfBand ? invoice.amount_due : 0,
    amount_remaining: 0,
    attempt_count: invoice.attempt_count + (intent ? 1 : 0),
    attempted: true,
    auto_advance: false,
    next_payment_attempt: null,
    status: "paid",
    status_transitions: { ...invoice.status_transitions, paid_at: now },
  });
  for (const payment of work.store.all("invoice_payment", { invoice: invoice.id })) {
    work.change("invoice_payment", payment.id, {
      amount_paid: outOfBand ? null : invoice.amount_due,
      status: outOfBand ? "canceled" : "paid",
      status_transitions: outOfBand
        ? { canceled_at: now, paid_at: null }
        : { canceled_at: null, paid_at: now },
    }, outOfBand ? undefined : "invoice_payment.paid");
  }
  if (invoice.customer) {
    work.change("customer", invoice.customer, { delinquent: false }, "customer.updated");
  }
  work.emit("invoice.paid", paid);
  work.emit("invoice.payment_succeeded", paid);
  onInvoicePaid(work, paid, quiet);
  return paid;
}

function failed(work: Work, invoice: Invoice, automatic: boolean, quiet: boolean): void {
  const now = work.now(invoice.test_clock ?? "");
  const { retries } = work.hidden("invoice", invoice.id);
  const firstAutomatic = invoice.billing_reason !== "subscription_create" &&
    invoice.auto_advance !== false;
  const days = work.settings.dunningDays[retries];
  let next = invoice.next_payment_attempt;
  if (automatic && firstAutomatic) {
    next = days === undefined ? null : now + days * DAY;
    work.changeHidden("invoice", invoice.id, { retries: retries + 1 });
  }
  const updated = work.change("invoice", invoice.id, {
    attempt_count: invoice.attempt_count + 1,
    attempted: true,
    next_payment_attempt: next,
  });
  if (invoice.customer) {
    work.change("customer", invoice.customer, { delinquent: true }, "customer.updated");
  }
  work.emit("invoice.payment_failed", updated);
  onInvoiceFailed(work, updated, quiet);
}

export function voidInvoice(work: Work, id: string): Invoice {
  const invoice = work.require("invoice", id);
  if (invoice.status !== "open" && invoice.status !== "uncollectible") {
    throw invalid(
      `You can only pass in open or uncollectible invoices. This invoice is ${invoice.status}.`,
    );
  }
  closePayment(work, id);
  const done = work.change("invoice", id, {
    amount_remaining: 0,
    auto_advance: false,
    next_payment_attempt: null,
    status: "void",
    status_transitions: {
      ...invoice.status_transitions,
      voided_at: work.now(invoice.test_clock ?? ""),
    },
  }, "invoice.voided");
  reinstateCredits(work, done);
  onInvoiceVoided(work, done);
  return done;
}

function closePayment(work: Work, id: string): void {
  const { payment_intent } = work.hidden("invoice", id);
  if (payment_intent === null) return;
  const intent = work.require("payment_intent", payment_intent);
  if (intent.status === "succeeded" || intent.status === "canceled") return;
  const now = work.now(work.clockOf(intent.customer));
  work.change("payment_intent", intent.id, {
    canceled_at: now,
    cancellation_reason: "void_invoice",
    next_action: null,
    status: "canceled",
  }, "payment_intent.canceled");
}

/** What the API answers to an attempt that did not pay: a `card_error` whose writes stay. */
export function refusal(work: Work, invoiceId: string, outcome: PaymentOutcome): never {
  if (outcome === "no_method") {
    throw invalid(
      "There is no `default_payment_method` set on this Customer or Invoice. Please set a default payment method for the " +
        "Customer or Invoice before paying.",
      undefined,
      "missing",
    );
  }
  const { payment_intent } = work.hidden("invoice", invoiceId);
  const intent = payment_intent === null ? null : work.require("payment_intent", payment_intent);
  if (outcome === "requires_action") {
    const message =
      "This payment requires additional user action before it can be completed successfully. Payment can be " +
      "completed using the PaymentIntent associated with this invoice.";
    throw cardError(
      { code: "invoice_payment_intent_requires_action", decline_code: null, message },
      { payment_intent: intent ?? undefined },
      true,
    );
  }
  const error = intent?.last_payment_error;
  throw cardError(
    {
      code: error?.code ?? "card_declined",
      decline_code: error?.decline_code ?? null,
      message: error?.message ?? "Your card was declined.",
    },
    { payment_intent: intent ?? undefined, charge: error?.charge },
    true,
  );
}
