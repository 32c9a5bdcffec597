/** Which currency a visitor sees. Pure: choice, languages and catalogue in, currency out. */

import type { Catalogue, Price } from "./plans.ts";

const EURO = "AD AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MC ME MT NL PT SI SK SM VA XK"
  .split(" ");
const BY_REGION: Record<string, string> = {
  ...Object.fromEntries(EURO.map((region) => [region, "eur"])),
  AU: "aud",
  CA: "cad",
  CH: "chf",
  CZ: "czk",
  DK: "dkk",
  GB: "gbp",
  GG: "gbp",
  IM: "gbp",
  IN: "inr",
  JE: "gbp",
  JP: "jpy",
  LI: "chf",
  NO: "nok",
  NZ: "nzd",
  PL: "pln",
  SE: "sek",
  US: "usd",
};

/** What the catalogue is sold in: the currencies of its prices first, then the others by name. */
export function currenciesOf(catalogue: Catalogue): string[] {
  const prices = catalogue.plans.flatMap((plan) => plan.prices);
  const own = prices.map((price) => price.ownCurrency);
  const others = prices.flatMap((price) => Object.keys(price.amounts)).sort();
  return [...new Set([...own, ...others])];
}

/** The visitor's choice if it is sold in; else the currency of their region; else the catalogue's. */
export function pickCurrency(
  available: string[],
  chosen: string | null,
  languages: readonly string[],
): string {
  const wishes = [chosen, ...languages.map(currencyOf)];
  const wish = wishes.find((currency) => currency && available.includes(currency));
  return wish ?? available[0] ?? "usd";
}

/** `de-AT` → `eur`; a language without a region counts as spoken where most people speak it. */
function currencyOf(language: string): string | null {
  try {
    return BY_REGION[new Intl.Locale(language).maximize().region ?? ""] ?? null;
  } catch {
    return null;
  }
}

/** The catalogue with its prices in a currency; a price that is not sold in it keeps its own. */
export function inCurrency(catalogue: Catalogue, currency: string): Catalogue {
  const plans = catalogue.plans.map((plan) => ({
    ...plan,
    prices: plan.prices.map((price) => priceIn(price, currency)),
  }));
  return { ...catalogue, plans };
}

export function priceIn(price: Price, currency: string): Price {
  const amountMinor = price.amounts[currency];
  return amountMinor === undefined ? price : { ...price, currency, amountMinor };
}
