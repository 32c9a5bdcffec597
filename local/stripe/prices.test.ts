import assert from "node:assert/strict";
import type Stripe from "stripe";
import { tierParts } from "./billing/amounts.ts";
import { advance, customerWithCard, refusal, START, withSandbox } from "./testing.ts";

const DAY = 86_400;
const product_data = { name: "Seats" };
const recurring = { interval: "month" as const };

Deno.test("tiers cost what Stripe's guide says: graduated unit by unit, volume as a whole", () => {
  const tier = (up_to: number | null, unit: number, flat: number | null = null) => ({
    flat_amount: flat,
    flat_amount_decimal: flat === null ? null : String(flat),
    unit_amount: unit,
    unit_amount_decimal: String(unit),
    up_to,
  });
  // The guide's table: 1–5 at 5, 6–10 at 4, 11 and more at 3.
  const plain = [tier(5, 500), tier(10, 400), tier(null, 300)];
  const flat = [tier(5, 500, 1000), tier(10, 400, 2000), tier(null, 300, 3000)];
  const sum = (mode: "graduated" | "volume", tiers: typeof plain, quantity: number) =>
    tierParts(tiers, mode, quantity).reduce((total, part) => total + part.amount, 0);
  const graduated = [1, 5, 6, 20].map((quantity) => sum("graduated", plain, quantity));
  assert.deepEqual(graduated, [500, 2500, 2900, 7500]);
  assert.deepEqual([1, 5, 6, 20].map((quantity) => sum("volume", plain, quantity)), [
    500,
    2500,
    2400,
    6000,
  ]);
  const graduatedFlat = [5, 6, 20].map((quantity) => sum("graduated", flat, quantity));
  assert.deepEqual(graduatedFlat, [3500, 5900, 13_500]);
  assert.deepEqual([5, 6, 20].map((quantity) => sum("volume", flat, quantity)), [3500, 4400, 9000]);
});

const tiers: Stripe.PriceCreateParams.Tier[] = [
  { up_to: 5, unit_amount: 500 },
  { up_to: "inf", unit_amount: 300, flat_amount: 1000 },
];

Deno.test("a tiered price is billed tier by tier, prorated, and shows its tiers only when expanded", () =>
  withSandbox(async ({ stripe }) => {
    const price = await stripe.prices.create({
      currency: "usd",
      billing_scheme: "tiered",
      tiers_mode: "graduated",
      tiers,
      product_data,
      recurring,
    });
    assert.deepEqual([price.unit_amount, price.tiers, price.tiers_mode], [
      null,
      undefined,
      "graduated",
    ]);
    const shown = await stripe.prices.list({ expand: ["data.tiers"] });
    assert.deepEqual(shown.data[0]?.tiers?.map((tier) => [tier.up_to, tier.unit_amount]), [
      [5, 500],
      [null, 300],
    ]);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id, quantity: 7 }],
    });
    const first = await stripe.invoices.retrieve(String(sub.latest_invoice));
    assert.deepEqual(first.lines.data.map((line) => [line.quantity, line.amount]), [
      [5, 2500],
      [2, 1600],
    ]);
    await advance(stripe, clock, START + 14 * DAY);
    const more = await stripe.subscriptions.update(sub.id, {
      items: [{ id: sub.items.data[0]?.id, quantity: 8 }],
      proration_behavior: "always_invoice",
    });
    const billed = await stripe.invoices.retrieve(String(more.latest_invoice));
    assert.deepEqual(billed.lines.data.map((line) => line.amount), [-2050, 2200]);

    const base = { currency: "usd", product_data, recurring };
    const wrong: [Stripe.PriceCreateParams, string][] = [
      [{ ...base, unit_amount: 5, tiers }, "tiers"],
      [{ ...base, billing_scheme: "tiered", tiers }, "tiers_mode"],
      [{ ...base, billing_scheme: "tiered", tiers_mode: "volume" }, "tiers"],
      [
        {
          ...base,
          billing_scheme: "tiered",
          tiers_mode: "volume",
          tiers: [{ up_to: 5, unit_amount: 1 }],
        },
        "tiers[0][up_to]",
      ],
    ];
    for (const [params, param] of wrong) {
      assert.equal((await refusal(stripe.prices.create(params))).param, param);
    }
  }));

Deno.test("a price in several currencies: Checkout and subscriptions bill the chosen one", () =>
  withSandbox(async ({ stripe, sandbox: { hosted } }) => {
    const price = await stripe.prices.create({
      currency: "usd",
      unit_amount: 1500,
      currency_options: { eur: { unit_amount: 1400 }, gbp: { unit_amount: 1200 } },
      product_data,
      recurring,
    });
    assert.equal(price.currency_options, undefined);
    const shown = await stripe.prices.retrieve(price.id, { expand: ["currency_options"] });
    assert.deepEqual(
      Object.entries(shown.currency_options ?? {}).map(([key, each]) => [key, each.unit_amount])
        .sort(),
      [["eur", 1400], ["gbp", 1200], ["usd", 1500]],
    );
    const base = {
      mode: "subscription" as const,
      line_items: [{ price: price.id, quantity: 1 }],
      success_url: "http://127.0.0.1:9/",
    };
    const { customer } = await customerWithCard(stripe);
    const session = await stripe.checkout.sessions.create({
      ...base,
      currency: "eur",
      customer: customer.id,
    });
    assert.deepEqual([session.currency, session.amount_total], ["eur", 1400]);
    const [card] = hosted.getCheckoutView(session.id)?.saved_cards ?? [];
    hosted.payCheckout(session.id, { saved_card: card?.id ?? "" });
    const [sub] = (await stripe.subscriptions.list({ customer: customer.id })).data;
    assert.ok(sub);
    assert.deepEqual([sub.currency, sub.items.data[0]?.price.currency], ["eur", "usd"]);
    const invoice = await stripe.invoices.retrieve(String(sub.latest_invoice));
    assert.deepEqual([invoice.currency, invoice.amount_paid], ["eur", 1400]);
    const bought = await stripe.customers.retrieve(customer.id);
    assert.ok(!bought.deleted && bought.currency === "eur");

    // The customer's own currency is the default from now on, and another one is refused while it is in use.
    const next = await stripe.checkout.sessions.create({ ...base, customer: customer.id });
    assert.equal(next.currency, "eur");
    const pounds = { ...base, customer: customer.id, currency: "gbp" };
    assert.match((await refusal(stripe.checkout.sessions.create(pounds))).message, /combine/);
    const yen = { ...base, currency: "jpy" };
    assert.match((await refusal(stripe.checkout.sessions.create(yen))).message, /only supports/);
    const dollars = await stripe.prices.create({
      currency: "usd",
      unit_amount: 9,
      product_data,
      recurring,
    });
    const items = [{ id: sub.items.data[0]?.id, price: dollars.id }];
    assert.match(
      (await refusal(stripe.subscriptions.update(sub.id, { items }))).message,
      /expected currency: `eur`/,
    );
  }));
