import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  earningOf,
  earningTotals,
  fillEarnings,
  type ListingForm,
  payoutState,
  percentText,
  readListingForm,
  requirementTexts,
  type Sale,
  salesCsv,
  saleState,
} from "./seller.ts";

const form: ListingForm = {
  agentId: "a",
  title: " Proofreader ",
  description: "Mends letters.\n\nKeeps the tone.",
  kind: "one_time",
  price: "12.50",
  currency: "usd",
};
const MINIMUMS = { usd: 50, eur: 50, gbp: 30 };

function problemsOf(change: Partial<ListingForm>) {
  const result = readListingForm({ ...form, ...change }, MINIMUMS);
  return "problems" in result ? Object.keys(result.problems) : [];
}

Deno.test("what Stripe wants is told in plain words, each once", () => {
  deepEqual(
    requirementTexts([
      "individual.dob.day",
      "individual.dob.month",
      "external_account",
      "tos_acceptance.date",
      "individual.address.line1",
      "individual.address.city",
    ]),
    [
      "Your date of birth",
      "A bank account for payouts",
      "Your agreement to Stripe’s terms",
      "Your address",
    ],
  );
  deepEqual(requirementTexts(["some.new_requirement"]), ["New requirement"]);
  deepEqual(requirementTexts([]), []);
});

Deno.test("a form becomes what is stored, its price in minor units", () => {
  deepEqual(readListingForm(form, MINIMUMS), {
    fields: {
      agentId: "a",
      title: "Proofreader",
      description: "Mends letters.\n\nKeeps the tone.",
      kind: "one_time",
      priceMinor: 1250,
      currency: "usd",
    },
  });
});

Deno.test("a price is read exactly: no amount passes through a float", () => {
  fc.assert(fc.property(fc.integer({ min: 50, max: 99_999_999 }), (minor) => {
    const text = `${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, "0")}`;
    const result = readListingForm({ ...form, price: text }, MINIMUMS);
    ok("fields" in result && result.fields.priceMinor === minor, text);
  }));
});

Deno.test("what cannot be stored is named at its field", () => {
  deepEqual(problemsOf({ title: "  ", agentId: "" }), ["agentId", "title"]);
  deepEqual(problemsOf({ title: "x".repeat(81) }), ["title"]);
  deepEqual(problemsOf({ title: "😀".repeat(80) }), [], "a character counts once");
  deepEqual(problemsOf({ description: "x".repeat(5001) }), ["description"]);
  for (const price of ["", "free", "12.505", "-3", "0.49", "1000000", "1e3"]) {
    deepEqual(problemsOf({ price }), ["price"], price);
  }
  deepEqual(problemsOf({ currency: "jpy", price: "100" }), ["price"]);
});

Deno.test("what a sale earns is the price less the fee, to the minor unit", () => {
  equal(earningOf(1000, 2000), 800);
  equal(earningOf(999, 2000), 799, "the fee of 199.8 is 200");
  equal(earningOf(50, 0), 50);
  equal(earningOf(99_999_999, 10_000), 0);
  equal(percentText(2000), "20 %");
  equal(percentText(1250), "12.5 %");
});

Deno.test("states that are not known are shown as they are", () => {
  deepEqual(saleState("partially_refunded"), { label: "Partly refunded", tone: "warn" });
  deepEqual(saleState("on_hold"), { label: "on hold", tone: "plain" });
  deepEqual(saleState("constructor"), { label: "constructor", tone: "plain" });
  equal(payoutState("in_transit").label, "On its way");
});

Deno.test("every day of a range has its earnings, also below zero", () => {
  const rows = [
    { day: "2026-11-02", sales: 2, earnedMinor: 1600 },
    { day: "2026-11-04", sales: 0, earnedMinor: -800 },
  ];
  const days = fillEarnings(rows, { from: "2026-11-01", to: "2026-11-04" });
  deepEqual(days.map((day) => day.earnedMinor), [0, 1600, 0, -800]);
  deepEqual(earningTotals(days), { sales: 2, earnedMinor: 800, best: rows[0] });
  equal(earningTotals([]).best, null);
});

Deno.test("the export has a row a sale and nobody's address", () => {
  const sale: Sale = {
    day: "2026-11-02",
    listingId: "a",
    title: "=Proofreader",
    reference: "9F3A",
    amountMinor: 1250,
    feeMinor: 250,
    earnedMinor: -5,
    currency: "usd",
    status: "refunded",
  };
  equal(
    salesCsv([sale]),
    "Day (UTC),Listing,Reference,Status,Price,Fee,Earned,Currency\r\n" +
      "2026-11-02,'=Proofreader,9F3A,refunded,12.50,2.50,-0.05,USD\r\n",
  );
});
