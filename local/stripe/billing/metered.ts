/**
 * Metered items: billed in arrears, for what their meter counted in their service period. A draft counts again when it
 * is finalized, so usage that is reported late but before that is billed with its own period.
 * https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period
 */
import type { Invoice, InvoiceLine, Price, Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "./amounts.ts";
import { pricedLines } from "./lines.ts";
import { billable, type Span } from "./usage.ts";

/** As much of an item as a line needs; the item itself may be gone when its last usage is billed. */
export interface MeteredItem {
  id: string;
  price: Price;
  subscription: string;
}

export function usageOf(work: Work, price: Price, customer: string, span: Span): number {
  const meter = price.recurring?.meter ?? null;
  const found = meter === null ? null : work.find("billing.meter", meter);
  return found ? billable(work.store, found, customer, span) : 0;
}

/** One line, or one for each tier reached; usage of nothing has a line too. */
export function usageLines(
  work: Work,
  item: MeteredItem,
  customer: string,
  currency: string,
  period: Span,
): InvoiceLine[] {
  const quantity = usageOf(work, item.price, customer, period);
  return pricedLines(work, item, quantity, period, currency);
}

/** From when an item's usage is not billed yet: its period's begin, or the change that gave it its price. */
export function usageStart(
  work: Work,
  item: { id: string; current_period_start: number },
  subscription: string,
): number {
  const since = work.hidden("subscription", subscription).usage_since?.[item.id] ?? 0;
  return Math.max(item.current_period_start, since);
}

/** Usage before `at` is settled for these items, whether it was billed or given up. */
export function settleUsage(work: Work, sub: string, items: readonly string[], at: number): void {
  const { usage_since } = work.hidden("subscription", sub);
  const now = Object.fromEntries(items.map((id) => [id, at]));
  work.changeHidden("subscription", sub, { usage_since: { ...usage_since, ...now } });
}

/** What was used and not billed until `at`, of every metered item. */
export function openUsage(work: Work, sub: Subscription, at: number): InvoiceLine[] {
  if (sub.status === "trialing") return [];
  return sub.items.data.filter((item) => isMetered(item.price)).flatMap((item) => {
    const start = usageStart(work, item, sub.id);
    const end = Math.min(at, item.current_period_end);
    return start < end ? usageLines(work, item, sub.customer, sub.currency, { start, end }) : [];
  });
}

/**
 * The lines of a draft with their usage counted anew, or null when it has no usage. A line keeps its id as long as
 * there are as many tiers.
 */
export function recounted(work: Work, invoice: Invoice): InvoiceLine[] | null {
  const old = new Map<string, InvoiceLine[]>();
  const out: (InvoiceLine | { key: string; price: Price; item: string })[] = [];
  for (const line of invoice.lines.data) {
    const found = meteredLine(work, line);
    if (!found) {
      out.push(line);
      continue;
    }
    const same = old.get(found.key);
    if (!same) out.push(found);
    old.set(found.key, [...same ?? [], line]);
  }
  if (old.size === 0) return null;
  return out.flatMap((each) => {
    if (!("key" in each)) return [each];
    const lines = old.get(each.key) ?? [];
    const [first] = lines;
    if (!first) return [];
    const item = { id: each.item, price: each.price, subscription: first.subscription ?? "" };
    return usageLines(work, item, invoice.customer ?? "", invoice.currency, first.period)
      .map((fresh, n) => ({ ...fresh, id: lines[n]?.id ?? fresh.id }));
  });
}

function meteredLine(work: Work, line: InvoiceLine) {
  const item = line.parent?.subscription_item_details?.subscription_item;
  const price = work.find("price", line.pricing?.price_details?.price ?? "");
  if (item === undefined || !price || !isMetered(price)) return null;
  return { key: `${item} ${line.period.start} ${line.period.end}`, price, item };
}
