import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { type ChangeKind, changeKind, checkPreview, previewExpired } from "../domain/change.ts";
import { AppError } from "../domain/errors.ts";
import { isMetered } from "../domain/metering.ts";
import { lookupKeyOf, mayStillBill } from "../domain/snapshot.ts";
import { log } from "../log.ts";
import { callingStripe, isCardError, type Stripe, stripe } from "../stripe.ts";
import { attachMeteredItems } from "./metered.ts";
import { stripePrice } from "./price.ts";
import { syncCustomer } from "./sync.ts";
import { settleUsage } from "./usage.ts";

export interface Wish {
  lookup_key: string;
  quantity?: number | undefined;
}

/** What the caller's subscription is now, and what they wish it to be. */
interface Change {
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
    : await changeLater(change, wish.proration_date, call);
  const entitlements = await settled(change.subscription, call);
  const at = change.kind === "now" ? change.now : change.item.current_period_end;
  return { kind: change.kind, effective_at: iso(at), ...done, entitlements };
}

/** Ends the subscription when what is paid is used up. A scheduled change is taken back: there is nothing left to change. */
export async function cancelAtPeriodEnd(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await releaseSchedule(subscription);
  const key = await writeKey(call, subscription, "cancel");
  // Metered items are monthly: at the end of the period of a yearly plan would mean at the end of this month.
  const fields: Stripe.SubscriptionUpdateParams = subscription.items.data.some(isMetered)
    ? { cancel_at: "max_period_end" }
    : { cancel_at_period_end: true };
  await callingStripe(() => stripe().subscriptions.update(subscription.id, fields, key));
  return { entitlements: await settled(subscription, call) };
}

/** Takes back what would end or change the subscription, in each of Stripe's forms. */
export async function resume(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await releaseSchedule(subscription);
  const key = await writeKey(call, subscription, "resume");
  const fields: Stripe.SubscriptionUpdateParams | null = subscription.cancel_at_period_end
    ? { cancel_at_period_end: false }
    : subscription.cancel_at !== null
    ? { cancel_at: "" }
    : null;
  if (fields !== null) {
    await callingStripe(() => stripe().subscriptions.update(subscription.id, fields, key));
  }
  return { entitlements: await settled(subscription, call) };
}

/**
 * Ends the subscription this moment. Nothing is given back; that is an operator's decision. What was used beyond the
 * allowance is billed at once.
 */
