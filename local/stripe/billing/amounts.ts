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

/** In the smallest unit of `currency`. */
export function amountFor(
  work: Work,
  price: Price,
  quantity: number,
  currency = price.currency,
): number {
  const option = optionOf(work, price, currency);
  if (!option) throw wrongCurrency(price, currency, "price");
  if (!option.tiers) return (option.unit_amount ?? 0) * quantity;
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
    const each = Number(tier.unit_amount_decimal ?? tier.unit_amount ?? 0);
    const flat = Number(tier.flat_amount_decimal ?? tier.flat_amount ?? 0);
    return {
      tier: number,
      quantity: units,
      each,
      amount: Math.round(Number((each * units + flat).toFixed(6))),
    };
  });
}

export function wrongCurrency(price: Price, currency: string, param: string) {
  return invalid(
    `The price specified only supports \`${price.currency}\`. This doesn't match the expected currency: \`${currency}\`.`,
    param,
  );
}
