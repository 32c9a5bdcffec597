import { deepEqual, equal } from "node:assert/strict";
import { currenciesOf, inCurrency, pickCurrency } from "./currency.ts";
import type { Catalogue, Price } from "./plans.ts";

function price(lookupKey: string, amounts: Record<string, number>): Price {
  return {
    lookupKey,
    planId: "pro",
    currency: "usd",
    amountMinor: amounts.usd ?? 0,
    interval: "month",
    trialDays: 0,
    tiers: null,
    ownCurrency: "usd",
    amounts,
  };
}

const catalogue: Catalogue = {
  features: [],
  plans: [{
    id: "pro",
    name: "Pro",
    description: "",
    rank: 1,
    isDefault: false,
    limits: {},
    features: [],
    prices: [
      price("pro_monthly", { gbp: 1200, eur: 1400, usd: 1500 }),
      price("pro_old", { usd: 900 }),
    ],
  }],
};

Deno.test("only what the catalogue is sold in can be chosen, its own currency first", () => {
  deepEqual(currenciesOf(catalogue), ["usd", "eur", "gbp"]);
});

Deno.test("the choice wins over the region, the region over the catalogue's own", () => {
  const available = ["usd", "eur", "gbp"];
  equal(pickCurrency(available, "gbp", ["de-AT"]), "gbp");
  equal(pickCurrency(available, null, ["de-AT", "en-US"]), "eur");
  equal(pickCurrency(available, null, ["en-GB"]), "gbp");
  equal(pickCurrency(available, null, ["fr"]), "eur");
});

Deno.test("a currency that is not sold, and a language that is none, fall back", () => {
  equal(pickCurrency(["usd", "eur"], "chf", ["ja-JP", "it-IT"]), "eur");
  equal(pickCurrency(["usd"], "eur", ["de-DE"]), "usd");
  equal(pickCurrency(["usd"], null, ["not a language"]), "usd");
  equal(pickCurrency([], null, []), "usd");
});

Deno.test("a price that is not sold in a currency keeps its own", () => {
  const prices = inCurrency(catalogue, "eur").plans[0]?.prices ?? [];
  deepEqual(prices.map((row) => [row.currency, row.amountMinor]), [["eur", 1400], ["usd", 900]]);
});
