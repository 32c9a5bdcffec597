import { equal } from "node:assert/strict";
import { annualSavingMinor, formatCount, formatExact, formatMoney } from "./money.ts";

Deno.test("minor units become money without decimals that say nothing", () => {
  equal(formatMoney(1500, "usd"), "$15");
  equal(formatMoney(1250, "usd"), "$12.50");
  equal(formatMoney(0, "usd"), "$0");
  equal(formatMoney(150000, "USD"), "$1,500");
});

Deno.test("a currency without minor units is not divided by a hundred", () => {
  equal(formatMoney(1500, "jpy"), "¥1,500");
});

Deno.test("ten months' price for a year saves two months", () => {
  equal(annualSavingMinor(1500, 15000), 3000);
  equal(annualSavingMinor(1500, 20000), 0);
});

Deno.test("large limits are grouped", () => {
  equal(formatCount(2000), "2,000");
});

Deno.test("amounts below each other have the same decimals", () => {
  equal(formatExact(1700, "usd"), "$17.00");
  equal(formatExact(-750, "eur"), "−€7.50");
  equal(formatExact(1500, "jpy"), "¥1,500");
});
