/** Selling: the creator's account in plain words, the form of a listing, sales and earnings. Pure. */

import { type Cell, toCsv } from "./csv.ts";
import type { Kind, Listing } from "./marketplace.ts";
import { formatMoney, minorToDecimal, parseMoney } from "./money.ts";
import type { Tone } from "./subscription.ts";
import { addDays, countDays, type Day, type Range } from "./usage-history.ts";

export interface Balance {
  currency: string;
  /** What lies at Stripe and was not paid out; below zero after a refund of what was. */
  balanceMinor: number;
  earnedMinor: number;
  paidOutMinor: number;
  sales: number;
}

export interface Seller {
  /** onboarding, active, paused, closed. */
  status: string;
  pausedReason: string | null;
  /** What Stripe still wants, in its words. */
  requirements: string[];
  displayName: string;
  country: string | null;
  /** The marketplace's part, in hundredths of a percent. */
  feeBps: number;
  balances: Balance[];
}

export interface Sale {
  day: Day;
  listingId: string | null;
  title: string;
  reference: string;
  amountMinor: number;
  feeMinor: number;
  /** After the fee, refunds and disputes. */
  earnedMinor: number;
  currency: string;
  status: string;
}

export interface EarningDay {
  day: Day;
  sales: number;
  earnedMinor: number;
}

export interface Payout {
  id: string;
  amountMinor: number;
  currency: string;
  status: string;
  createdAt: number;
  arrivesOn: Day | null;
}

/** A listing as its seller has it. */
export interface OwnListing extends Listing {
  /** null once that agent is deleted; what was published stays. */
  agentId: string | null;
  /** Counts publications; 0: never. */
  version: number;
  updatedAt: number;
}

// ---------------------------------------------------------------------------------------------------
// What Stripe still wants

/** By the names in `requirements` of an account (docs.stripe.com/connect/handling-api-verification). */
const REQUIREMENTS: [RegExp, string][] = [
  [
    /external_account|bank_account|payout_method|default_outbound_destination/,
    "A bank account for payouts",
  ],
  [/tos_acceptance|terms_of_service|attestations/, "Your agreement to Stripe’s terms"],
  [/verification\.(additional_)?document|documents/, "A photo of an identity document"],
  [/\bdob\b|date_of_birth/, "Your date of birth"],
  [/(id_number|ssn_last_4|id_numbers)/, "Your national ID number"],
  [/tax_id|vat_id/, "Your tax number"],
  [/address/, "Your address"],
  [/phone/, "A phone number"],
  [/email/, "An e-mail address"],
  [/(first_name|last_name|given_name|surname|\bname\b)/, "Your name"],
  [/(business_type|entity_type)/, "Whether you sell as a person or a company"],
  [/(business_profile\.(url|product_description)|defaults\.profile)/, "What you sell, and where"],
  [/(business_profile\.mcc|\bmcc\b)/, "Your line of business"],
  [/(owners|directors|executives|representative|relationship)/, "Who owns and runs the company"],
];

/** What is still wanted, each once; what is not known is told in Stripe's own words, made readable. */
export function requirementTexts(requirements: string[]): string[] {
  return [...new Set(requirements.map(requirementText))];
}

function requirementText(name: string): string {
  const known = REQUIREMENTS.find(([pattern]) => pattern.test(name));
  if (known) return known[1];
  const words = (name.split(".").at(-1) ?? name).replaceAll("_", " ").trim();
  return words ? `${words[0]?.toUpperCase()}${words.slice(1)}` : "More details";
}

// ---------------------------------------------------------------------------------------------------
// The form of a listing

export const MAX_TITLE = 80;
export const MAX_DESCRIPTION = 5000;
const MAX_PRICE_MINOR = 99_999_999;

export interface ListingForm {
  agentId: string;
  title: string;
  description: string;
  kind: Kind;
  /** As it was typed. */
  price: string;
  currency: string;
}

export interface ListingFields {
  agentId: string;
  title: string;
  description: string;
  kind: Kind;
  priceMinor: number;
  currency: string;
}

export type FormProblems = Partial<Record<keyof ListingForm, string>>;

/** What can be stored, or what is wrong with which field. `minimums`: the smallest price per currency. */
export function readListingForm(
  form: ListingForm,
  minimums: Record<string, number>,
): { fields: ListingFields } | { problems: FormProblems } {
  const problems: FormProblems = {};
  const title = form.title.trim();
  const description = form.description.trim();
  if (!form.agentId) problems.agentId = "Choose the agent that you sell.";
  if (!title) problems.title = "Give it a title.";
  if ([...title].length > MAX_TITLE) problems.title = `Use ${MAX_TITLE} characters at most.`;
  if ([...description].length > MAX_DESCRIPTION) {
    problems.description = `Use ${MAX_DESCRIPTION.toLocaleString("en-US")} characters at most.`;
  }
  const priceMinor = parseMoney(form.price, form.currency);
  const priceProblem = problemOfPrice(priceMinor, form.currency, minimums);
  if (priceProblem) problems.price = priceProblem;
  if (priceMinor === null || Object.keys(problems).length > 0) return { problems };
  const { agentId, kind, currency } = form;
  return { fields: { agentId, title, description, kind, priceMinor, currency } };
}

