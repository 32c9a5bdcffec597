import { equal } from "node:assert/strict";
import { annualOffer, type Catalogue, findPrice, limitText, nextPlan, type Plan } from "./plans.ts";

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

const pro = plan("pro", 1, 500, 5);
pro.prices = [
  {
    lookupKey: "pro_monthly",
    planId: "pro",
    currency: "usd",
    amountMinor: 1500,
    interval: "month",
  },
  { lookupKey: "pro_yearly", planId: "pro", currency: "usd", amountMinor: 15000, interval: "year" },
];
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
