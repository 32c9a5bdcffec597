/** Words for amounts, times, cards and intervals. English, UTC: a sandbox must read the same on every machine. */
import type { CardView, PriceView } from "../hosted.ts";

/** Stripe's list, which differs from ISO 4217 in places: https://docs.stripe.com/currencies#zero-decimal */
const ZERO_DECIMAL = new Set(
  "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "),
);
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));

function decimalsOf(currency: string): number {
  if (ZERO_DECIMAL.has(currency)) return 0;
  return THREE_DECIMAL.has(currency) ? 3 : 2;
}

/** `1500, "usd"` → `$15.00`. */
export function money(minor: number, currency: string | null): string {
  const code = (currency ?? "usd").toLowerCase();
  const digits = decimalsOf(code);
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency: code.toUpperCase(),
    minimumFractionDigits: digits,
    // A price can be a fraction of the smallest unit; an amount cannot.
    maximumFractionDigits: Number.isInteger(minor) ? digits : digits + 12,
  }).format(minor / 10 ** digits);
}

const DAY = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
});
const SHORT_DAY = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});
const MINUTE = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZone: "UTC",
});

export const day = (seconds: number): string => DAY.format(seconds * 1000);
export const shortDay = (seconds: number): string => SHORT_DAY.format(seconds * 1000);
export const moment = (seconds: number): string => `${MINUTE.format(seconds * 1000)} UTC`;
/** For `<time datetime>`. */
export const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

export function every(interval: PriceView["interval"], count: number): string {
  if (interval === null) return "";
  return count === 1 ? `per ${interval}` : `every ${count} ${interval}s`;
}

/** `$15.00 per month`. */
export function priceText(price: {
  unit_amount: number;
  currency: string | null;
  interval: PriceView["interval"];
  interval_count: number;
}, quantity = 1): string {
  const amount = money(price.unit_amount * quantity, price.currency);
  return `${amount} ${every(price.interval, price.interval_count)}`.trim();
}

const BRANDS: Record<string, string> = {
  visa: "Visa",
  mastercard: "Mastercard",
  amex: "American Express",
  discover: "Discover",
  diners: "Diners Club",
  jcb: "JCB",
  unionpay: "UnionPay",
};

export const cardName = (card: CardView): string =>
  `${BRANDS[card.brand] ?? capital(card.brand)} ending in ${card.last4}`;

export const cardExpiry = (card: CardView): string =>
  `${String(card.exp_month).padStart(2, "0")}/${String(card.exp_year).slice(-2)}`;

/** `past_due` → `Past due`. */
export function capital(words: string): string {
  const spaced = words.replaceAll("_", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export const plural = (count: number, one: string): string =>
  `${count} ${one}${count === 1 ? "" : "s"}`;

/** Tone of a status badge; an unknown status stays neutral. */
export function toneOf(status: string | null): "good" | "wait" | "bad" | "plain" {
  if (status === null) return "plain";
  if (["active", "trialing", "paid", "delivered", "enabled", "ready"].includes(status)) {
    return "good";
  }
  if (["open", "draft", "pending", "past_due", "incomplete", "advancing"].includes(status)) {
    return "wait";
  }
  if (["unpaid", "failed", "uncollectible", "internal_failure"].includes(status)) return "bad";
  return "plain";
}
