import { equal } from "node:assert/strict";
import {
  describeStatus,
  type Entitlements,
  isCancellable,
  isChangeable,
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
    graceEndsAt: null,
    paymentProblem: null,
    pendingChange: null,
    grant: null,
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

Deno.test("an overdue payment says until when the plan is kept", () => {
  const text = describeStatus({ ...pro("past_due"), graceEndsAt: noon });
  equal(text.tone, "bad");
  equal(text.sentence.includes("ends on December 22, 2026"), true);
});

Deno.test("a granted plan says until when, also over a paid one", () => {
  const enterprise = { id: "enterprise", name: "Enterprise", rank: 3 };
  const granted = { ...pro("active"), source: "grant", plan: enterprise };
  const text = describeStatus({ ...granted, grant: { endsAt: noon } });
  equal(text.label, "Granted");
  equal(
    text.sentence,
    "Enterprise was granted to you until December 22, 2026. It is not billed.",
  );
  equal(
    describeStatus({ ...granted, subscription: null, grant: { endsAt: null } }).sentence,
    "Enterprise was granted to you. It is not billed.",
  );
});

Deno.test("a planned change is not announced as a renewal", () => {
  const pendingChange = { lookupKey: "pro_yearly", at: noon };
  equal(
    describeStatus({ ...pro("active"), pendingChange }).sentence,
    "Paid until December 22, 2026.",
  );
});

Deno.test("after the days of grace the plan is off, and neither changed nor announced to end", () => {
  const lost = { ...pro("past_due"), source: "default", graceEndsAt: noon };
  equal(describeStatus(lost).sentence.includes("so the plan is off"), true);
  equal(isChangeable(lost), false);
});

Deno.test("a first payment that is not complete cannot be cancelled, everything else can", () => {
  equal(isCancellable(pro("incomplete")), false);
  equal(["active", "past_due", "unpaid", "paused"].every((s) => isCancellable(pro(s))), true);
});

Deno.test("only what Stripe bills can be changed; an unpaid subscription is settled first", () => {
  equal(["active", "trialing", "past_due"].every((status) => isChangeable(pro(status))), true);
  equal(
    ["unpaid", "incomplete", "paused", "new"].some((status) => isChangeable(pro(status))),
    false,
  );
});

Deno.test("a status that Stripe may invent tomorrow is shown and not hidden", () => {
  const text = describeStatus(pro("hibernating_softly"));
  equal(text.label, "hibernating softly");
  equal(text.tone, "bad");
});

Deno.test("who has no subscription, or only an ended one, goes to Checkout", () => {
  equal(isSubscriber({ ...pro("active"), subscription: null }), false);
  equal(isSubscriber(pro("canceled")), false);
  equal(isSubscriber(pro("past_due")), true);
});
