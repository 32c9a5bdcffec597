import { equal } from "node:assert/strict";
import { describeProblem } from "./payment-problem.ts";
import type { Entitlements } from "./subscription.ts";

const now = Date.UTC(2026, 11, 16, 12);
const DAY = 24 * 3_600_000;

function with_(status: string, more: Partial<Entitlements> = {}): Entitlements {
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
      currentPeriodEnd: now,
      endsAt: null,
      trialEnd: null,
    },
    graceEndsAt: null,
    paymentProblem: null,
    pendingChange: null,
    grant: null,
    ...more,
  };
}

const describe = (entitlements: Entitlements) => describeProblem(entitlements, "Pro", now);

Deno.test("nothing is said while all is well, or when all is over", () => {
  for (const status of ["active", "trialing", "canceled", "incomplete_expired"]) {
    equal(describe(with_(status)), null);
  }
  equal(describe({ ...with_("active"), subscription: null }), null);
});

Deno.test("an overdue payment says how long the plan is still kept", () => {
  const text = describe(with_("past_due", { graceEndsAt: now + 6 * DAY }));
  equal(text?.tone, "warn");
  equal(text?.title.includes("6 days left"), true);
  equal(describe(with_("past_due", { graceEndsAt: now + DAY }))?.title.includes("24 h"), true);
});

Deno.test("after the days of grace the plan is off, and paying brings it back", () => {
  const text = describe(with_("past_due", { graceEndsAt: now - 1 }));
  equal(text?.tone, "bad");
  equal(text?.title.startsWith("Pro is off"), true);
});

Deno.test("the problem the server names counts, with its invoice", () => {
  const invoiceUrl = "https://invoice.stripe.com/i/1";
  const text = describe(
    with_("active", { paymentProblem: { status: "unpaid", invoiceUrl } }),
  );
  equal(text?.invoiceUrl, invoiceUrl);
  equal(text?.remedy, "payment_method");
  const lapsed = { status: "incomplete_expired", invoiceUrl: null };
  equal(describe({ ...with_("active"), paymentProblem: lapsed })?.remedy, "pricing");
});

Deno.test("every broken status has its own words, and one that is unknown leads to billing", () => {
  const titles = ["incomplete", "unpaid", "paused", "past_due", "hibernating_softly"]
    .map((status) => describe(with_(status))?.title);
  equal(new Set(titles).size, 5);
  equal(titles[4]?.includes("hibernating softly"), true);
  equal(describe(with_("hibernating_softly"))?.remedy, "portal");
});
