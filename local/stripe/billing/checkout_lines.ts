/** What a Checkout session sells: its lines, their discounts and taxes, and what is due now. */
import type { CheckoutSession, LineItem, Price } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { upfront } from "./amounts.ts";
import { type Redemption, spread, termsOf } from "./discounts.ts";
import { productName } from "./lines.ts";
import { customerPlace, type LineTax, onTop, type TaxFor, taxOn } from "./tax.ts";
import { placeOf } from "./tax_rates.ts";

export interface CheckoutLine {
  id: string;
  price: Price;
  /** Not for what is metered. */
  quantity?: number;
}

export function checkoutLines(work: Work, id: string): CheckoutLine[] {
  return work.hidden("checkout.session", id).lines.map((line) => ({
    ...line,
    price: work.require("price", line.price),
  }));
}

/** A line with its price in the session's currency and what the session's discount takes off it today. */
export interface PricedLine extends CheckoutLine {
  amount: number;
  discount: number;
  /** Null without automatic tax, and while the place is unknown. */
  tax: LineTax | null;
}

export function pricedLines(
  work: Work,
  lines: readonly CheckoutLine[],
  currency: string,
  by: Redemption | null,
  isTrial: boolean,
  tax: TaxFor | null = null,
): PricedLine[] {
  const discounted = discountedLines(work, lines, currency, by, isTrial);
  return discounted.map((line) => ({
    ...line,
    tax: tax && taxOn(work, line.amount - line.discount, line.price, tax),
  }));
}

function discountedLines(
  work: Work,
  lines: readonly CheckoutLine[],
  currency: string,
  by: Redemption | null,
  isTrial: boolean,
): Omit<PricedLine, "tax">[] {
  const priced = lines.map((line) => ({
    ...line,
    amount: upfront(work, line.price, line.quantity ?? 1, currency),
    discount: 0,
  }));
  if (by === null) return priced;
  const code = by.promotion_code ? work.require("promotion_code", by.promotion_code) : null;
  const coupon = work.find("coupon", code?.promotion.coupon ?? by.coupon ?? "");
  if (!coupon) return priced;
  const parts = priced.map(({ amount, price }) => ({
    amount,
    product: price.product,
    // In a trial nothing recurring is paid today.
    discountable: !(isTrial && price.type === "recurring"),
  }));
  const shares = spread(termsOf(work, coupon), parts, currency);
  return priced.map((line, i) => ({ ...line, discount: shares[i] ?? 0 }));
}

export function sessionLines(work: Work, session: CheckoutSession): PricedLine[] {
  const currency = session.currency ?? "usd";
  const lines = checkoutLines(work, session.id);
  const tax = sessionTax(work, session);
  return pricedLines(work, lines, currency, redemptionOf(session), isTrial(work, session.id), tax);
}

/** Where and how a session is taxed; null without automatic tax, and while the place is unknown. */
export function sessionTax(work: Work, session: CheckoutSession): TaxFor | null {
  if (!session.automatic_tax.enabled) return null;
  const { address = null } = work.hidden("checkout.session", session.id).tax ?? {};
  const customer = session.customer ? work.find("customer", session.customer) : null;
  const place = address ? placeOf(address) : customer && customerPlace(work, customer);
  const currency = session.currency ?? "usd";
  return place && { place, exempt: customer?.tax_exempt ?? "none", currency };
}

export function isTrial(work: Work, id: string): boolean {
  const { subscription } = work.hidden("checkout.session", id);
  return subscription?.trial_end != null || subscription?.trial_period_days != null;
}

export function redemptionOf(session: CheckoutSession): Redemption | null {
  const [first] = session.discounts ?? [];
  if (!first) return null;
  return first.promotion_code
    ? { promotion_code: first.promotion_code }
    : { coupon: first.coupon ?? "" };
}

/** What is due now: in a trial nothing recurring, and never less than nothing. */
export function dueNow(lines: readonly PricedLine[], trial: boolean) {
  const today = lines.filter((each) => !(trial && each.price.type === "recurring"));
  const subtotal = today.reduce((sum, each) => sum + each.amount, 0);
  const discount = today.reduce((sum, each) => sum + each.discount, 0);
  const added = today.reduce((sum, each) => sum + onTop(each.tax), 0);
  const tax = today.reduce((sum, each) => sum + (each.tax?.amount ?? 0), 0);
  return { subtotal, discount, tax, total: subtotal - discount + added };
}

/** The session's amounts as its lines, its discount and its place make them. */
export function reckon(work: Work, session: CheckoutSession): CheckoutSession {
  const { id, automatic_tax } = session;
  const due = dueNow(sessionLines(work, session), isTrial(work, id));
  const isPlaced = sessionTax(work, session) !== null;
  const status = isPlaced ? "complete" : "requires_location_inputs";
  return work.change("checkout.session", id, {
    amount_total: due.total,
    automatic_tax: { ...automatic_tax, status: automatic_tax.enabled ? status : null },
    discounts: session.discounts,
    payment_status: due.total === 0 ? "no_payment_required" : "unpaid",
    total_details: { amount_discount: due.discount, amount_shipping: 0, amount_tax: due.tax },
  });
}

export function lineItems(work: Work, id: string): LineItem[] {
  const session = work.require("checkout.session", id);
  return sessionLines(work, session).map(({ id, price, quantity, amount, discount, tax }) => ({
    id,
    object: "item",
    adjustable_quantity: null,
    amount_discount: discount,
    amount_subtotal: amount,
    amount_tax: tax?.amount ?? 0,
    amount_total: amount - discount + onTop(tax),
    currency: session.currency ?? price.currency,
    description: productName(work, price),
    metadata: {},
    price,
    quantity: quantity ?? null,
  }));
}

/** What the session's discount takes off a line each period, and for how many months; null when it ends with today. */
export function lastingDiscount(
  work: Work,
  session: CheckoutSession,
  line: string,
): { amount: number; months: number | null } | null {
  const by = redemptionOf(session);
  const code = by?.promotion_code ? work.find("promotion_code", by.promotion_code) : null;
  const coupon = work.find("coupon", code?.promotion.coupon ?? by?.coupon ?? "");
  if (!by || !coupon || coupon.duration === "once") return null;
  const currency = session.currency ?? "usd";
  const recurring = checkoutLines(work, session.id)
    .filter(({ price }) => price.type === "recurring");
  const found = pricedLines(work, recurring, currency, by, false).find(({ id }) => id === line);
  if (!found || found.discount === 0) return null;
  const months = coupon.duration === "repeating" ? coupon.duration_in_months ?? 1 : null;
  return { amount: found.discount, months };
}
