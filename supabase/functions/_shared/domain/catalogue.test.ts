import assert from "node:assert/strict";
import type Stripe from "stripe";
import { type CatalogueRow, catalogueVerdict } from "./catalogue.ts";

const ROW: CatalogueRow = {
  lookupKey: "pro_monthly",
  currency: "usd",
  amountMinor: 2_000,
  billingInterval: "month",
  tiersMode: null,
  tiers: [],
  options: { eur: 1_900 },
};

function price(changes: Record<string, unknown> = {}): Stripe.Price {
  return JSON.parse(JSON.stringify({
    currency: "usd",
    unit_amount: 2_000,
    unit_amount_decimal: "2000",
    recurring: { interval: "month", interval_count: 1 },
    tiers_mode: null,
    currency_options: { eur: { unit_amount: 1_900, unit_amount_decimal: "1900" } },
    ...changes,
  }));
}

Deno.test("a price of Stripe's is the row's, or it differs, or there is none", () => {
  assert.equal(catalogueVerdict(ROW, price()), "equal");
  assert.equal(catalogueVerdict(ROW, undefined), "missing");
  const others: Record<string, unknown>[] = [
    { currency: "eur" },
    { unit_amount: 1_999, unit_amount_decimal: "1999" },
    { unit_amount: null, unit_amount_decimal: null },
    { recurring: { interval: "year", interval_count: 1 } },
    { recurring: { interval: "month", interval_count: 3 } },
    { recurring: null },
    { tiers_mode: "volume" },
    { tiers: [{ up_to: null, unit_amount: 1, flat_amount: null }] },
    { currency_options: {} },
    { currency_options: { eur: { unit_amount: 1_901, unit_amount_decimal: "1901" } } },
  ];
  for (const change of others) {
    assert.equal(catalogueVerdict(ROW, price(change)), "differs", JSON.stringify(change));
  }
});

Deno.test("fractions of a cent and tiers are compared as they are", () => {
  const metered = { ...ROW, amountMinor: 0.25, options: {} };
  assert.equal(
    catalogueVerdict(metered, price({ unit_amount: null, unit_amount_decimal: "0.25" })),
    "equal",
  );
  const tiers = [{ up_to: 5, unit_amount_minor: 100, flat_amount_minor: 0 }];
  const tiered = { ...ROW, amountMinor: null, tiersMode: "graduated", tiers, options: {} };
  const theirs = (unit_amount: number) =>
    price({
      ...{ unit_amount: null, unit_amount_decimal: null, tiers_mode: "graduated" },
      tiers: [{ up_to: 5, unit_amount, flat_amount: null }],
    });
  assert.equal(catalogueVerdict(tiered, theirs(100)), "equal");
  assert.equal(catalogueVerdict(tiered, theirs(101)), "differs");
});
