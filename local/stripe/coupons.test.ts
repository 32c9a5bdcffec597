import assert from "node:assert/strict";
import type Stripe from "stripe";
import {
  advance,
  at,
  client,
  monthlyPrice,
  refusal,
  START,
  subscribed,
  withSandbox,
} from "./testing.ts";

const DAY = 86_400;
const CARD = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };
const success_url = "http://127.0.0.1:9/done";

async function types(stripe: Stripe): Promise<string[]> {
  return (await stripe.events.list({ limit: 100 })).data.map((event) => event.type);
}

/** What each of the first three invoices of a subscription comes to under a coupon. */
const DURATIONS: [Stripe.CouponCreateParams, number[]][] = [
  [{ percent_off: 20, duration: "once" }, [1200, 1500, 1500]],
  [{ percent_off: 33.3, duration: "forever" }, [1000, 1000, 1000]],
  [{ amount_off: 500, currency: "usd", duration: "repeating", duration_in_months: 2 }, [
    1000,
    1000,
    1500,
  ]],
  [{ amount_off: 9000, currency: "usd", duration: "once" }, [0, 1500, 1500]],
];

Deno.test("a coupon lowers as many invoices as its duration says", () =>
  withSandbox(async ({ stripe }) => {
    for (const [terms, totals] of DURATIONS) {
      const coupon = await stripe.coupons.create(terms);
      const { sub, clock, customer } = await subscribed(stripe, {
        discounts: [{ coupon: coupon.id }],
      });
      await advance(stripe, clock, at("2026-02-28") + 7200);
      await advance(stripe, clock, at("2026-03-31") + 7200);
      const { data } = await stripe.invoices.list({ customer: customer.id });
      assert.deepEqual(data.map((invoice) => invoice.total).reverse(), totals);
      const [first] = data.slice(-1);
      const off = 1500 - (totals[0] ?? 0);
      assert.deepEqual(first?.total_discount_amounts?.map((each) => each.amount), [off]);
      assert.deepEqual(first?.lines.data[0]?.discount_amounts?.map((each) => each.amount), [off]);
      assert.deepEqual([first?.subtotal, first?.discounts.length], [1500, 1]);
      const now = await stripe.subscriptions.retrieve(sub.id, {
        expand: ["discounts.source.coupon"],
      });
      assert.equal(now.discounts.length, terms.duration === "once" ? 0 : 1);
      assert.equal((await stripe.coupons.retrieve(coupon.id)).times_redeemed, 1);
    }
    const seen = await types(stripe);
    assert.ok(seen.includes("customer.discount.deleted"));
  }));

Deno.test("discounts of a subscription are set, kept, replaced and taken away", () =>
  withSandbox(async ({ stripe }) => {
    const [ten, five] = [
      await stripe.coupons.create({ percent_off: 10, duration: "forever" }),
      await stripe.coupons.create({ amount_off: 500, currency: "usd", duration: "forever" }),
    ];
    const { sub } = await subscribed(stripe, { discounts: [{ coupon: ten.id }] });
    const [first] = sub.discounts;
    const both = await stripe.subscriptions.update(sub.id, {
      discounts: [{ discount: String(first) }, { coupon: five.id }],
    });
    assert.equal(both.discounts[0], first);
    // 10 % of 15.00, then 5.00 off.
    const seen = await stripe.invoices.createPreview({ subscription: sub.id });
    assert.deepEqual([seen.subtotal, seen.total], [1500, 850]);
    await stripe.subscriptions.deleteDiscount(sub.id);
    assert.deepEqual((await stripe.subscriptions.retrieve(sub.id)).discounts, [first]);
    const none = await stripe.subscriptions.update(sub.id, { discounts: "" });
    assert.deepEqual(none.discounts, []);
    const preview = { subscription: sub.id, discounts: [{ coupon: ten.id }] };
    assert.equal((await stripe.invoices.createPreview(preview)).total, 1350);
    assert.equal((await stripe.coupons.retrieve(ten.id)).times_redeemed, 1);
  }));

