/**
 * Changing the items of a running subscription.
 *
 * Proration, to the second. With `at` the proration date and
 *
 *     left   = (period_end - at) / (period_end - period_start)
 *     credit = -round(old amount * left)        "Unused time on …"
 *     charge =  round(new amount * left)        "Remaining time on …"
 *
 * where an amount is the price's unit amount times the quantity and rounding is to the minor unit, half up in absolute
 * value. A change of interval (or `billing_cycle_anchor: now`) starts a new period at `at`: everything paid for is
 * credited, and the new items are billed for a whole period. In a trial nothing was paid, so nothing is prorated.
 *
 * Source: Stripe's guide "Prorations" (docs.stripe.com/billing/subscriptions/prorations): "Stripe prorates to the
 * second"; its example, 10 USD to 20 USD halfway through the month, bills -5 USD for unused time and 10 USD for the
 * remaining time. The guide says that the period's start and end decide, and that `proration_date` makes a later
 * update bill exactly what was previewed. The rounding rule is not documented; half up fits the guide's examples.
 */
import { invalid } from "../engine/errors.ts";
import type { Price, Subscription, SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createInvoice, takePendingItems } from "./drafts.ts";
import { attemptPayment, finalize, type Payment, type PaymentOutcome } from "./invoices.ts";
import { amountFor, createInvoiceItem, itemLine, productName } from "./lines.ts";
import { addIntervals, intervalOf } from "./period.ts";
import { createItem, recurringPrice } from "./subscriptions.ts";
import { planOf } from "../resources/catalogue.ts";

export interface ItemChange {
  id?: string;
  price?: string;
  quantity?: number;
  deleted?: boolean;
  metadata?: Record<string, string>;
}
export type ProrationBehavior = "create_prorations" | "always_invoice" | "none";

export interface Proration {
  item: SubscriptionItem;
  amount: number;
  description: string;
}
export interface Plan {
  items: SubscriptionItem[];
  prorations: Proration[];
  /** The interval changed: the billing cycle starts again now, and this is invoiced at once. */
  restarts: boolean;
}

/**
 * Works out what a change would do, without doing it: the preview and the change are this one function. `restart` asks
 * for a new billing cycle from `at` on (`billing_cycle_anchor: now`); another interval brings one by itself.
 */
export function planChange(
  work: Work,
  sub: Subscription,
  changes: readonly ItemChange[],
  at: number,
  restart = false,
): Plan {
  const items = [...sub.items.data];
  const pairs: Pair[] = [];
  changes.forEach((change, i) => {
    const index = findItem(items, change, i);
    const old = index < 0 ? null : items[index] ?? null;
    const fresh = change.deleted ? null : changedItem(work, sub, old, change, at, `items[${i}]`);
    pairs.push({ old, fresh });
    if (old && fresh) items[index] = fresh;
    else if (old) items.splice(index, 1);
    else if (fresh) items.push(fresh);
  });
  if (items.length === 0) {
    throw invalid("A subscription must have at least one active plan.", "items");
  }
  const restarts = restart ||
    pairs.some(({ old, fresh }) => old && fresh && !sameInterval(old.price, fresh.price));
  const prorations = sub.status === "trialing" ? [] : restarts
    // Everything ends here and begins again: what was paid for comes back, what comes is billed whole.
    ? sub.items.data.map((old) => unused(work, old, at))
    : pairs.flatMap((pair) => prorate(work, pair, at));
  return { items: restarts ? restarted(items, at) : items, prorations, restarts };
}

interface Pair {
  old: SubscriptionItem | null;
  fresh: SubscriptionItem | null;
}

function findItem(items: SubscriptionItem[], change: ItemChange, i: number): number {
  if (change.id === undefined) return -1;
  const index = items.findIndex((item) => item.id === change.id);
  if (index < 0) {
    throw invalid(
      `No such subscription item: '${change.id}'`,
      `items[${i}][id]`,
      "resource_missing",
    );
  }
  return index;
}

function changedItem(
  work: Work,
  sub: Subscription,
  old: SubscriptionItem | null,
  change: ItemChange,
  at: number,
  param: string,
): SubscriptionItem {
  const priceId = change.price ?? old?.price.id;
  if (priceId === undefined) {
    throw invalid(
      `Missing required param: ${param}[price].`,
      `${param}[price]`,
      "parameter_missing",
    );
  }
  const price = change.price === undefined && old
    ? old.price
    : recurringPrice(work, priceId, `${param}[price]`, sub.currency);
  const quantity = change.quantity ?? old?.quantity ?? 1;
  if (old) {
    return {
      ...old,
      price,
      plan: planOf(price),
      quantity,
      metadata: change.metadata ?? old.metadata,
    };
  }
  const end = sub.items.data[0]?.current_period_end ??
    addIntervals(at, intervalOf(price.recurring?.interval), 1);
  return createItem({
    subscription: sub.id,
    price,
    quantity,
    metadata: change.metadata,
    start: at,
    end,
    now: at,
  });
}

const sameInterval = (a: Price, b: Price) =>
  a.recurring?.interval === b.recurring?.interval &&
  a.recurring?.interval_count === b.recurring?.interval_count;

