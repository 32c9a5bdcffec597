import { equal } from "node:assert/strict";
import {
  annualOffer,
  type Catalogue,
  costOf,
  findPrice,
  headlinePrice,
  type Interval,
  limitText,
  nameOfChange,
  nextPlan,
  type Plan,
  type Price,
  tierPrice,
  tierRange,
  type TierTable,
} from "./plans.ts";

function plan(id: string, rank: number, message: number | null, agent: number | null): Plan {
  return {
    id,
    name: id,
    description: "",
    rank,
    isDefault: rank === 0,
    limits: { message, agent },
    features: [],
    prices: [],
  };
}

function price(lookupKey: string, amountMinor: number, interval: Interval): Price {
  return {
    lookupKey,
    planId: "pro",
    currency: "usd",
    amountMinor,
    interval,
    trialDays: 0,
    tiers: null,
    ownCurrency: "usd",
    amounts: { usd: amountMinor },
  };
}

const pro = plan("pro", 1, 500, 5);
pro.prices = [price("pro_monthly", 1500, "month"), price("pro_yearly", 15000, "year")];
const catalogue: Catalogue = {
  plans: [
    plan("enterprise", 3, null, null),
    plan("free", 0, 50, 1),
    pro,
    plan("business", 2, 500, 25),
  ],
  features: [],
};

Deno.test("the next plan is the lowest one that gives more of what ran out", () => {
  equal(nextPlan(catalogue, "free", "message")?.id, "pro");
  equal(nextPlan(catalogue, "pro", "agent")?.id, "business");
  equal(nextPlan(catalogue, "pro", "message")?.id, "enterprise");
});

Deno.test("there is nothing above unlimited, and nothing above a plan that is not known", () => {
  equal(nextPlan(catalogue, "enterprise", "message"), null);
  equal(nextPlan(catalogue, "gone", "message"), null);
});

Deno.test("limits are written with their unit and period", () => {
  equal(limitText("message", 2000), "2,000 messages a day");
  equal(limitText("agent", 1), "1 agent");
  equal(limitText("message", null), "Unlimited messages");
});

Deno.test("prices are found by lookup key", () => {
  equal(findPrice(catalogue, "pro_yearly")?.amountMinor, 15000);
  equal(findPrice(catalogue, "gone"), null);
  equal(findPrice(catalogue, null), null);
});

Deno.test("the annual offer is told only as far as it is true of every plan", () => {
  const withYear = (...amounts: number[]): Catalogue => ({
    features: [],
    plans: amounts.map((amountMinor) => ({
      ...pro,
      prices: pro.prices.map((price) =>
        price.interval === "year" ? { ...price, amountMinor } : price
      ),
    })),
  });
  equal(annualOffer(withYear(15000, 15000)), "2 months free");
  equal(annualOffer(withYear(15000, 16000)), "save 11%");
  equal(annualOffer(withYear(15000, 18000)), null);
  equal(annualOffer({ plans: [], features: [] }), null);
});

// The worked example of Stripe's documentation on tiers: 5 units at $7, the rest at $6.50.
const tiers = [
  { upTo: 5, unitAmountMinor: 700, flatAmountMinor: 0 },
  { upTo: null, unitAmountMinor: 650, flatAmountMinor: 0 },
];
const tiered = (mode: TierTable["mode"]): Price => ({
  ...price("team_monthly", 0, "month"),
  tiers: { mode, tiers },
});

Deno.test("graduated tiers price each unit by its own tier, volume tiers all by the last one's", () => {
  equal(costOf(tiered("graduated"), 5), 3500);
  equal(costOf(tiered("graduated"), 6), 3500 + 650);
  equal(costOf(tiered("volume"), 5), 3500);
  equal(costOf(tiered("volume"), 6), 6 * 650);
  equal(costOf(price("pro_monthly", 1500, "month"), 3), 4500);
});

Deno.test("the flat part of a tier is charged once it is reached", () => {
  const flat = tiers.map((tier) => ({ ...tier, flatAmountMinor: 100 }));
  equal(costOf({ ...tiered("graduated"), tiers: { mode: "graduated", tiers: flat } }, 6), 4350);
  equal(costOf({ ...tiered("volume"), tiers: { mode: "volume", tiers: flat } }, 6), 4000);
});

Deno.test("tiers are told by their units and their price", () => {
  equal(tierRange(tiers, 0), "First 5");
  equal(tierRange(tiers, 1), "From 6");
  equal(tierRange([{ upTo: null, unitAmountMinor: 1, flatAmountMinor: 0 }], 0), "Each");
  equal(tierPrice({ upTo: 5, unitAmountMinor: 700, flatAmountMinor: 0 }, "usd"), "$7 each");
  equal(tierPrice({ upTo: 5, unitAmountMinor: 0, flatAmountMinor: 900 }, "eur"), "€9 together");
  equal(headlinePrice(tiered("volume")), "from $7");
});

Deno.test("a change of the billing period is not called a change of plan", () => {
  equal(nameOfChange(catalogue, "pro_yearly", "pro_monthly"), "monthly billing");
  equal(nameOfChange(catalogue, null, "pro_monthly"), "pro");
  equal(nameOfChange(catalogue, "pro_monthly", "gone"), null);
});