Deno.test("prorations give back what was paid after the discount, and charge what will be", () =>
  withSandbox(async ({ stripe }) => {
    const half = await stripe.coupons.create({ percent_off: 50, duration: "once" });
    const { sub, clock } = await subscribed(stripe, { discounts: [{ coupon: half.id }] });
    const bigger = await monthlyPrice(stripe, 4900);
    await advance(stripe, clock, START + 14 * DAY);
    const done = await stripe.subscriptions.update(sub.id, {
      items: [{ id: sub.items.data[0]?.id, price: bigger.id }],
      proration_behavior: "always_invoice",
    });
    const invoice = await stripe.invoices.retrieve(String(done.latest_invoice));
    assert.deepEqual(invoice.lines.data.map((line) => line.amount), [-375, 2450]);
    assert.deepEqual([invoice.total, invoice.lines.data[0]?.discountable], [2075, false]);
  }));

Deno.test("coupons and promotion codes refuse what Stripe refuses", () =>
  withSandbox(async ({ stripe, url }) => {
    const bad: [Stripe.CouponCreateParams, string | undefined][] = [
      [{}, "percent_off"],
      [{ percent_off: 120 }, "percent_off"],
      [{ amount_off: 5 }, "currency"],
      [{ percent_off: 5, duration: "repeating" }, "duration_in_months"],
      [{ percent_off: 5, redeem_by: 1000 }, "redeem_by"],
    ];
    for (const [params, param] of bad) {
      assert.equal((await refusal(stripe.coupons.create(params))).param, param);
    }
    const once = await stripe.coupons.create({ percent_off: 5, max_redemptions: 1, id: "FIVE" });
    assert.equal(
      (await refusal(stripe.coupons.create({ id: "FIVE", percent_off: 1 }))).param,
      "id",
    );
    const { price, customer } = await subscribed(stripe, { discounts: [{ coupon: once.id }] });
    assert.equal((await stripe.coupons.retrieve("FIVE")).valid, false);
    const again = {
      customer: customer.id,
      items: [{ price: price.id }],
      discounts: [{ coupon: "FIVE" }],
    };
    assert.equal((await refusal(stripe.subscriptions.create(again))).code, "coupon_expired");

    const coupon = (await stripe.coupons.create({ percent_off: 10 })).id;
    const promotion = { type: "coupon" as const, coupon };
    const first = await stripe.promotionCodes.create({
      promotion,
      code: "Hello",
      restrictions: { first_time_transaction: true },
    });
    assert.equal(first.code, "HELLO");
    assert.match(
      (await refusal(stripe.promotionCodes.create({ promotion, code: "hello" }))).message,
      /already exists/,
    );
    const code = { ...again, discounts: [{ promotion_code: first.id }] };
    assert.match((await refusal(stripe.subscriptions.create(code))).message, /prior transactions/);
    assert.equal((await stripe.promotionCodes.list({ code: "hello" })).data.length, 1);
    await stripe.promotionCodes.update(first.id, { active: false });
    assert.match((await refusal(stripe.subscriptions.create(code))).message, /not active/);
    const redeem_by = Math.floor(Date.now() / 1000) + 2;
    const brief = await stripe.coupons.create({ percent_off: 5, redeem_by });
    await fetch(`${url}/_sandbox/clock`, { method: "POST", body: JSON.stringify({ seconds: 60 }) });
    assert.equal((await stripe.coupons.retrieve(brief.id)).valid, false);
    const euros = await stripe.coupons.create({ amount_off: 100, currency: "eur" });
    const other = { ...again, discounts: [{ coupon: euros.id }] };
    assert.match((await refusal(stripe.subscriptions.create(other))).message, /does not match/);
  }));

