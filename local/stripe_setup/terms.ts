import Stripe from "stripe";

/** What a price costs, in one shape for a row's price and Stripe's. Amounts are decimal text in the smallest unit. */
export interface Terms {
  /** Of ours a reference, until the product's id is known. */
  product: string;
  currency: string;
  /** Null for a price with tiers. */
  amount: string | null;
  /** In currencies beside its own. */
  options: Record<string, string>;
  tiersMode: string | null;
  tiers: Tier[];
  /** `month`, `2 weeks`; null for what is bought once. */
  interval: string | null;
  meter: string | null;
  /** What we never ask for: packages, an amount the customer chooses. */
  isOdd: boolean;
}

export interface Tier {
  upTo: number | null;
  unit: string;
  flat: string;
}

/** Reads a price that came with `currency_options` and `tiers`. */
export function termsOf(price: Stripe.Price): Terms {
  const { recurring } = price;
  const options = Object.entries(price.currency_options ?? {})
    // Stripe lists the price's own currency among them.
    .filter(([currency]) => currency !== price.currency)
    .map(([currency, option]) => [currency, text(option.unit_amount_decimal) ?? "none"]);
  return {
    product: idOf(price.product),
    currency: price.currency,
    amount: text(price.unit_amount_decimal),
    options: Object.fromEntries(options),
    tiersMode: price.tiers_mode,
    tiers: (price.tiers ?? []).map((tier) => ({
      upTo: tier.up_to,
      unit: text(tier.unit_amount_decimal) ?? "0",
      flat: text(tier.flat_amount_decimal) ?? "0",
    })),
    interval: recurring === null
      ? null
      : recurring.interval_count === 1
      ? recurring.interval
      : `${recurring.interval_count} ${recurring.interval}s`,
    meter: recurring?.meter ?? null,
    isOdd: price.transform_quantity !== null || price.custom_unit_amount !== null,
  };
}

export function idOf(value: string | { id: string }): string {
  return typeof value === "string" ? value : value.id;
}

/** As text: inside a map SDK 23.1 leaves a decimal the string it came as, whatever its type says. */
function text(amount: Stripe.Decimal | string | null | undefined): string | null {
  return amount === null || amount === undefined ? null : amount.toString();
}

/** Whether a price at Stripe can be sold for the row: all is as wanted, and no currency is there that nobody asked for. */
export function isSellable(theirs: Terms, wanted: Terms): boolean {
  return theirs.product === wanted.product && theirs.currency === wanted.currency &&
    theirs.interval === wanted.interval && theirs.meter === wanted.meter && !theirs.isOdd &&
    sameAmount(theirs.amount, wanted.amount) && sameTiers(theirs, wanted) &&
    // Checkout offers a currency by where the buyer is, so one that no row has would be sold.
    Object.entries(theirs.options).every(([currency, amount]) =>
      sameAmount(amount, wanted.options[currency] ?? null)
    );
}

/** The currencies a price lacks. One may be added to it; an amount that is there is never changed. */
export function missingOptions(theirs: Terms, wanted: Terms): Record<string, string> {
  const missing = Object.entries(wanted.options)
    .filter(([currency]) => theirs.options[currency] === undefined);
  return Object.fromEntries(missing);
}

function sameTiers(theirs: Terms, wanted: Terms): boolean {
  return theirs.tiersMode === wanted.tiersMode && theirs.tiers.length === wanted.tiers.length &&
    wanted.tiers.every((tier, index) => {
      const other = theirs.tiers[index];
      return other !== undefined && other.upTo === tier.upTo &&
        sameAmount(other.unit, tier.unit) && sameAmount(other.flat, tier.flat);
    });
}

function sameAmount(one: string | null, other: string | null): boolean {
  if (one === null || other === null) return one === other;
  if (one === other) return true;
  return one !== "none" && other !== "none" &&
    Stripe.Decimal.from(one).eq(Stripe.Decimal.from(other));
}

/** `$15.00 a month, €14.00` for a person to read. */
export function describe(terms: Terms): string {
  const main = terms.amount === null
    ? `${terms.tiersMode ?? "no"} tiers ${
      terms.tiers.map((tier) => tierText(tier, terms)).join(" ")
    }`
    : money(terms.amount, terms.currency);
  const each = terms.meter === null ? "" : " a unit";
  const often = terms.interval === null ? "" : each || ` a ${terms.interval}`;
  const others = Object.entries(terms.options).toSorted()
    .map(([currency, amount]) => `, ${money(amount, currency)}`);
  return `${main}${often}${others.join("")}`;
}

function tierText({ upTo, unit, flat }: Tier, { currency }: Terms): string {
  const fixed = Number(flat) > 0 ? `+${money(flat, currency)}` : "";
  return `[to ${upTo ?? "∞"}: ${money(unit, currency)}${fixed}]`;
}

/** Only to be read: the float never goes anywhere else. */
export function money(minor: string, currency: string): string {
  if (minor === "none") return `${currency} (no amount)`;
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits + 6,
  }).format(Number(minor) / 10 ** digits);
}