function problemOfPrice(
  priceMinor: number | null,
  currency: string,
  minimums: Record<string, number>,
): string | null {
  if (priceMinor === null) return "Enter an amount, such as 12 or 4.50.";
  const minimum = minimums[currency];
  if (minimum === undefined) return "Choose another currency.";
  if (priceMinor < minimum) return `The lowest price is ${formatMoney(minimum, currency)}.`;
  if (priceMinor > MAX_PRICE_MINOR) {
    return `The highest price is ${formatMoney(MAX_PRICE_MINOR, currency)}.`;
  }
  return null;
}

/** What is left of a price after the marketplace's part, which is rounded to the nearest minor unit. */
export function earningOf(priceMinor: number, feeBps: number): number {
  return priceMinor - Math.floor((priceMinor * feeBps + 5_000) / 10_000);
}

/** `20 %`, `12.5 %`. */
export function percentText(bps: number): string {
  return `${bps / 100} %`;
}

// ---------------------------------------------------------------------------------------------------
// Sales, earnings, payouts

const SALE_STATES = new Map<string, { label: string; tone: Tone }>(Object.entries({
  paid: { label: "Paid", tone: "good" },
  active: { label: "Active", tone: "good" },
  processing: { label: "Processing", tone: "warn" },
  past_due: { label: "Payment due", tone: "warn" },
  refunded: { label: "Refunded", tone: "plain" },
  partially_refunded: { label: "Partly refunded", tone: "warn" },
  disputed: { label: "Disputed", tone: "warn" },
  lost: { label: "Charged back", tone: "bad" },
  canceled: { label: "Ended", tone: "plain" },
  failed: { label: "Failed", tone: "bad" },
}));

export function saleState(status: string): { label: string; tone: Tone } {
  return SALE_STATES.get(status) ?? { label: status.replaceAll("_", " "), tone: "plain" };
}

const PAYOUT_STATES = new Map<string, { label: string; tone: Tone }>(Object.entries({
  paid: { label: "Paid", tone: "good" },
  pending: { label: "On its way", tone: "plain" },
  in_transit: { label: "On its way", tone: "plain" },
  failed: { label: "Failed", tone: "bad" },
  canceled: { label: "Cancelled", tone: "plain" },
}));

export function payoutState(status: string): { label: string; tone: Tone } {
  return PAYOUT_STATES.get(status) ?? { label: status.replaceAll("_", " "), tone: "plain" };
}

/** Every day of the range, with nothing on the days that have no row. */
export function fillEarnings(rows: EarningDay[], range: Range): EarningDay[] {
  const known = new Map(rows.map((row) => [row.day, row]));
  return Array.from({ length: countDays(range) }, (_, index) => {
    const day = addDays(range.from, index);
    return known.get(day) ?? { day, sales: 0, earnedMinor: 0 };
  });
}

export interface EarningTotals {
  sales: number;
  earnedMinor: number;
  /** The day that earned most; null when none did. */
  best: EarningDay | null;
}

export function earningTotals(days: EarningDay[]): EarningTotals {
  const totals: EarningTotals = { sales: 0, earnedMinor: 0, best: null };
  for (const day of days) {
    totals.sales += day.sales;
    totals.earnedMinor += day.earnedMinor;
    if (day.earnedMinor > (totals.best?.earnedMinor ?? 0)) totals.best = day;
  }
  return totals;
}

export function salesCsv(sales: Sale[]): string {
  const header = [
    "Day (UTC)",
    "Listing",
    "Reference",
    "Status",
    "Price",
    "Fee",
    "Earned",
    "Currency",
  ];
  const rows = sales.map((sale): Cell[] => [
    sale.day,
    sale.title,
    sale.reference,
    sale.status,
    { decimal: minorToDecimal(sale.amountMinor, sale.currency) },
    { decimal: minorToDecimal(sale.feeMinor, sale.currency) },
    { decimal: minorToDecimal(sale.earnedMinor, sale.currency) },
    sale.currency.toUpperCase(),
  ]);
  return toCsv(header, rows);
}

export function salesFileName({ from, to }: Range): string {
  return `tollgate-sales-${from}-to-${to}.csv`;
}