Deno.test("Checkout takes a promotion code on its page, and a discount of the request", () =>
  withSandbox(async ({ stripe, sandbox: { hosted, port } }) => {
    const price = await monthlyPrice(stripe);
    const coupon = (await stripe.coupons.create({ percent_off: 20, name: "Launch" })).id;
    const code = await stripe.promotionCodes.create({
      promotion: { type: "coupon", coupon },
      code: "LAUNCH",
    });
    const base = {
      mode: "subscription" as const,
      line_items: [{ price: price.id, quantity: 2 }],
      success_url,
    };
    const session = await stripe.checkout.sessions.create({ ...base, allow_promotion_codes: true });
    assert.equal(hosted.applyPromotionCode(session.id, "nothing").outcome, "refused");
    assert.deepEqual(hosted.applyPromotionCode(session.id, " launch "), { outcome: "applied" });
    const view = hosted.getCheckoutView(session.id);
    assert.deepEqual([view?.amount_subtotal, view?.amount_discount, view?.amount_total], [
      3000,
      600,
      2400,
    ]);
    assert.deepEqual(view?.discounts, [{ name: "Launch", code: "LAUNCH", amount: 600 }]);
    hosted.removePromotionCode(session.id);
    assert.equal(hosted.getCheckoutView(session.id)?.amount_total, 3000);
    hosted.applyPromotionCode(session.id, "LAUNCH");
    assert.equal(
      hosted.payCheckout(session.id, { card: CARD, email: "a@b.c" }).outcome,
      "succeeded",
    );
    const done = await client(port).checkout.sessions.retrieve(session.id, {
      expand: ["discounts.promotion_code", "line_items", "subscription.latest_invoice"],
    });
    assert.deepEqual([done.amount_total, done.total_details?.amount_discount], [2400, 600]);
    assert.equal(done.line_items?.data[0]?.amount_total, 2400);
    const used = done.discounts?.[0]?.promotion_code;
    assert.ok(used !== null && typeof used === "object" && used.id === code.id);
    const sub = done.subscription;
    assert.ok(sub !== null && typeof sub === "object");
    const invoice = sub.latest_invoice;
    assert.ok(invoice !== null && typeof invoice === "object" && invoice.amount_paid === 2400);
    assert.equal((await stripe.promotionCodes.retrieve(code.id)).times_redeemed, 1);

    const given = await stripe.checkout.sessions.create({ ...base, discounts: [{ coupon }] });
    assert.equal(given.amount_total, 2400);
    assert.throws(() => hosted.applyPromotionCode(given.id, "LAUNCH"), /does not take/);
    const both = { ...base, discounts: [{ coupon }], allow_promotion_codes: true };
    assert.equal(
      (await refusal(stripe.checkout.sessions.create(both))).code,
      "parameters_exclusive",
    );
    const all = (await stripe.coupons.create({ percent_off: 100 })).id;
    const free = await stripe.checkout.sessions.create({ ...base, discounts: [{ coupon: all }] });
    assert.deepEqual([free.amount_total, free.payment_status], [0, "no_payment_required"]);
    hosted.payCheckout(free.id, { card: CARD, email: "a@b.c" });
    const active = await stripe.checkout.sessions.retrieve(free.id, { expand: ["subscription"] });
    assert.ok(
      active.subscription !== null && typeof active.subscription === "object" &&
        active.subscription.status === "active",
    );
  }));

Deno.test("a coupon for one product lowers only its lines", () =>
  withSandbox(async ({ stripe }) => {
    const [one, two] = [await monthlyPrice(stripe, 1000), await monthlyPrice(stripe, 3000)];
    const coupon = await stripe.coupons.create({
      amount_off: 400,
      currency: "usd",
      applies_to: { products: [String(two.product)] },
    });
    const shown = await stripe.coupons.retrieve(coupon.id, { expand: ["applies_to"] });
    assert.deepEqual([coupon.applies_to, shown.applies_to?.products], [undefined, [two.product]]);
    const { customer } = await subscribed(stripe);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: one.id }, { price: two.id }],
      discounts: [{ coupon: coupon.id }],
    });
    const invoice = await stripe.invoices.retrieve(String(sub.latest_invoice));
    const off = invoice.lines.data.map((line) => line.discount_amounts?.[0]?.amount);
    assert.deepEqual([off, invoice.total], [[0, 400], 3600]);
  }));
