import { deepEqual, equal } from "node:assert/strict";
import {
  beyondOf,
  type Overage,
  planOnBill,
  projectBill,
  suggestedCap,
  unitsWithin,
} from "./overage.ts";
import type { Catalogue, Price } from "./plans.ts";
import type { Entitlements } from "./subscription.ts";

const overage: Overage = {
  available: true,
  reason: null,
  enabled: true,
  attached: true,
  capMinor: 10,
  maximumCapMinor: 10_000_000,
  currency: "usd",
  periodStart: Date.UTC(2026, 10, 22),
  periodEnd: Date.UTC(2026, 11, 22),
  spentMinor: 9,
  projectedMinor: 10,
  metrics: [
    { metric: "message", name: "Messages", quantity: 5, unitMinor: 1.5, amountMinor: 7.5 },
    { metric: "tool", name: "Tools", quantity: 1, unitMinor: 0.8, amountMinor: 0.8 },
  ],
  credits: null,
};

const price: Price = {
  lookupKey: "pro_monthly",
  planId: "pro",
  currency: "usd",
  amountMinor: 1500,
  interval: "month",
  trialDays: 0,
  tiers: null,
  ownCurrency: "usd",
  amounts: { usd: 1500, eur: 1400 },
};

const yearly: Price = {
  ...price,
  lookupKey: "pro_yearly",
  interval: "year",
  amountMinor: 15000,
  amounts: { usd: 15000 },
};

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
    prices: [price, yearly],
    overage: [],
  }],
};

const entitled = (subscription: Partial<Entitlements["subscription"]>): Entitlements => ({
  plan: { id: "pro", name: "Pro", rank: 1 },
  source: "subscription",
  status: "active",
  features: [],
  limits: {},
  subscription: {
    id: "sub_1",
    status: "active",
    priceLookupKey: "pro_monthly",
    quantity: 1,
    currentPeriodEnd: overage.periodEnd,
    endsAt: null,
    trialEnd: null,
    ...subscription,
  },
  graceEndsAt: null,
  paymentProblem: null,
  pendingChange: null,
  grant: null,
});

Deno.test("the next unit must fit under the cap whole, to the part of a cent", () => {
  equal(beyondOf(overage, "message"), "open");
  equal(beyondOf({ ...overage, capMinor: 9 }, "message"), "capped");
  equal(beyondOf({ ...overage, capMinor: 9 }, "tool"), "capped");
  equal(beyondOf({ ...overage, capMinor: 9.1 }, "tool"), "open");
});

Deno.test("without consent, without Stripe's items and without a price nothing goes beyond", () => {
  equal(beyondOf({ ...overage, enabled: false }, "message"), "off");
  equal(beyondOf({ ...overage, attached: false }, "message"), "pending");
  equal(beyondOf({ ...overage, available: false }, "message"), "unavailable");
  equal(beyondOf(overage, "agent"), "unavailable");
  equal(beyondOf(null, "message"), "unavailable");
});

Deno.test("how many a cap pays for is not one too few for a float", () => {
  equal(unitsWithin(1500, 2), 750);
  equal(unitsWithin(1000, 1.5), 666);
  equal(unitsWithin(3, 0.1 * 3), 10);
});

Deno.test("a cap begins at the plan's price for a month", () => {
  equal(suggestedCap(price, 1, 100, 10_000_000), 1500);
  equal(suggestedCap(price, 3, 100, 10_000_000), 4500);
  equal(suggestedCap(yearly, 1, 100, 10_000_000), 1300);
  equal(suggestedCap(null, 1, 100, 10_000_000), 2000);
  equal(suggestedCap({ ...price, amountMinor: 0 }, 1, 100, 10_000_000), 100);
  equal(suggestedCap(price, 3, 100, 4000), 4000);
  equal(suggestedCap(null, 1, 100, 1500), 1500);
});

Deno.test("credit pays for usage and never for the plan", () => {
  const rich = {
    ...overage,
    projectedMinor: 300,
    credits: { balanceMinor: 1000, currency: "usd", nextExpiry: null },
  };
  deepEqual(projectBill(rich, 1500), {
    planMinor: 1500,
    overageMinor: 300,
    creditMinor: 300,
    totalMinor: 1500,
  });
  equal(projectBill({ ...rich, projectedMinor: 1200 }, 1500).totalMinor, 1700);
  const euros = { ...rich, credits: { ...rich.credits, currency: "eur" } };
  equal(projectBill(euros, null).totalMinor, 300);
});

Deno.test("a plan is on the bill of its renewal only, in the currency it is paid in", () => {
  equal(planOnBill(catalogue, entitled({}), overage), 1500);
  equal(planOnBill(catalogue, entitled({ quantity: 2 }), overage), 3000);
  equal(planOnBill(catalogue, entitled({}), { ...overage, currency: "eur" }), 1400);
  equal(planOnBill(catalogue, entitled({}), { ...overage, currency: "jpy" }), null);
  equal(planOnBill(catalogue, entitled({ endsAt: overage.periodEnd }), overage), null);
  const annual = { priceLookupKey: "pro_yearly", currentPeriodEnd: Date.UTC(2027, 10, 22) };
  equal(planOnBill(catalogue, entitled(annual), overage), null);
  equal(planOnBill(catalogue, { ...entitled({}), subscription: null }, overage), null);
});

Deno.test("a planned change is what the next bill is for", () => {
  const change = { lookupKey: "pro_yearly", at: overage.periodEnd };
  equal(planOnBill(catalogue, { ...entitled({}), pendingChange: change }, overage), 15000);
});
