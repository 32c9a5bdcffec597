import { equal } from "node:assert/strict";
import {
  annualSavingMinor,
  formatCount,
  formatExact,
  formatMoney,
  formatUnit,
  minorToDecimal,
  moneyInput,
  parseMoney,
} from "./money.ts";

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

Deno.test("a unit may cost less than a cent", () => {
  equal(formatUnit(2, "usd"), "$0.02");
  equal(formatUnit(1.5, "usd"), "$0.015");
  equal(formatUnit(0.8, "usd"), "$0.008");
  equal(formatUnit(1.9, "eur"), "€0.019");
  equal(formatUnit(0.000001, "usd"), "$0.00000001");
  equal(formatUnit(150, "usd"), "$1.50");
  equal(formatUnit(0.5, "jpy"), "¥0.5");
  equal(formatUnit(0, "usd"), "$0.00");
});

Deno.test("an exported amount is exact, whatever a float would show", () => {
  equal(minorToDecimal(4.5, "usd"), "0.045");
  equal(minorToDecimal(0.1 + 0.2, "usd"), "0.003");
  equal(minorToDecimal(123456, "usd"), "1234.56");
  equal(minorToDecimal(-750, "usd"), "-7.50");
  equal(minorToDecimal(1500, "jpy"), "1500");
  equal(minorToDecimal(1.5, "jpy"), "1.5");
});

Deno.test("what somebody types is read as money of the currency, or not at all", () => {
  equal(parseMoney("15", "usd"), 1500);
  equal(parseMoney(" $15.5 ", "usd"), 1550);
  equal(parseMoney("15,50", "eur"), 1550);
  equal(parseMoney("1,500", "usd"), 150000);
  equal(parseMoney("1,500.25", "usd"), 150025);
  equal(parseMoney("0", "usd"), 0);
  equal(parseMoney("1500", "jpy"), 1500);
  for (const text of ["", "-5", "1e3", "15.005", "ten", "1.2.3", "0x10", "Infinity", "1,50,0"]) {
    equal(parseMoney(text, "usd"), null, text);
  }
  equal(parseMoney("15.5", "jpy"), null);
});

Deno.test("a field for money begins without decimals that say nothing", () => {
  equal(moneyInput(1500, "usd"), "15");
  equal(moneyInput(1550, "usd"), "15.50");
  equal(moneyInput(1500, "jpy"), "1500");
});
