import { equal, match } from "node:assert/strict";
import { arrivalOf, CONFIRMATION_WAITS_MS, describeArrival } from "./arrival.ts";
import type { Entitlements } from "./subscription.ts";

function paying(status: string | null, source = "subscription"): Entitlements {
  return {
    plan: source === "grant"
      ? { id: "enterprise", name: "Enterprise", rank: 30 }
      : { id: "pro", name: "Pro", rank: 10 },
    source,
    status,
    features: [],
    limits: {},
    subscription: status === null ? null : {
      id: "sub_1",
      status,
      priceLookupKey: "pro_monthly",
      quantity: 1,
      currentPeriodEnd: null,
      endsAt: null,
      trialEnd: Date.UTC(2026, 11, 6, 12),
    },
    graceEndsAt: null,
    paymentProblem: null,
    pendingChange: null,
    grant: null,
  };
}

Deno.test("nobody is thanked for a payment that nobody has seen", () => {
  equal(arrivalOf(paying(null, "default")), "absent");
  equal(arrivalOf(paying("canceled")), "absent");
  equal(arrivalOf(paying("status_of_tomorrow")), "absent");
  for (const status of ["incomplete", "past_due", "unpaid"]) {
    equal(arrivalOf(paying(status)), "processing");
    match(describeArrival(paying(status), "Pro").title, /still being processed/);
  }
});

Deno.test("a trial says that nothing was charged and when the first payment is", () => {
  const { title, body } = describeArrival(paying("trialing"), "Pro");
  equal(title, "Your trial of Pro has begun");
  match(body, /Nothing was charged.*December 6, 2026/);
});

Deno.test("a plan that is paid beneath a granted one has arrived all the same", () => {
  equal(arrivalOf(paying("active", "grant")), "active");
  match(describeArrival(paying("active", "grant"), "Pro").title, /Pro subscription is active/);
  equal(describeArrival(paying("active"), "Pro").title, "You are on Pro");
});

Deno.test("waiting for a confirmation is bounded to about a minute", () => {
  const total = CONFIRMATION_WAITS_MS.reduce((sum, wait) => sum + wait, 0);
  equal(total > 30_000 && total < 90_000, true);
});
