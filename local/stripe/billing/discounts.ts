/**
 * Coupons redeemed: discounts of customers, subscriptions and Checkout sessions, and what they take off an invoice.
 * https://docs.stripe.com/billing/subscriptions/coupons
 */
import { invalid } from "../engine/errors.ts";
import {
  type Coupon,
  type Discount,
  type InvoiceLine,
  newId,
  type PromotionCode,
  type Subscription,
  type Terms,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { addIntervals } from "./period.ts";

export interface Redemption {
  coupon?: string;
  promotion_code?: string;
  /** One that is there already and stays. */
  discount?: string;
}
interface Target {
  customer: string | null;
  subscription?: string;
  checkout_session?: string;
  /** What is bought, for minimum amounts and currencies. */
  currency?: string;
  amount?: number;
}

/** The coupon behind a redemption, or Stripe's refusal. */
export function couponOf(work: Work, by: Redemption, target: Target, param: string): Coupon {
  if ([by.coupon, by.promotion_code, by.discount].filter((id) => id !== undefined).length !== 1) {
    throw invalid(
      "You must pass exactly one of `coupon`, `discount` or `promotion_code`.",
      param,
      "parameters_exclusive",
    );
  }
  const code = by.promotion_code === undefined
    ? null
    : work.require("promotion_code", by.promotion_code, `${param}[promotion_code]`);
  const id = code?.promotion.coupon ?? by.coupon ?? "";
  const coupon = work.require("coupon", id, `${param}[coupon]`);
  const isOver = coupon.redeem_by !== null && coupon.redeem_by <= work.now();
  if (!coupon.valid || isOver) {
    throw invalid(`Coupon expired: ${coupon.id}`, `${param}[coupon]`, "coupon_expired");
  }
  if (code) checkCode(work, code, target, param);
  const isOther = coupon.percent_off === null && target.currency !== undefined &&
    amountOff(termsOf(work, coupon), target.currency) === null;
  if (isOther) {
    throw invalid(
      `The coupon's currency (${coupon.currency}) does not match \`${target.currency}\`.`,
      `${param}[coupon]`,
    );
  }
  return coupon;
}

function checkCode(work: Work, code: PromotionCode, target: Target, param: string): void {
  const refuse = (why: string) =>
    invalid(
      `This promotion code cannot be redeemed because ${why}.`,
      `${param}[promotion_code]`,
      "promotion_code_invalid",
    );
  const isOver = code.expires_at !== null && code.expires_at <= work.now();
  if (!code.active || isOver) throw refuse("it is not active");
  if (code.customer !== null && code.customer !== target.customer) {
    throw refuse("it belongs to another customer");
  }
  const { first_time_transaction, minimum_amount, minimum_amount_currency } = code.restrictions;
  if (first_time_transaction && target.customer !== null && hasPaid(work, target.customer)) {
    throw refuse("the associated customer has prior transactions");
  }
  if (minimum_amount === null || target.amount === undefined) return;
  const isEnough = target.currency === minimum_amount_currency && target.amount >= minimum_amount;
  if (!isEnough) throw refuse("the order does not reach its minimum amount");
}

function hasPaid(work: Work, customer: string): boolean {
  return work.store.all("invoice", { customer, status: "paid" }).some((each) =>
    each.amount_paid > 0
  ) || work.store.all("payment_intent", { customer, status: "succeeded" }).length > 0;
}

/** A coupon's terms, kept with each discount: deleting the coupon does not end what was redeemed. */
export function termsOf(work: Work, coupon: Coupon): Terms {
  const { amount_off, currency, duration, percent_off } = coupon;
  return { amount_off, currency, duration, percent_off, ...work.hidden("coupon", coupon.id) };
}

const termsOfDiscount = (work: Work, id: string): Terms | null =>
  work.find("discount", id) ? work.hidden("discount", id) : null;

/** In the smallest unit of the currency; null when the coupon has no amount in it. */
function amountOff(terms: Terms, currency: string): number | null {
  if (terms.currency === currency) return terms.amount_off;
  return terms.currency_options?.[currency]?.amount_off ?? null;
}

/** Redeems: the discount comes to be and the coupon (and its code) is counted. */
export function redeem(work: Work, by: Redemption, target: Target, param: string): Discount {
  if (by.discount !== undefined) return work.require("discount", by.discount, `${param}[discount]`);
  const coupon = couponOf(work, by, target, param);
  const start = work.now(work.clockOf(target.customer));
  const discount: Discount = {
    id: newId("di_"),
    object: "discount",
    checkout_session: target.checkout_session ?? null,
    customer: target.customer,
    customer_account: null,
    end: coupon.duration === "repeating"
      ? addIntervals(start, "month", coupon.duration_in_months ?? 1)
      : null,
    invoice: null,
    invoice_item: null,
    promotion_code: by.promotion_code ?? null,
    source: { coupon: coupon.id, type: "coupon" },
    start,
    subscription: target.subscription ?? null,
    subscription_item: null,
  };
  count(work, coupon, by.promotion_code ?? null);
  return work.create("discount", discount, termsOf(work, coupon), {
    clock: work.clockOf(target.customer),
    event: "customer.discount.created",
  });
}

export function count(work: Work, coupon: Coupon, codeId: string | null): void {
  const times = coupon.times_redeemed + 1;
  const { max_redemptions: max } = coupon;
  const valid = coupon.valid && (max === null || times < max);
  work.change("coupon", coupon.id, { times_redeemed: times, valid }, "coupon.updated");
  const code = codeId === null ? null : work.find("promotion_code", codeId);
  if (!code) return;
  const redeemed = code.times_redeemed + 1;
  const isLeft = code.max_redemptions === null || redeemed < code.max_redemptions;
  const active = code.active && isLeft && valid;
  const patch = { times_redeemed: redeemed, active };
  work.change("promotion_code", code.id, patch, "promotion_code.updated");
}

export function removeDiscount(work: Work, id: string): Discount | null {
  const discount = work.find("discount", id);
  if (discount) work.emit("customer.discount.deleted", discount);
  return discount;
}

/** Those that still count: a repeating one ends. The subscription's, or the customer's when it has none. */
export function discountsFor(work: Work, customer: string, sub: Subscription | null): string[] {
  const now = work.now(work.clockOf(customer));
  const own = (sub?.discounts ?? []).filter((id) => isLive(work.find("discount", id), now));
  if (own.length > 0) return own;
  const theirs = work.find("customer", customer)?.discount ?? null;
  return theirs && isLive(theirs, now) ? [theirs.id] : [];
}

const isLive = (discount: Discount | null, now: number) =>
  discount !== null && (discount.end === null || discount.end > now);

export interface Part {
  amount: number;
  product: string | null;
  discountable: boolean;
}

/**
 * What a coupon takes off each part: its percentage of each, rounded half up, or its amount spread over them in
 * proportion, the odd unit to the last. Never more than there is.
 */
export function spread(
  terms: Terms,
  parts: readonly Part[],
  currency: string,
): number[] {
  const { products, percent_off: percent } = terms;
  const counts = (part: Part) =>
    part.discountable && part.amount > 0 &&
    (!products || (part.product !== null && products.includes(part.product)));
  if (percent !== null) {
    // In whole millionths: 33.3 % of 1500 must be 499.5, which a binary fraction is not.
    const millionths = Math.round(percent * 10_000);
    return parts.map((part) => counts(part) ? Math.round(part.amount * millionths / 1e6) : 0);
  }
  const whole = parts.filter(counts).reduce((sum, part) => sum + part.amount, 0);
  const off = Math.min(whole, amountOff(terms, currency) ?? 0);
  let left = off;
  let seen = 0;
  return parts.map((part) => {
    if (!counts(part)) return 0;
    seen += part.amount;
    const share = seen === whole ? left : Math.round(off * part.amount / whole);
    left -= share;
    return share;
  });
}

export interface Discounted {
  lines: InvoiceLine[];
  total_discount_amounts: { amount: number; discount: string }[];
}

/** Each discount in turn, on what the ones before it left. */
export function discountLines(
  work: Work,
  lines: readonly InvoiceLine[],
  ids: readonly string[],
  currency: string,
): Discounted {
  let out = lines.map((line): InvoiceLine => ({ ...line, discount_amounts: [] }));
  const sums = ids.flatMap((id) => {
    const terms = termsOfDiscount(work, id);
    if (!terms) return [];
    const parts = out.map((line): Part => ({
      amount: line.amount - discountOf(line),
      product: line.pricing?.price_details?.product ?? null,
      discountable: line.discountable,
    }));
    const shares = spread(terms, parts, currency);
    out = out.map((line, i) => ({
      ...line,
      discount_amounts: line.discountable
        ? [...(line.discount_amounts ?? []), { amount: shares[i] ?? 0, discount: id }]
        : [],
    }));
    return [{ amount: shares.reduce((sum, share) => sum + share, 0), discount: id }];
  });
  return { lines: out, total_discount_amounts: sums };
}

export const discountOf = (line: InvoiceLine) =>
  (line.discount_amounts ?? []).reduce((sum, each) => sum + each.amount, 0);

/** What an amount of one product is after the discounts: how prorations include them (`proration_discounts: included`). */
export function netOf(
  work: Work,
  amount: number,
  product: string,
  ids: readonly string[],
  currency: string,
): number {
  return ids.reduce((rest, id) => {
    const terms = termsOfDiscount(work, id);
    if (!terms) return rest;
    const [off = 0] = spread(terms, [{ amount: rest, product, discountable: true }], currency);
    return rest - off;
  }, amount);
}

/** A discount that holds `once` is gone after the first invoice it lowered. */
export function useUp(
  work: Work,
  used: readonly { amount: number; discount: string }[],
  quiet: boolean,
): void {
  for (const { amount, discount: id } of used) {
    const discount = work.find("discount", id);
    const terms = termsOfDiscount(work, id);
    if (!discount || terms?.duration !== "once" || amount === 0) continue;
    const sub = discount.subscription ? work.find("subscription", discount.subscription) : null;
    const isThere = sub?.discounts.includes(id) ?? false;
    if (sub && isThere) {
      const discounts = sub.discounts.filter((each) => each !== id);
      const event = quiet ? undefined : "customer.subscription.updated";
      work.change("subscription", sub.id, { discounts }, event);
      work.emit("customer.discount.deleted", discount);
    }
    const customer = discount.customer ? work.find("customer", discount.customer) : null;
    if (customer?.discount?.id === id) {
      work.change("customer", customer.id, { discount: null }, "customer.updated");
      work.emit("customer.discount.deleted", discount);
    }
  }
}
