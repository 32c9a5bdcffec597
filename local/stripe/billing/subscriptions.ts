/** Creating a subscription and its first invoice. */
import { listOf } from "../engine/answer.ts";
import { invalid, StripeError } from "../engine/errors.ts";
import {
  type Customer,
  newId,
  type PaymentMethod,
  type Price,
  type Subscription,
  type SubscriptionItem,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createInvoice, pendingItems, takePendingItems } from "./drafts.ts";
import { isMetered, optionOf, upfront, wrongCurrency } from "./amounts.ts";
import { attemptPayment, finalize, type PaymentOutcome, refusal } from "./invoices.ts";
import { redeem, type Redemption } from "./discounts.ts";
import { itemLines } from "./lines.ts";
import { intervalOf, nextBoundary } from "./period.ts";
import { isEnded } from "./status.ts";
import { taxSwitch } from "./tax.ts";
import { planOf } from "../resources/prices.ts";

export type PaymentBehavior = "allow_incomplete" | "default_incomplete" | "error_if_incomplete";
export type MissingMethod = "cancel" | "create_invoice" | "pause";

export interface SubscriptionSpec {
  customer: string;
  items: { price: string; quantity?: number; metadata?: Record<string, string> }[];
  application_fee_percent?: number | null;
  transfer_data?: Subscription["transfer_data"];
  automatic_tax?: boolean;
  default_payment_method?: string | null;
  payment_behavior?: PaymentBehavior;
  trial_end?: number | null;
  missing_payment_method?: MissingMethod;
  cancel_at?: number | null;
  cancel_at_period_end?: boolean;
  collection_method?: Subscription["collection_method"];
  days_until_due?: number | null;
  currency?: string;
  description?: string | null;
  discounts?: Redemption[];
  /** The Checkout session they were redeemed in. */
  checkout_session?: string;
  metadata?: Record<string, string>;
  save_default_payment_method?: "off" | "on_subscription" | null;
  /** Already authenticated on the hosted page. */
  approved?: boolean;
  /** Begun by a schedule: nobody waits for the payment, so the first invoice is a draft for an hour, as a renewal's. */
  scheduled?: boolean;
}

export function createItem(spec: {
  subscription: string;
  price: Price;
  quantity?: number;
  metadata?: Record<string, string>;
  start: number;
  end: number;
  now: number;
}): SubscriptionItem {
  return {
    id: newId("si_", 14),
    object: "subscription_item",
    billing_thresholds: null,
    created: spec.now,
    current_period_end: spec.end,
    current_period_start: spec.start,
    current_trial: null,
    discounts: [],
    metadata: spec.metadata ?? {},
    plan: planOf(spec.price),
    price: spec.price,
    ...(isMetered(spec.price) ? {} : { quantity: spec.quantity ?? 1 }),
    subscription: spec.subscription,
    tax_rates: [],
  };
}

/** A recurring, active price in the currency of the rest, or the refusal Stripe gives. */
export function recurringPrice(work: Work, id: string, param: string, currency?: string): Price {
  const price = work.require("price", id, param);
  if (price.type !== "recurring") {
    throw invalid(
      "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
      param,
    );
  }
  if (!price.active) {
    throw invalid(`The price specified is inactive. This field only accepts active prices.`, param);
  }
  if (currency !== undefined && !optionOf(work, price, currency)) {
    throw wrongCurrency(price, currency, param);
  }
  return price;
}

/** What is metered has no quantity. */
export function checkQuantity(price: Price, quantity: number | undefined, item: string): void {
  if (!isMetered(price) || quantity === undefined) return;
  throw invalid(
    `Quantity should not be specified where usage_type is \`metered\`. Remove quantity from \`${item}\``,
    `${item}[quantity]`,
  );
}

export function createSubscription(work: Work, spec: SubscriptionSpec): Subscription {
  const customer = work.require("customer", spec.customer, "customer");
  const clock = work.clockOf(customer.id);
  const now = work.now(clock);
  const id = newId("sub_");
  const prices = spec.items.map((item, i) =>
    recurringPrice(work, item.price, `items[${i}][price]`)
  );
  const currency = currencyOf(work, customer, prices, spec.currency);
  if (currency === undefined) {
    throw invalid("Missing required param: items.", "items", "parameter_missing");
  }
  if (new Set(prices.map((price) => price.id)).size < prices.length) {
    throw invalid("Cannot add multiple subscription items with the same plan.", "items");
  }
  const trialEnd = spec.trial_end ?? null;
  if (trialEnd !== null && trialEnd <= now) {
    throw invalid("Trial end must be in the future.", "trial_end");
  }
  const anchor = trialEnd ?? now;
  const items = prices.map((price, i) => {
    recurringPrice(work, price.id, `items[${i}][price]`, currency);
    const { interval, interval_count: count } = price.recurring ??
      { interval: "month", interval_count: 1 };
    const end = trialEnd ?? nextBoundary(anchor, intervalOf(interval), count, now);
    const { quantity, metadata } = spec.items[i] ?? {};
    checkQuantity(price, quantity, `items[${i}]`);
    return createItem({ subscription: id, price, quantity, metadata, start: now, end, now });
  });
  const draft = newSubscription(spec, { id, currency, clock, now, anchor, trialEnd, items });
  const sub = work.create("subscription", draft, { trial_warned: false, unpaid_invoice: null }, {
    clock,
  });
  const amount = items.reduce(
    (sum, { price, quantity = 1 }) => sum + upfront(work, price, quantity, currency),
    0,
  );
  const target = { customer: customer.id, subscription: id, currency, amount };
  const discounts = (spec.discounts ?? []).map((each, i) =>
    redeem(work, each, { ...target, checkout_session: spec.checkout_session }, `discounts[${i}]`).id
  );
  if (discounts.length > 0) work.change("subscription", id, { discounts });
  if (customer.currency !== currency) work.change("customer", customer.id, { currency });
  firstInvoice(work, { ...sub, discounts }, spec);
  const done = work.require("subscription", id);
  work.emit("customer.subscription.created", done);
  return done;
}