function prorate(work: Work, { old, fresh }: Pair, at: number): Proration[] {
  const same = old && fresh && old.price.id === fresh.price.id && old.quantity === fresh.quantity;
  if (same) return [];
  const out: Proration[] = [];
  if (old) out.push(unused(work, old, at));
  if (fresh) {
    const amount = Math.round(
      amountFor(fresh.price, fresh.quantity ?? 1) * share(old ?? fresh, at),
    );
    out.push({ item: fresh, amount, description: `Remaining time on ${label(work, fresh, at)}` });
  }
  return out;
}

function unused(work: Work, old: SubscriptionItem, at: number): Proration {
  const amount = -Math.round(amountFor(old.price, old.quantity ?? 1) * share(old, at));
  return { item: old, amount, description: `Unused time on ${label(work, old, at)}` };
}

function share(
  { current_period_start: start, current_period_end: end }: SubscriptionItem,
  at: number,
) {
  return end <= start ? 0 : Math.max(0, Math.min(1, (end - at) / (end - start)));
}

function label(work: Work, item: SubscriptionItem, at: number): string {
  const date = new Date(at * 1000).toLocaleDateString("en-GB", {
    day: "2-digit",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  });
  const many = (item.quantity ?? 1) === 1 ? "" : `${item.quantity} × `;
  return `${many}${productName(work, item.price)} after ${date}`;
}

function restarted(items: SubscriptionItem[], at: number): SubscriptionItem[] {
  return items.map((item) => {
    const { interval, interval_count: count } = item.price.recurring ??
      { interval: "month", interval_count: 1 };
    return {
      ...item,
      current_period_start: at,
      current_period_end: addIntervals(at, intervalOf(interval), count),
    };
  });
}

/** Applies a plan, with its prorations; gives the outcome of the payment when something was invoiced now. */
export function applyChange(
  work: Work,
  sub: Subscription,
  plan: Plan,
  behavior: ProrationBehavior,
  at: number,
  payment: Payment | null = {},
): { outcome: PaymentOutcome | null; invoice: string | null } {
  const wasFree = sub.status === "trialing";
  work.change("subscription", sub.id, {
    billing_cycle_anchor: plan.restarts && !wasFree ? at : sub.billing_cycle_anchor,
    items: {
      ...sub.items,
      data: plan.restarts && wasFree ? keepPeriods(plan.items, sub) : plan.items,
    },
  });
  if (behavior !== "none") billProrations(work, sub, plan.prorations, at);
  const invoiceNow = !wasFree &&
    (plan.restarts || (behavior === "always_invoice" && plan.prorations.length > 0));
  if (!invoiceNow) return { outcome: null, invoice: null };
  const lines = plan.restarts
    ? plan.items.map((item) =>
      itemLine(
        work,
        item,
        { start: item.current_period_start, end: item.current_period_end },
        false,
      )
    )
    : [];
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_update",
    subscription: sub.id,
    lines,
    auto_advance: true,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: draft.id });
  const invoice = finalize(work, draft.id, true);
  if (invoice.status === "paid") return { outcome: "paid", invoice: draft.id };
  const outcome = payment &&
    attemptPayment(work, draft.id, { automatic: true, ...payment, quiet: true });
  return { outcome, invoice: draft.id };
}

/** In a trial the periods stay the trial's; the new price begins when it ends. */
function keepPeriods(items: SubscriptionItem[], sub: Subscription): SubscriptionItem[] {
  const first = sub.items.data[0];
  if (!first) return items;
  const { current_period_start, current_period_end } = first;
  return items.map((item) => ({ ...item, current_period_start, current_period_end }));
}

function billProrations(
  work: Work,
  sub: Subscription,
  prorations: readonly Proration[],
  at: number,
): void {
  for (const { item, amount, description } of prorations) {
    createInvoiceItem(work, {
      customer: sub.customer,
      amount,
      currency: sub.currency,
      description,
      period: { start: at, end: item.current_period_end },
      price: item.price,
      proration: true,
      quantity: item.quantity,
      subscription: sub.id,
      subscription_item: item.id,
    });
  }
}

/** `prorate`: the unused time comes back. `invoice_now`: what is pending is billed with the cancellation. */
export function settleCancellation(
  work: Work,
  sub: Subscription,
  prorates: boolean,
  invoicesNow: boolean,
): void {
  const at = work.now(sub.test_clock ?? "");
  if (prorates && sub.status !== "trialing") {
    billProrations(work, sub, sub.items.data.map((item) => unused(work, item, at)), at);
  }
  const pending = work.store.all("invoiceitem", { customer: sub.customer, invoice: null });
  if (!invoicesNow || pending.length === 0) return;
  const draft = createInvoice(work, {
    customer: sub.customer,
    currency: sub.currency,
    reason: "subscription_update",
    subscription: sub.id,
    lines: [],
    auto_advance: true,
    collection_method: sub.collection_method,
    days_until_due: sub.days_until_due,
  });
  takePendingItems(work, draft, sub.id);
  work.change("subscription", sub.id, { latest_invoice: draft.id });
  if (finalize(work, draft.id, true).status === "open") {
    attemptPayment(work, draft.id, { quiet: true });
  }
}
