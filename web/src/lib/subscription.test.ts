import { equal } from "node:assert/strict";
import {
  CONFIRMATION_WAITS_MS,
  describeStatus,
  type Entitlements,
  isSubscriber,
} from "./subscription.ts";

const noon = Date.UTC(2026, 11, 22, 12);

function pro(status: string, endsAt: number | null = null): Entitlements {
  return {
    plan: { id: "pro", name: "Pro", rank: 1 },
    source: "subscription",
    status,
    features: [],
    limits: {},
    subscription: {
      id: "sub_1",
      status,
      priceLookupKey: "pro_monthly",
      quantity: 1,
      currentPeriodEnd: noon,
      endsAt,
      trialEnd: null,
    },
  };
}

Deno.test("an active subscription says when it renews", () => {
  equal(describeStatus(pro("active")).sentence, "Renews on December 22, 2026.");
});

Deno.test("a subscription that is ending says until when, and not that it renews", () => {
  const text = describeStatus(pro("active", noon));
  equal(text.label, "Ends December 22, 2026");
  equal(text.sentence.includes("Renews"), false);
});

Deno.test("an overdue payment leads to the payment method", () => {
  equal(describeStatus(pro("past_due")).fixPayment, true);
});

Deno.test("a status that Stripe may invent tomorrow is shown and not hidden", () => {
  const text = describeStatus(pro("hibernating_softly"));
  equal(text.label, "hibernating softly");
  equal(text.tone, "bad");
});

Deno.test("who has no subscription, or only an ended one, goes to Checkout and not to the portal", () => {
  equal(isSubscriber({ ...pro("active"), subscription: null }), false);
  equal(isSubscriber(pro("canceled")), false);
  equal(isSubscriber(pro("past_due")), true);
});

Deno.test("waiting for a confirmation is bounded to about a minute", () => {
  const total = CONFIRMATION_WAITS_MS.reduce((sum, wait) => sum + wait, 0);
  equal(total > 30_000 && total < 90_000, true);
});
