import { deepEqual, equal } from "node:assert/strict";
import * as z from "zod/mini";
import {
  entitlementsAnswer,
  invoicesAnswer,
  previewAnswer,
  pricesAnswer,
  toPrice,
} from "./answers.ts";

const row = {
  lookup_key: "pro_monthly",
  plan_id: "pro",
  currency: "usd",
  unit_amount_minor: 1500,
  billing_interval: "month",
  is_active: true,
  trial_days: 0,
  tiers_mode: null,
  tiers: null,
};

const parsePrice = (value: unknown) => {
  const [price] = z.parse(pricesAnswer, [value]);
  if (!price) throw new Error("no price");
  return price;
};

Deno.test("counts may arrive as text, and what there is not is null", () => {
  const answer = z.parse(entitlementsAnswer, {
    plan: { id: "free", name: "Free", rank: 0 },
    source: "default",
    status: null,
    features: [],
    limits: { message: "50", agent: null },
    subscription: null,
    grace_ends_at: null,
    payment_problem: null,
    pending_change: null,
    grant: null,
  });
  deepEqual(answer.limits, { message: 50, agent: null });
  deepEqual(
    [answer.graceEndsAt, answer.paymentProblem, answer.pendingChange, answer.grant],
    [null, null, null, null],
  );
});

Deno.test("an address that is not of the web is not linked to", () => {
  const [invoice] = z.parse(invoicesAnswer, [{
    id: "in_1",
    number: "TG-0001",
    status: "paid",
    currency: "usd",
    total_minor: "1500",
    amount_due_minor: 1500,
    amount_paid_minor: 1500,
    hosted_invoice_url: "javascript:alert(1)",
    invoice_pdf: "https://pay.stripe.com/invoice/1/pdf",
    stripe_created_at: "2026-11-22 12:40:29.80+00",
  }]);
  equal(invoice?.hostedUrl, null);
  equal(invoice?.pdfUrl, "https://pay.stripe.com/invoice/1/pdf");
  equal(invoice?.totalMinor, 1500);
});

Deno.test("a preview keeps the proration date as it was given", () => {
  const preview = z.parse(previewAnswer, {
    kind: "now",
    effective_at: "2026-11-22T12:00:00Z",
    proration_date: 1795348800,
    currency: "usd",
    amount_due_now_minor: 1700,
    lines: [{ description: "Unused time", amount_minor: -750, proration: true }],
    next_amount_minor: 4900,
    next_payment_at: "2026-12-22T12:00:00Z",
    from: { lookup_key: "pro_monthly" },
    to: { lookup_key: "business_monthly" },
  });
  equal(preview.prorationDate, 1795348800);
  equal(preview.effectiveAt, Date.UTC(2026, 10, 22, 12));
});

Deno.test("a price knows its amount in every currency it is sold in", () => {
  const options = [
    { lookup_key: "pro_monthly", currency: "eur", unit_amount_minor: 1400 },
    { lookup_key: "other", currency: "gbp", unit_amount_minor: 1 },
  ];
  deepEqual(toPrice(parsePrice(row), options)?.amounts, { eur: 1400, usd: 1500 });
});

Deno.test("a price without an amount is shown by its tiers, or not at all", () => {
  const tiers = [
    { up_to: 5, unit_amount_minor: 700, flat_amount_minor: 0 },
    { up_to: null, unit_amount_minor: 650, flat_amount_minor: 0 },
  ];
  const unpriced = { ...row, unit_amount_minor: null };
  const tiered = parsePrice({ ...unpriced, tiers_mode: "volume", tiers });
  equal(toPrice(tiered, [])?.tiers?.tiers[0]?.unitAmountMinor, 700);
  equal(toPrice(parsePrice(unpriced), []), null);
  equal(toPrice(parsePrice({ ...unpriced, tiers_mode: "odd", tiers }), []), null);
  equal(toPrice(parsePrice({ ...row, is_active: false }), []), null);
});
