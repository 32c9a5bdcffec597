/** What a price costs: per unit or in tiers, in its own currency or one of its `currency_options`. */
import { invalid } from "../engine/errors.ts";
import type { Price, PriceOption, PriceTier } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";

/** The price as its `currency` has it, or null when it has none. */
export function optionOf(work: Work, price: Price, currency: string): PriceOption | null {
  const { currency_options, tiers } = work.hidden("price", price.id);
  if (currency !== price.currency) return currency_options?.[currency] ?? null;
  return {
    custom_unit_amount: null,
    tax_behavior: price.tax_behavior,
    unit_amount: price.unit_amount,
    unit_amount_decimal: price.unit_amount_decimal,
    ...(tiers ? { tiers } : {}),
  };
}

export const isMetered = (price: Price) => price.recurring?.usage_type === "metered";

const PLACES = 12;

/** A decimal text as a whole number of 10⁻¹². */
function scaled(text: string): bigint {
  const [whole = "0", fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(PLACES, "0").slice(0, PLACES));
}

/** Decimal amounts times whole numbers, summed up and rounded half up to the smallest unit. */
function total(parts: readonly { each: string; units: number }[]): number {
  const sum = parts.reduce((all, part) => all + scaled(part.each) * BigInt(part.units), 0n);
  const unit = 10n ** BigInt(PLACES);
  return Number((sum + unit / 2n) / unit);
}

/** The quantity that is paid for: usage may be counted in packages. */
function packages(price: Price, quantity: number): number {
  const { divide_by = 1, round = "up" } = price.transform_quantity ?? {};
  return round === "up" ? Math.ceil(quantity / divide_by) : Math.floor(quantity / divide_by);
}

/** What is paid in advance, in the smallest unit of `currency`: nothing for what is metered. */
export function upfront(work: Work, price: Price, quantity: number, currency: string): number {
  return isMetered(price) ? 0 : amountFor(work, price, quantity, currency);
}

/** In the smallest unit of `currency`. */
export function amountFor(
  work: Work,
  price: Price,
  quantity: number,
  currency = price.currency,
): number {
  const option = optionOf(work, price, currency);
  if (!option) throw wrongCurrency(price, currency, "price");
  if (!option.tiers) {
    return total([{
      each: option.unit_amount_decimal ?? String(option.unit_amount ?? 0),
      units: packages(price, quantity),
    }]);
  }
  return tierParts(option.tiers, price.tiers_mode, quantity)
    .reduce((sum, part) => sum + part.amount, 0);
}

export interface TierPart {
  tier: number;
  quantity: number;
  amount: number;
  each: number;
}

/**
 * Graduated: each unit costs what its tier says, and a tier that is reached adds its flat amount. Volume: the tier of the
 * whole quantity counts for every unit. https://docs.stripe.com/products-prices/pricing-models#tiered-pricing
 */
export function tierParts(
  tiers: readonly PriceTier[],
  mode: Price["tiers_mode"],
  quantity: number,
): TierPart[] {
  let below = 0;
  const reached = tiers.map((tier, i) => {
    const top = tier.up_to ?? Infinity;
    const units = Math.max(0, Math.min(quantity, top) - below);
    const holds = quantity > below && quantity <= top;
    below = top;
    return { tier, number: i + 1, units, holds };
  });
  const chosen = mode === "volume"
    ? reached.filter((each) => each.holds).map((each) => ({ ...each, units: quantity }))
    : reached.filter((each) => each.units > 0);
  return chosen.map(({ tier, number, units }) => {
    const each = String(tier.unit_amount_decimal ?? tier.unit_amount ?? 0);
    const flat = String(tier.flat_amount_decimal ?? tier.flat_amount ?? 0);
    const amount = total([{ each, units }, { each: flat, units: 1 }]);
    return { tier: number, quantity: units, each: Number(each), amount };
  });
}

export function wrongCurrency(price: Price, currency: string, param: string) {
  return invalid(
    `The price specified only supports \`${price.currency}\`. This doesn't match the expected currency: \`${currency}\`.`,
    param,
  );
}
