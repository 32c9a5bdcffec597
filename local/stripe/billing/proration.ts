/**
 * Changing the items of a running subscription.
 *
 * Proration, to the second: with `left = (period_end - now) / (period_end - period_start)`, the unused time of what was
 * is credited with `-round(old amount * left)` and the remaining time of what comes is charged `round(new amount * left)`.
 * A change of interval starts a new period now: the credit stands, and the new price is charged whole.
 * https://docs.stripe.com/billing/subscriptions/prorations
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

/** Works out what a change would do, without doing it: the preview and the change are this one function. */
export function planChange(
  work: Work,
  sub: Subscription,
  changes: readonly ItemChange[],
  at: number,
): Plan {
  const plan: Plan = { items: [...sub.items.data], prorations: [], restarts: false };
  const isFree = sub.status === "trialing";
  changes.forEach((change, i) => {
    const index = findItem(plan.items, change, i);
    const old = index < 0 ? null : plan.items[index] ?? null;
    const fresh = change.deleted ? null : changedItem(work, sub, old, change, at, `items[${i}]`);
    if (old && fresh && !sameInterval(old.price, fresh.price)) plan.restarts = true;
    if (!isFree) plan.prorations.push(...prorate(work, old, fresh, at));
    if (old && fresh) plan.items[index] = fresh;
    else if (old) plan.items.splice(index, 1);
    else if (fresh) plan.items.push(fresh);
  });
  if (plan.items.length === 0) {
    throw invalid("A subscription must have at least one active plan.", "items");
  }
  return plan.restarts ? restart(plan, at) : plan;
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

function prorate(
  work: Work,
  old: SubscriptionItem | null,
  fresh: SubscriptionItem | null,
  at: number,
): Proration[] {
  const same = old && fresh && old.price.id === fresh.price.id && old.quantity === fresh.quantity;
  if (same) return [];
  const out: Proration[] = [];
  const date = new Date(at * 1000).toLocaleDateString("en-GB", {
    day: "2-digit",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  });
  const share = (item: SubscriptionItem) => {
    const { current_period_start: start, current_period_end: end } = old ?? item;
    return end <= start ? 0 : Math.max(0, Math.min(1, (end - at) / (end - start)));
  };
  const label = (item: SubscriptionItem) =>
    `${(item.quantity ?? 1) === 1 ? "" : `${item.quantity} × `}${
      productName(work, item.price)
    } after ${date}`;
  if (old) {
    const amount = -Math.round(amountFor(old.price, old.quantity ?? 1) * share(old));
    out.push({ item: old, amount, description: `Unused time on ${label(old)}` });
  }
  if (fresh && !(old && !sameInterval(old.price, fresh.price))) {
    const amount = Math.round(amountFor(fresh.price, fresh.quantity ?? 1) * share(fresh));
    out.push({ item: fresh, amount, description: `Remaining time on ${label(fresh)}` });
  }
  return out;
}

function restart(plan: Plan, at: number): Plan {
  const items = plan.items.map((item) => {
    const { interval, interval_count: count } = item.price.recurring ??
      { interval: "month", interval_count: 1 };
    return {
      ...item,
      current_period_start: at,
      current_period_end: addIntervals(at, intervalOf(interval), count),
    };
  });
  return { ...plan, items };
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
  if (behavior !== "none") {
    for (const { item, amount, description } of plan.prorations) {
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
    attemptPayment(work, draft.id, { ...payment, quiet: true, automatic: true });
  return { outcome, invoice: draft.id };
}

/** In a trial the periods stay the trial's; the new price begins when it ends. */
function keepPeriods(items: SubscriptionItem[], sub: Subscription): SubscriptionItem[] {
  const first = sub.items.data[0];
  if (!first) return items;
  const { current_period_start, current_period_end } = first;
  return items.map((item) => ({ ...item, current_period_start, current_period_end }));
}
