/**
 * Automatic tax: who pays how much, and why not. Tax is computed line by line, after discounts, and rounded half away
 * from zero (a credit gives back exactly what the same amount was charged).
 * https://docs.stripe.com/tax/how-tax-works
 */
import { invalid, StripeError } from "../engine/errors.ts";
import type {
  Customer,
  Invoice,
  InvoiceLine,
  PaymentMethod,
  Price,
  Subscription,
  TaxRegistration,
  TaxSettings,
} from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { optionOf } from "./amounts.ts";
import {
  type AddressLike,
  isEU,
  percentageOf,
  type Place,
  placeOf,
  rateId,
  rateOf,
} from "./tax_rates.ts";

export type LineTax = NonNullable<InvoiceLine["taxes"]>[number];
export type TaxBehavior = LineTax["tax_behavior"];

const SETTINGS = "tax_settings";
const UNSET: TaxSettings = {
  object: "tax.settings",
  defaults: { provider: "stripe", tax_behavior: null, tax_code: null },
  head_office: null,
  livemode: false,
  status: "pending",
  status_details: { pending: { missing_fields: ["head_office"] } },
};

export function taxSettings(work: Work): TaxSettings {
  const stored = work.store.meta(SETTINGS);
  return stored === null ? UNSET : JSON.parse(stored);
}

export function saveTaxSettings(work: Work, settings: TaxSettings): TaxSettings {
  work.store.setMeta(SETTINGS, JSON.stringify(settings));
  return settings;
}

export function registrationStatus(
  { active_from, expires_at }: TaxRegistration,
  now: number,
): TaxRegistration["status"] {
  if (expires_at !== null && expires_at <= now) return "expired";
  return active_from > now ? "scheduled" : "active";
}

/** A registration of the one-stop shop holds in the whole Union, a standard one in its own country. */
function covers({ country, country_options }: TaxRegistration, place: Place): boolean {
  if (place.country === "US") return country_options.us?.state === place.state;
  const types = Object.values(country_options).map((option) => option.type);
  if (types.some((type) => type === "oss_union" || type === "oss_non_union")) {
    return isEU(place.country);
  }
  return country === place.country;
}

function collectsIn(work: Work, place: Place): boolean {
  // In the sandbox's own time, also for a customer of a test clock and in a preview of a later day.
  const now = worldNow(work.store);
  return work.store.all("tax.registration", {})
    .some((each) => registrationStatus(each, now) === "active" && covers(each, place));
}

export interface TaxPlace extends Place {
  source: NonNullable<NonNullable<Customer["tax"]>["location"]>["source"];
}

/** Shipping, billing, then the card's address; the first that says anything decides, also when it is no good. */
export function customerPlace(
  work: Work,
  customer: Customer,
  method: PaymentMethod | null = null,
): TaxPlace | null {
  const chosen = customer.invoice_settings.default_payment_method;
  const card = method ?? (chosen ? work.find("payment_method", chosen) : null);
  const ways: [TaxPlace["source"], AddressLike | null | undefined][] = [
    ["shipping_destination", customer.shipping?.address],
    ["billing_address", customer.address],
    ["payment_method", card?.billing_details.address],
  ];
  for (const [source, address] of ways) {
    if (!address || !Object.values(address).some(Boolean)) continue;
    const place = placeOf(address);
    return place && { ...place, source };
  }
  return null;
}

/** The expandable `tax` of a customer. */
export function customerTax(work: Work, id: string): NonNullable<Customer["tax"]> {
  const place = customerPlace(work, work.require("customer", id));
  return {
    automatic_tax: place === null
      ? "unrecognized_location"
      : collectsIn(work, place)
      ? "supported"
      : "not_collecting",
    ip_address: work.hidden("customer", id).ip_address ?? null,
    location: place,
    provider: "stripe",
  };
}

export const noLocation = (message?: string) =>
  invalid(
    message ??
      "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax.",
    undefined,
    "customer_tax_location_invalid",
  );

/** What any request that turns automatic tax on must find: settings, and prices that say how they mean it. */
export function checkTaxReady(work: Work, prices: readonly Price[], currency: string): void {
  if (taxSettings(work).status !== "active") {
    throw new StripeError(400, {
      type: "invalid_request_error",
      message:
        "You must have a valid head office address to enable automatic tax calculation in test mode. Visit " +
        "https://dashboard.stripe.com/test/settings/tax to update it.",
    });
  }
  const silent = prices.find((price) => behaviorOf(work, price, currency) === null);
  if (silent) {
    throw invalid(
      `The price \`${silent.id}\` has no \`tax_behavior\`, and the tax settings have no default. Automatic tax needs one ` +
        "of them.",
      "automatic_tax[enabled]",
    );
  }
}

/** And what subscriptions and invoices need beside it: a customer whose place is known. */
export function checkTaxable(
  work: Work,
  customer: string,
  method: string | null,
  prices: readonly Price[],
  currency: string,
): void {
  checkTaxReady(work, prices, currency);
  const card = method === null ? null : work.find("payment_method", method);
  if (!customerPlace(work, work.require("customer", customer, "customer"), card)) {
    throw noLocation();
  }
}

/** The price's own, else the default of the settings; null when nobody says. */
function behaviorOf(work: Work, price: Price | null, currency: string): TaxBehavior | null {
  const own = price && (optionOf(work, price, currency) ?? price).tax_behavior;
  if (own === "exclusive" || own === "inclusive") return own;
  const { tax_behavior } = taxSettings(work).defaults;
  if (tax_behavior !== "inferred_by_currency") return tax_behavior;
  return currency === "usd" || currency === "cad" ? "exclusive" : "inclusive";
}

