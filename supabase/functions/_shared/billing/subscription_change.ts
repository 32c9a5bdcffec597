import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { type ChangeKind, changeKind, checkPreview, previewExpired } from "../domain/change.ts";
import { AppError } from "../domain/errors.ts";
import { callingStripe, isCardError, type Stripe, stripe } from "../stripe.ts";
import { type Claim, claimed } from "./claim.ts";
import { stripePrice } from "./price.ts";
import { releaseSchedule } from "./schedule.ts";
import { currentWithPrice, idOf, settled, settleMetered } from "./subscription.ts";
import { changeLater } from "./subscription_schedule.ts";

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
 * Errors: `price_not_found`, `invalid_request` (a quantity of what is not sold by quantity), `subscription_not_found`,
 * `subscription_ending`, `already_on_price`, `price_mismatch`, `billing_unavailable`.
 */
export async function previewChange(wish: Wish, call: db.UserCall): Promise<Preview> {
  const change = await plan(wish, call);
  const { kind, now, subscription, item, from, to } = change;
  const isTrial = kind === "now" && subscription.status === "trialing";
  // Nothing is invoiced in a trial, so Stripe's next invoice is the one of its end, with all that lowers it.
  const next = await previewInvoice(change, isTrial ? "next" : "recurring", now);
  const common = {
    kind,
    effective_at: iso(kind === "now" ? now : item.current_period_end),
    proration_date: now,
    currency: next.currency,
    next_amount_minor: isTrial ? next.amount_due : next.total,
    from: { lookup_key: from.lookup_key },
    to: { lookup_key: to.lookup_key },
  };
  const nothing = { amount_due_now_minor: 0, credit_minor: 0, lines: [] };
  if (isTrial) {
    const end = subscription.trial_end ?? item.current_period_end;
    return { ...common, ...nothing, next_payment_at: iso(end) };
  }
  if (kind === "at_period_end") {
    return { ...common, ...nothing, next_payment_at: iso(item.current_period_end) };
  }
  const bill = await previewInvoice(change, "next", now);
  const lines = bill.lines.data.map(toLine);
  const credits = lines.filter((line) => line.proration && line.amount_minor < 0);
  return {
    ...common,
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
 * Errors: those of the preview, `preview_expired`, `change_in_progress`, `payment_failed`.
 */
export function changePlan(
  wish: Wish & { proration_date: number },
  call: db.UserCall,
): Promise<Json> {
  return claimed(call, false, async (claim) => {
    const change = await plan(wish, call);
    checkPreview(wish.proration_date, change.now);
    checkUnchanged(change.subscription, wish.proration_date, claim.changedAt);
    await settleMetered(change.subscription, call);
    const done = change.kind === "now"
      ? await changeNow(change, wish.proration_date, claim)
      : await changeLater(change, changeKey(change, claim), call);
    const entitlements = await settled(change.subscription, call);
    const at = change.kind === "now" ? change.now : change.item.current_period_end;
    return { kind: change.kind, effective_at: iso(at), ...done, entitlements };
  });
}

async function plan(wish: Wish, call: db.UserCall): Promise<Change> {
  const to = await db.findPriceTerms(call.supabase, wish.lookup_key);
  if (to === null || !to.is_active) {
    throw new AppError("price_not_found", "There is no such price.");
  }
  const { subscription, from, item } = await currentWithPrice(call);
  if (subscription.cancel_at_period_end || subscription.cancel_at !== null) throw ending();
  const quantity = quantityOf(wish, to, item);
  if (from.lookup_key === to.lookup_key && quantity === item.quantity) {
    throw new AppError("already_on_price", "This is the plan you have.");
  }
  const kind = changeKind({ ...from, quantity: item.quantity ?? 1 }, { ...to, quantity });
  const price = await stripePrice(to);
  const now = Math.max(Math.floor(Date.now() / 1000), item.current_period_start);
  return { kind, now, subscription, item, from, to, price, quantity };
}

/** Only a price with tiers is sold by quantity; of any other, more would cost more and give nothing. */
function quantityOf(
  { quantity }: Wish,
  to: db.PriceTermsRow,
  item: Stripe.SubscriptionItem,
): number {
  if (to.tiers.length > 0) return quantity ?? item.quantity ?? 1;
  if (quantity === undefined || quantity === 1) return 1;
  throw new AppError("invalid_request", "quantity: this price is not sold by quantity");
}

/**
 * Who has cancelled says first that they stay: a change that kept the end would be paid for and lost, and one that took
 * it back would bill again somebody who did not ask for that. (Stripe lets a pending update set an end, not remove one.)
 */
function ending(): AppError {
  return new AppError("subscription_ending", "This subscription ends. Resume it, then change it.", {
    action: { function: "subscription", action: "resume" },
  });
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
function checkUnchanged(
  subscription: Stripe.Subscription,
  prorationDate: number,
  changedAt: number | null,
): void {
  const { latest_invoice, items } = subscription;
  const renewed = items.data.some((item) => item.current_period_start > prorationDate);
  const billed = typeof latest_invoice === "object" && latest_invoice !== null &&
    latest_invoice.created > prorationDate;
  const changed = changedAt !== null && changedAt >= prorationDate;
  if (renewed || billed || changed) throw previewExpired();
}

/**
 * A change that was planned for later stays until this one is paid for. Whoever dies in between, and whoever pays only
 * afterwards, leaves a plan that is overtaken: the next sync of the customer, if only by the event, lets go of it.
 */
async function changeNow(change: Change, prorationDate: number, claim: Claim) {
  const { subscription, item, price, quantity } = change;
  claim.changes();
  const updated = await charging(() =>
    stripe().subscriptions.update(subscription.id, {
      items: [{ id: item.id, price: price.id, quantity }],
      proration_behavior: "always_invoice",
      proration_date: prorationDate,
      payment_behavior: "pending_if_incomplete",
      expand: ["latest_invoice"],
    }, { idempotencyKey: changeKey(change, claim) })
  );
  if (updated.pending_update === null) {
    const schedule = idOf(updated.schedule);
    if (schedule !== null) await releaseSchedule(schedule);
    return { outcome: "done", payment_url: null };
  }
  const invoice = updated.latest_invoice;
  const url = typeof invoice === "object" ? invoice?.hosted_invoice_url ?? null : null;
  return { outcome: "payment_required", payment_url: url };
}

/** One attempt. Sent again it finds what it did: the price it wished for, or an expired preview. */
function changeKey({ subscription, to, quantity }: Change, { token }: Claim): string {
  return `change:${subscription.id}:${to.lookup_key}:${quantity}:${token}`;
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
