import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { type ChangeKind, changeKind, checkPreview, previewExpired } from "../domain/change.ts";
import { AppError } from "../domain/errors.ts";
import { callingStripe, isCardError, type Stripe, stripe } from "../stripe.ts";
import { stripePrice } from "./price.ts";
import { currentWithPrice, settled, settleMetered } from "./subscription.ts";
import { changeLater, releaseSchedule } from "./subscription_schedule.ts";

export interface Wish {
  lookup_key: string;
  quantity?: number | undefined;
}

/** What the caller's subscription is now, and what they wish it to be. */
export interface Change {
  kind: ChangeKind;
  /** Seconds; a period that begins later than our clock says counts as now. */
  now: number;
  subscription: Stripe.Subscription;
  item: Stripe.SubscriptionItem;
  from: db.PriceTermsRow;
  to: db.PriceTermsRow;
  price: Stripe.Price;
  quantity: number;
}

interface PreviewLine {
  description: string;
  amount_minor: number;
  proration: boolean;
}

export interface Preview {
  kind: ChangeKind;
  effective_at: string;
  /** Seconds; give it to `change`, which then charges exactly this. */
  proration_date: number;
  currency: string;
  amount_due_now_minor: number;
  credit_minor: number;
  lines: PreviewLine[];
  next_amount_minor: number;
  next_payment_at: string;
  from: { lookup_key: string };
  to: { lookup_key: string };
}

/**
 * What a change would cost, computed by Stripe. Nothing is charged.
 *
 * Errors: `price_not_found`, `subscription_not_found`, `already_on_price`, `price_mismatch`, `billing_unavailable`.
 */
export async function previewChange(wish: Wish, call: db.UserCall): Promise<Preview> {
  const change = await plan(wish, call);
  const { kind, now, item, from, to } = change;
  const next = await previewInvoice(change, "recurring", now);
  const common = {
    kind,
    proration_date: now,
    currency: next.currency,
    next_amount_minor: next.total,
    from: { lookup_key: from.lookup_key },
    to: { lookup_key: to.lookup_key },
  };
  if (kind === "at_period_end") {
    const end = iso(item.current_period_end);
    const nothing = { amount_due_now_minor: 0, credit_minor: 0, lines: [] };
    return { ...common, ...nothing, effective_at: end, next_payment_at: end };
  }
  const bill = await previewInvoice(change, "next", now);
  const lines = bill.lines.data.map(toLine);
  const credits = lines.filter((line) => line.proration && line.amount_minor < 0);
  return {
    ...common,
    effective_at: iso(now),
    amount_due_now_minor: bill.amount_due,
    credit_minor: credits.reduce((sum, line) => sum - line.amount_minor, 0),
    lines,
    next_payment_at: iso(Math.max(...bill.lines.data.map((line) => line.period.end))),
  };
}

/**
 * Makes the change that was previewed: the same `proration_date`, hence the same charge. An upgrade whose payment fails or
 * needs the person leaves everything as it was until the invoice behind `payment_url` is paid.
 *
 * Errors: those of the preview, `preview_expired`, `payment_failed`.
 */
export async function changePlan(
  wish: Wish & { proration_date: number },
  call: db.UserCall,
): Promise<Json> {
  const change = await plan(wish, call);
  checkPreview(wish.proration_date, change.now);
  checkUnchanged(change.subscription, wish.proration_date);
  await settleMetered(change.subscription, call);
  const done = change.kind === "now"
    ? await changeNow(change, wish.proration_date)
    : await changeLater(change, changeKey(change, wish.proration_date), call);
  const entitlements = await settled(change.subscription, call);
  const at = change.kind === "now" ? change.now : change.item.current_period_end;
  return { kind: change.kind, effective_at: iso(at), ...done, entitlements };
}

async function plan(wish: Wish, call: db.UserCall): Promise<Change> {
  const to = await db.findPriceTerms(call.supabase, wish.lookup_key);
  if (to === null || !to.is_active) {
    throw new AppError("price_not_found", "There is no such price.");
  }
  const { subscription, from, item } = await currentWithPrice(call);
  const quantity = wish.quantity ?? item.quantity ?? 1;
  if (from.lookup_key === to.lookup_key && quantity === item.quantity) {
    throw new AppError("already_on_price", "This is the plan you have.");
  }
  const kind = changeKind({ ...from, quantity: item.quantity ?? 1 }, { ...to, quantity });
  const price = await stripePrice(to);
  const now = Math.max(Math.floor(Date.now() / 1000), item.current_period_start);
  return { kind, now, subscription, item, from, to, price, quantity };
}

function previewInvoice(
  { subscription, item, price, quantity }: Change,
  mode: "next" | "recurring",
  prorationDate: number,
): Promise<Stripe.Invoice> {
  return callingStripe(() =>
    stripe().invoices.createPreview({
      subscription: subscription.id,
      preview_mode: mode,
      subscription_details: {
        items: [{ id: item.id, price: price.id, quantity }],
        ...(mode === "next"
          ? { proration_behavior: "always_invoice", proration_date: prorationDate }
          : { proration_behavior: "none" }),
      },
    })
  );
}

function toLine(line: Stripe.InvoiceLineItem): PreviewLine {
  const parent = line.parent?.subscription_item_details ?? line.parent?.invoice_item_details;
  return {
    description: line.description ?? "",
    amount_minor: line.amount,
    proration: parent?.proration ?? false,
  };
}

/** An invoice since the preview (a renewal, another tab's change) means that its figures are no longer those. */
function checkUnchanged(subscription: Stripe.Subscription, prorationDate: number): void {
  const { latest_invoice, items } = subscription;
  const renewed = items.data.some((item) => item.current_period_start > prorationDate);
  const billed = typeof latest_invoice === "object" && latest_invoice !== null &&
    latest_invoice.created > prorationDate;
  if (renewed || billed) throw previewExpired();
}

async function changeNow(change: Change, prorationDate: number) {
  const { subscription, item, price, quantity } = change;
  await releaseSchedule(subscription);
  const updated = await charging(() =>
    stripe().subscriptions.update(subscription.id, {
      items: [{ id: item.id, price: price.id, quantity }],
      proration_behavior: "always_invoice",
      proration_date: prorationDate,
      payment_behavior: "pending_if_incomplete",
      expand: ["latest_invoice"],
    }, { idempotencyKey: changeKey(change, prorationDate) })
  );
  if (updated.pending_update === null) return { outcome: "done", payment_url: null };
  const invoice = updated.latest_invoice;
  const url = typeof invoice === "object" ? invoice?.hosted_invoice_url ?? null : null;
  return { outcome: "payment_required", payment_url: url };
}

/** One preview is applied once, however often it is sent. */
function changeKey({ subscription, to, quantity }: Change, prorationDate: number): string {
  return `change:${subscription.id}:${to.lookup_key}:${quantity}:${prorationDate}`;
}

async function charging<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCardError(error)) return await callingStripe(() => Promise.reject(error));
    throw new AppError("payment_failed", "The payment was declined. Nothing was changed.", {
      action: { function: "portal", flow: "payment_method" },
    });
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