export interface TaxFor {
  place: Place;
  exempt: Customer["tax_exempt"];
  currency: string;
}

export function taxOn(work: Work, amount: number, price: Price | null, by: TaxFor): LineTax {
  const behavior = behaviorOf(work, price, by.currency) ?? "exclusive";
  const collects = collectsIn(work, by.place);
  const isDue = collects && by.exempt !== "exempt" && by.exempt !== "reverse";
  const percentage = isDue ? percentageOf(by.place) : 0;
  const inclusive = behavior === "inclusive";
  const tax = inclusive
    ? amount - rounded(amount * 1000, 1000 + percentage * 10)
    : rounded(amount * percentage * 10, 1000);
  const taxability_reason = !collects
    ? "not_collecting"
    : by.exempt === "exempt"
    ? "customer_exempt"
    : by.exempt === "reverse"
    ? "reverse_charge"
    : "standard_rated";
  return {
    amount: tax,
    tax_behavior: behavior,
    tax_rate_details: { tax_rate: rateId({ place: by.place, collects: isDue, inclusive }) },
    taxability_reason,
    taxable_amount: isDue ? (inclusive ? amount - tax : amount) : 0,
    type: "tax_rate_details",
  };
}

/** In whole numbers, half away from zero. */
function rounded(dividend: number, divisor: number): number {
  const half = Math.floor(Math.abs(dividend) / divisor + 0.5 + 1e-9);
  return half === 0 ? 0 : dividend < 0 ? -half : half;
}

export const onTop = (tax: LineTax | null | undefined): number =>
  tax?.tax_behavior === "exclusive" ? tax.amount : 0;

/** One for each rate, in the order of the lines. */
export function sumTaxes(taxes: readonly LineTax[]): LineTax[] {
  const sums = new Map<string, LineTax>();
  for (const tax of taxes) {
    const key = tax.tax_rate_details?.tax_rate ?? "";
    const old = sums.get(key);
    sums.set(
      key,
      !old ? tax : {
        ...old,
        amount: old.amount + tax.amount,
        taxable_amount: (old.taxable_amount ?? 0) + (tax.taxable_amount ?? 0),
      },
    );
  }
  return [...sums.values()];
}

/** «VAT Germany (19%)» */
export function taxName(tax: LineTax): string {
  const rate = rateOf(tax.tax_rate_details?.tax_rate ?? "");
  return rate ? `${rate.description} (${rate.percentage}%)` : "Tax";
}

export const taxSwitch = (enabled: boolean): Subscription["automatic_tax"] => ({
  disabled_reason: null,
  enabled,
  liability: enabled ? { type: "self" } : null,
});

export const invoiceTaxSwitch = (enabled: boolean): Invoice["automatic_tax"] => ({
  ...taxSwitch(enabled),
  disabled_reason: null,
  provider: enabled ? "stripe" : null,
  status: null,
});

export interface TaxedLines {
  lines: InvoiceLine[];
  patch: Pick<Invoice, "automatic_tax" | "total_taxes" | "subtotal_excluding_tax">;
  /** What comes on top of the discounted lines, and what is inside them. */
  exclusive: number;
  all: number;
}

/** The taxes of an invoice's discounted lines; none while the customer's place is unknown. */
export function taxLines(work: Work, invoice: Invoice, lines: InvoiceLine[]): TaxedLines {
  const customer = work.find("customer", invoice.customer ?? "");
  const place = invoice.automatic_tax.enabled && customer
    ? customerPlace(work, customer, methodOf(work, invoice))
    : null;
  const subtotal = lines.reduce((sum, line) => sum + line.amount, 0);
  if (!place || !customer) {
    const { enabled } = invoice.automatic_tax;
    const automatic_tax: Invoice["automatic_tax"] = {
      ...invoice.automatic_tax,
      status: enabled ? "requires_location_inputs" : null,
    };
    return {
      lines: lines.map((line) => ({ ...line, taxes: [] })),
      patch: { automatic_tax, total_taxes: [], subtotal_excluding_tax: subtotal },
      exclusive: 0,
      all: 0,
    };
  }
  const by = { place, exempt: customer.tax_exempt, currency: invoice.currency };
  let inside = 0;
  const taxed = lines.map((line) => {
    const price = work.find("price", line.pricing?.price_details?.price ?? "");
    const off = (line.pretax_credit_amounts ?? []).reduce((sum, each) => sum + each.amount, 0);
    const whole = taxOn(work, line.amount, price, by);
    inside += whole.amount - onTop(whole);
    return { ...line, taxes: [off === 0 ? whole : taxOn(work, line.amount - off, price, by)] };
  });
  const taxes = taxed.flatMap((line) => line.taxes);
  return {
    lines: taxed,
    patch: {
      automatic_tax: { ...invoice.automatic_tax, status: "complete" },
      total_taxes: sumTaxes(taxes),
      subtotal_excluding_tax: subtotal - inside,
    },
    exclusive: taxes.reduce((sum, tax) => sum + onTop(tax), 0),
    all: taxes.reduce((sum, tax) => sum + tax.amount, 0),
  };
}

function methodOf(work: Work, invoice: Invoice): PaymentMethod | null {
  const sub = invoice.parent?.subscription_details?.subscription;
  const id = invoice.default_payment_method ??
    (sub ? work.find("subscription", sub)?.default_payment_method : null);
  return id ? work.find("payment_method", id) : null;
}