/** The one asked for, else the customer's own where the prices have it, else the first price's. */
export function currencyOf(
  work: Work,
  customer: Customer | null,
  prices: readonly Price[],
  asked?: string,
): string | undefined {
  const own = customer?.currency ?? null;
  const has = (currency: string) => prices.every((price) => optionOf(work, price, currency));
  const currency = asked ?? (own !== null && has(own) ? own : prices[0]?.currency);
  if (customer === null || own === null || own === currency) return currency;
  const isBound = work.store.all("subscription", { customer: customer.id, currency: own })
    .some((sub) => !isEnded(sub));
  if (isBound) {
    throw invalid(
      "You cannot combine currencies on a single customer. This customer has an active subscription with " +
        `currency ${own}.`,
      "currency",
    );
  }
  return currency;
}

interface Made {
  id: string;
  currency: string;
  clock: string;
  now: number;
  anchor: number;
  trialEnd: number | null;
  items: SubscriptionItem[];
}

function newSubscription(spec: SubscriptionSpec, made: Made): Subscription {
  const ending = spec.cancel_at_period_end ?? false;
  const end = Math.min(...made.items.map((item) => item.current_period_end));
  return {
    id: made.id,
    object: "subscription",
    application: null,
    application_fee_percent: spec.application_fee_percent ?? null,
    automatic_tax: taxSwitch(spec.automatic_tax ?? false),
    billing_cycle_anchor: made.anchor,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: { proration_discounts: "included" }, type: "flexible" },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: ending ? end : spec.cancel_at ?? null,
    cancel_at_period_end: ending,
    canceled_at: ending || spec.cancel_at ? made.now : null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: spec.collection_method ?? "charge_automatically",
    created: made.now,
    currency: made.currency,
    customer: spec.customer,
    customer_account: null,
    days_until_due: spec.days_until_due ?? null,
    default_payment_method: spec.default_payment_method ?? null,
    default_source: null,
    default_tax_rates: [],
    description: spec.description ?? null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    items: listOf(made.items, `/v1/subscription_items?subscription=${made.id}`),
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    metadata: spec.metadata ?? {},
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: spec.save_default_payment_method ?? "off",
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: made.now,
    status: made.trialEnd !== null ? "trialing" : "incomplete",
    test_clock: made.clock === "" ? null : made.clock,
    transfer_data: spec.transfer_data ?? null,
    trial_end: made.trialEnd,
    trial_settings: {
      end_behavior: {
        billing_cycle_anchor: null,
        missing_payment_method: spec.missing_payment_method ?? "create_invoice",
      },
    },
    trial_start: made.trialEnd !== null ? made.now : null,
  };
}

function firstInvoice(work: Work, sub: Subscription, spec: SubscriptionSpec): void {
  const lines = sub.items.data.flatMap((item) => {
    const period = { start: item.current_period_start, end: item.current_period_end };
    return itemLines(work, item, period, sub.currency, sub.trial_end !== null);
  });
  // Usage has nothing to bill yet, and an empty invoice is not made.
  if (lines.length === 0 && pendingItems(work, sub).length === 0) return activate(work, sub);
  const byInvoice = sub.collection_method === "send_invoice" || (spec.scheduled ?? false);
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_create",
    subscription: sub.id,
    lines,
    auto_advance: byInvoice,
    finalizes_at: byInvoice ? sub.created + 3600 : null,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
  });
  const invoice = takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: invoice.id });
  // Nothing due at once means nothing that could keep it incomplete.
  if (byInvoice || invoice.amount_due === 0) activate(work, sub);
  if (byInvoice) return;
  finalize(work, invoice.id, true);
  if (work.require("invoice", invoice.id).status === "paid") return;
  if (spec.payment_behavior === "default_incomplete") return;
  const outcome = collectFirst(work, invoice.id, spec);
  if (outcome === "paid") saveDefault(work, sub.id, invoice.id, spec);
}

function activate(work: Work, sub: Subscription): void {
  if (sub.status === "incomplete") work.change("subscription", sub.id, { status: "active" });
}

function collectFirst(work: Work, invoice: string, spec: SubscriptionSpec): PaymentOutcome {
  const method: PaymentMethod | null = spec.default_payment_method
    ? work.find("payment_method", spec.default_payment_method)
    : null;
  const outcome = attemptPayment(work, invoice, { method, approved: spec.approved, quiet: true });
  if (outcome === "no_method") {
    throw invalid(
      "This customer has no attached payment source or default payment method. Please consider adding a default payment " +
        "method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting.",
      undefined,
      "resource_missing",
    );
  }
  if (outcome !== "paid" && spec.payment_behavior === "error_if_incomplete") {
    try {
      refusal(work, invoice, outcome);
    } catch (error) {
      throw withoutWrites(error);
    }
  }
  return outcome;
}

/** `error_if_incomplete`: the 402 is answered, and nothing of the subscription stays. */
export function withoutWrites(error: unknown): unknown {
  return error instanceof StripeError ? new StripeError(error.status, { ...error.body }) : error;
}

function saveDefault(work: Work, sub: string, invoice: string, spec: SubscriptionSpec): void {
  if (spec.save_default_payment_method !== "on_subscription") return;
  const { payment_intent } = work.hidden("invoice", invoice);
  const paidWith = payment_intent
    ? work.require("payment_intent", payment_intent).payment_method
    : null;
  if (paidWith) work.change("subscription", sub, { default_payment_method: paidWith });
}