export async function cancelNow(call: db.UserCall): Promise<{ entitlements: Json }> {
  const subscription = await current(call);
  await settleMetered(subscription, call);
  const key = await writeKey(call, subscription, "cancel_now");
  const last = subscription.items.data.some(isMetered) ? { invoice_now: true } : {};
  await callingStripe(() => stripe().subscriptions.cancel(subscription.id, last, key));
  return { entitlements: await settled(subscription, call) };
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

/** The subscription that gives the caller their plan, as Stripe has it now. */
async function current({ supabase, user }: db.UserCall): Promise<Stripe.Subscription> {
  const rows = await db.findSubscriptions(supabase, user.id);
  const live = rows.filter((row) => mayStillBill(row.status) && row.status !== "incomplete");
  const entitled = await db.entitledSubscription(supabase, user.id);
  const row = live.find(({ id }) => id === entitled) ?? live[0];
  if (row === undefined) throw nothingToChange();
  const subscription = await callingStripe(() =>
    stripe().subscriptions.retrieve(row.id, { expand: ["latest_invoice"] })
  );
  if (!mayStillBill(subscription.status)) throw nothingToChange();
  return subscription;
}

async function currentWithPrice(call: db.UserCall) {
  const subscription = await current(call);
  for (const item of subscription.items.data) {
    const key = lookupKeyOf(item.price);
    const from = key ? await db.findPriceTerms(call.supabase, key) : null;
    if (from !== null) return { subscription, item, from };
  }
  throw nothingToChange();
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

/** A schedule with the present phase and the next; then it lets go of the subscription, which renews by itself. */
async function changeLater(change: Change, prorationDate: number, call: db.UserCall) {
  const { subscription } = change;
  const key = changeKey(change, prorationDate);
  const attached = idOf(subscription.schedule);
  const schedule = attached ??
    (await callingStripe(() =>
      stripe().subscriptionSchedules.create({ from_subscription: subscription.id }, {
        idempotencyKey: `${key}:create`,
      })
    )).id;
  const phases = await phasesOf(change, call);
  await callingStripe(() =>
    stripe().subscriptionSchedules.update(schedule, {
      end_behavior: "release",
      proration_behavior: "none",
      phases,
    }, { idempotencyKey: `${key}:update` })
  );
  return { outcome: "done", payment_url: null };
}

/** What is left out of a phase is removed from the subscription, so metered items are said too, those of the next plan. */
async function phasesOf(
  { subscription, item, price, quantity, to }: Change,
  call: db.UserCall,
): Promise<Stripe.SubscriptionScheduleUpdateParams.Phase[]> {
  const metered = subscription.items.data.filter(isMetered).map((one) => one.price);
  return [{
    start_date: item.current_period_start,
    end_date: item.current_period_end,
    items: [
      { price: item.price.id, quantity: item.quantity ?? 1 },
      ...metered.map(({ id }) => ({ price: id })),
    ],
    proration_behavior: "none",
  }, {
    duration: {
      interval: to.billing_interval === "year" ? "year" : "month",
      interval_count: 1,
    },
    items: [{ price: price.id, quantity }, ...await meteredOf(to.plan_id, metered, call)],
    // So that the snapshot can say which price is coming without asking Stripe for it.
    metadata: { lookup_key: to.lookup_key },
    proration_behavior: "none",
  }];
}

/** The metered prices of a plan in the place of these; what the plan does not offer ends. */
async function meteredOf(
  planId: string,
  present: Stripe.Price[],
  { supabase }: db.UserCall,
): Promise<{ price: string }[]> {
  const keys: string[] = [];
  for (const price of present) {
    const key = await db.meteredPriceOf(supabase, planId, lookupKeyOf(price) ?? "");
    if (key !== null) keys.push(key);
  }
  if (keys.length === 0) return [];
  const { data } = await callingStripe(() =>
    stripe().prices.list({ lookup_keys: keys, active: true, limit: 100 })
  );
  return data.map(({ id }) => ({ price: id }));
}

/** Before items change or end: usage that Stripe hears of afterwards would be billed at another price, or never. */
async function settleMetered(
  subscription: Stripe.Subscription,
  { supabaseAdmin }: db.UserCall,
): Promise<void> {
  const customer = idOf(subscription.customer);
  if (customer === null || !subscription.items.data.some(isMetered)) return;
  await settleUsage(supabaseAdmin, customer);
}

/** Stripe refuses to change or end a subscription that a schedule manages. */
async function releaseSchedule(subscription: Stripe.Subscription): Promise<void> {
  const schedule = idOf(subscription.schedule);
  if (schedule === null) return;
  await callingStripe(() => stripe().subscriptionSchedules.release(schedule));
}

async function settled(subscription: Stripe.Subscription, call: db.UserCall): Promise<Json> {
  const customer = idOf(subscription.customer);
  if (customer !== null) {
    await syncCustomer(call.supabaseAdmin, customer);
    await followPlan(call.supabaseAdmin, customer);
  }
  return await db.myEntitlements(call.supabase);
}

/** The metered items become those of the new plan; if that fails now, usage-sync does it. */
async function followPlan(admin: db.Client, customer: string): Promise<void> {
  try {
    await attachMeteredItems(admin, customer);
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal_error";
    log("error", "metered_items_not_attached", { customer, code });
  }
}

/** One preview is applied once, however often it is sent. */
function changeKey({ subscription, to, quantity }: Change, prorationDate: number): string {
  return `change:${subscription.id}:${to.lookup_key}:${quantity}:${prorationDate}`;
}

/** A person may cancel, resume and cancel again within a day: each is a write of its own, numbered by us. */
async function writeKey(call: db.UserCall, { id }: Stripe.Subscription, what: string) {
  return { idempotencyKey: `${what}:${id}:${await db.nextSyncToken(call.supabaseAdmin)}` };
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

function idOf(value: string | { id: string } | null): string | null {
  return typeof value === "string" ? value : value?.id ?? null;
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

function nothingToChange(): AppError {
  return new AppError("subscription_not_found", "There is no subscription to change.");
}
