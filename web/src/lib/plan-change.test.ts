import { deepEqual, equal } from "node:assert/strict";
import { type Preview, restOf } from "./plan-change.ts";

function preview(dueNowMinor: number, ...amounts: number[]): Preview {
  return {
    kind: "now",
    effectiveAt: null,
    prorationDate: 0,
    currency: "usd",
    dueNowMinor,
    lines: amounts.map((amountMinor) => ({ description: "", amountMinor, proration: true })),
    nextAmountMinor: null,
    nextPaymentAt: null,
    fromLookupKey: null,
    toLookupKey: "",
  };
}

Deno.test("a receipt that adds up says nothing more", () => {
  equal(restOf(preview(2380, -1050, 3430)), null);
  equal(restOf(preview(0)), null);
});

Deno.test("what the invoice takes off as a whole, and what is kept, is told", () => {
  deepEqual(restOf(preview(2000, -1050, 3430)), {
    label: "Discounts, credit and tax",
    amountMinor: -380,
  });
  deepEqual(restOf(preview(0, -3430, 1050)), { label: "Kept as credit", amountMinor: 2380 });
});
