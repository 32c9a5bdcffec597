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
 * Discounts are inside the amounts (`proration_discounts: included`): a credit gives back what the period's invoice
 * charged, a charge counts the subscription's present discounts, and no proration is discounted a second time.
 *
 * Source: Stripe's guide "Prorations" (docs.stripe.com/billing/subscriptions/prorations): "Stripe prorates to the
 * second"; its example, 10 USD to 20 USD halfway through the month, bills -5 USD for unused time and 10 USD for the
 * remaining time. The guide says that the period's start and end decide, and that `proration_date` makes a later
 * update bill exactly what was previewed. The rounding rule is not documented; half up fits the guide's examples.
 */
import { invalid } from "../engine/errors.ts";
import type { Price, Subscription, SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { amountFor, isMetered } from "./amounts.ts";
import { discountOf, discountsFor, netOf } from "./discounts.ts";
import { productName } from "./lines.ts";
import { usageOf, usageStart } from "./metered.ts";
import { addIntervals, intervalOf, nextBoundary } from "./period.ts";
import { checkQuantity, createItem, recurringPrice } from "./subscriptions.ts";
import { planOf } from "../resources/prices.ts";

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
  /** Usage that is billed because its price goes: how much, from when on. */
  usage?: { quantity: number; start: number };
}
export interface Plan {
  items: SubscriptionItem[];
  prorations: Proration[];
  /** The interval changed: the billing cycle starts again now, and this is invoiced at once. */
  restarts: boolean;
  /** Metered items whose usage counts for them from now on only. */
  settled: string[];
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
    ? sub.items.data.flatMap((old) => ended(work, sub, old, at))
    : pairs.flatMap((pair) => prorate(work, sub, pair, at));
  const touched = restarts ? items : pairs.flatMap((pair) => isSame(pair) ? [] : pair.fresh ?? []);
  const settled = touched.filter((item) => isMetered(item.price)).map((item) => item.id);
  return { items: restarts ? restarted(items, at) : items, prorations, restarts, settled };
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
  checkQuantity(price, change.quantity, param);
  const isOther = change.price !== undefined && change.price !== old?.price.id;
  // Another price begins with one, unless the request says how many.
  const quantity = change.quantity ?? (isOther ? 1 : old?.quantity) ?? 1;
  if (old) {
    const { quantity: _, ...rest } = old;
    return {
      ...rest,
      price,
      plan: planOf(price),
      ...(isMetered(price) ? {} : { quantity }),
      metadata: change.metadata ?? old.metadata,
    };
  }
  const end = sub.status === "trialing"
    ? sub.items.data[0]?.current_period_end ?? at
    : nextBoundary(
      sub.billing_cycle_anchor,
      intervalOf(price.recurring?.interval),
      price.recurring?.interval_count ?? 1,
      at,
    );
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

const isSame = ({ old, fresh }: Pair) =>
  old !== null && fresh !== null && old.price.id === fresh.price.id &&
  old.quantity === fresh.quantity;

function prorate(work: Work, sub: Subscription, pair: Pair, at: number): Proration[] {
  if (isSame(pair)) return [];
  const { old, fresh } = pair;
  const out: Proration[] = old ? ended(work, sub, old, at) : [];
  if (!fresh || isMetered(fresh.price)) return out;
  const whole = amountFor(work, fresh.price, fresh.quantity ?? 1, sub.currency);
  const ids = discountsFor(work, sub.customer, sub);
  const net = netOf(work, whole, fresh.price.product, ids, sub.currency);
  const amount = Math.round(net * share(old ?? fresh, at));
  const description = `Remaining time on ${label(work, fresh, at)}`;
  return [...out, { item: fresh, amount, description }];
}

/** What an item leaves behind: its unused time, or what was used of it. */
export function ended(
  work: Work,
  sub: Subscription,
  old: SubscriptionItem,
  at: number,
): Proration[] {
  if (!isMetered(old.price)) return [unused(work, sub, old, at)];
  const start = usageStart(work, old, sub.id);
  if (start >= at) return [];
  const quantity = usageOf(work, old.price, sub.customer, { start, end: at });
  if (quantity === 0) return [];
  const amount = amountFor(work, old.price, quantity, sub.currency);
  const description = `${quantity} × ${productName(work, old.price)}`;
  return [{ item: old, amount, description, usage: { quantity, start } }];
}

export function unused(
  work: Work,
  sub: Subscription,
  old: SubscriptionItem,
  at: number,
): Proration {
  const amount = -Math.round(paidFor(work, sub, old) * share(old, at));
  return { item: old, amount, description: `Unused time on ${label(work, old, at)}` };
}

/** What the item's present period cost, after the discounts of the invoice that billed it. */
function paidFor(work: Work, sub: Subscription, item: SubscriptionItem): number {
  const whole = amountFor(work, item.price, item.quantity ?? 1, sub.currency);
  const billed = work.store.all("invoice", { customer: sub.customer })
    .filter((invoice) => invoice.status !== "void")
    .flatMap((invoice) => invoice.lines.data)
    .filter((line) =>
      line.parent?.subscription_item_details?.subscription_item === item.id &&
      line.period.start === item.current_period_start &&
      line.pricing?.price_details?.price === item.price.id
    );
  const amount = billed.reduce((sum, line) => sum + line.amount, 0);
  const off = billed.reduce((sum, line) => sum + discountOf(line), 0);
  if (amount > 0) return whole * (amount - off) / amount;
  const ids = discountsFor(work, sub.customer, sub);
  return netOf(work, whole, item.price.product, ids, sub.currency);
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
