import assert from "node:assert/strict";
import { CARDS, mustLeave, mustStay, openPage, pay, press, textOf } from "../support/hosted.ts";
import { eventually, type Person, request, signUp, sql, stripe } from "../support/stack.ts";

function checkout(person: Person, body: unknown) {
  return request("/functions/v1/checkout", { token: person.token, body });
}

async function sourceOf(person: Person) {
  const { data } = await person.client.from("subscriptions").select("id, status");
  return data ?? [];
}

Deno.test("a trial is a person's once, also when the first subscription is gone", async () => {
  const db = sql({ max: 1 });
  const person = await signUp("trial");
  await db`update public.prices set trial_days = 14 where lookup_key = 'business_yearly'`;
  try {
    const first = await checkout(person, { lookup_key: "business_yearly" });
    assert.equal(first.status, 200, first.text);
    mustLeave(await pay((first.body as { url: string }).url, CARDS.success));
    const [trial] = await eventually(() => sourceOf(person), (rows) => rows.length > 0);
    assert.equal(trial?.status, "trialing");
    await stripe().subscriptions.cancel(trial?.id ?? "");
    await eventually(() => sourceOf(person), ([row]) => row?.status === "canceled");

    const second = await checkout(person, { lookup_key: "business_yearly" });
    assert.equal(second.status, 200, second.text);
    mustLeave(await pay((second.body as { url: string }).url, CARDS.success));
    const rows = await eventually(
      () => sourceOf(person),
      (all) => all.some(({ status }) => status === "active"),
    );
    assert.ok(!rows.some(({ status }) => status === "trialing"));
  } finally {
    await db`update public.prices set trial_days = 0 where lookup_key = 'business_yearly'`;
    await db.end();
  }
});

Deno.test("a currency that a price does not have is refused, and its own is accepted", async () => {
  const person = await signUp("currency");
  const refused = await checkout(person, { lookup_key: "pro_monthly", currency: "jpy" });
  assert.equal(refused.status, 404);
  const nonsense = await checkout(person, { lookup_key: "pro_monthly", currency: "US$" });
  assert.equal(nonsense.status, 400);
  const own = await checkout(person, { lookup_key: "pro_monthly", currency: "usd" });
  assert.equal(own.status, 200, own.text);
});

Deno.test("who chooses euros is shown, charged and billed in euros", async () => {
  const person = await signUp("euro");
  const opened = await checkout(person, { lookup_key: "pro_monthly", currency: "eur" });
  assert.equal(opened.status, 200, opened.text);
  const { url } = opened.body as { url: string };
  assert.match(textOf((await openPage(url)).html), /€14\.00/);
  mustLeave(await pay(url, CARDS.success));
  await eventually(() => sourceOf(person), ([row]) => row?.status === "active");
  const { data } = await person.client.from("invoices").select("currency, total_minor, status");
  assert.deepEqual(data, [{ currency: "eur", total_minor: 1_400, status: "paid" }]);

  const preview = await request("/functions/v1/subscription", {
    token: person.token,
    body: { action: "preview", lookup_key: "business_monthly" },
  });
  assert.equal(preview.status, 200, preview.text);
  const { currency, next_amount_minor } = preview.body as {
    currency: string;
    next_amount_minor: number;
  };
  assert.deepEqual({ currency, next_amount_minor }, { currency: "eur", next_amount_minor: 4_500 });
});

Deno.test("a promotion code lowers what is paid, on the page and on the mirrored invoice", async () => {
  const coupon = await stripe().coupons.create({ percent_off: 20, duration: "once" });
  await stripe().promotionCodes.create({
    promotion: { type: "coupon", coupon: coupon.id },
    code: "FRIEND20",
  });
  const person = await signUp("promotion");
  const opened = await checkout(person, { lookup_key: "pro_monthly" });
  const { url } = opened.body as { url: string };
  const wrong = mustStay(
    await press(await openPage(url), "Apply", { "Promotion code": "NOSUCH" }),
  );
  assert.match(textOf(wrong.html), /\$15\.00/);
  const lower = mustStay(await press(wrong, "Apply", { "Promotion code": "FRIEND20" }));
  assert.match(textOf(lower.html), /\$12\.00/);
  mustLeave(await pay(url, CARDS.success));
  await eventually(() => sourceOf(person), ([row]) => row?.status === "active");
  const { data } = await person.client.from("invoices").select("total_minor, amount_paid_minor");
  assert.deepEqual(data, [{ total_minor: 1_200, amount_paid_minor: 1_200 }]);
});

/** The shop's tax matters, as its owner enters them in Stripe: where it sits, and where it is registered. */
async function registerIn(country: "de"): Promise<string> {
  await stripe().tax.settings.update({
    defaults: { tax_behavior: "inferred_by_currency" },
    head_office: { address: { country: "DE", postal_code: "10115", line1: "Unter den Linden 1" } },
  });
  const standard = { place_of_supply_scheme: "standard" } as const;
  const { id } = await stripe().tax.registrations.create({
    active_from: "now",
    country: country.toUpperCase(),
    country_options: { [country]: { type: "standard", standard } },
  });
  return id;
}

/** Before the shop's tax matters are known, in the next test: Stripe cannot be made to forget them. */
Deno.test("automatic tax without Stripe's tax settings is refused as what it is", async () => {
  assert.equal((await stripe().tax.settings.retrieve()).status, "pending");
  const db = sql({ max: 1 });
  await db`update billing.settings set value = 'true' where key = 'automatic_tax'`;
  try {
    const { status, body, text } = await checkout(await signUp("untaxed"), {
      lookup_key: "pro_monthly",
    });
    assert.equal(status, 503, text);
    assert.equal((body as { error: { code: string } }).error.code, "tax_not_configured");
  } finally {
    await db`update billing.settings set value = 'false' where key = 'automatic_tax'`;
    await db.end();
  }
});

Deno.test("with automatic tax a customer in Germany pays VAT on top, and the mirrored invoice says so", async () => {
  const db = sql({ max: 1 });
  const registration = await registerIn("de");
  await db`update billing.settings set value = 'true' where key = 'automatic_tax'`;
  try {
    const person = await signUp("tax");
    const opened = await checkout(person, { lookup_key: "pro_monthly" });
    assert.equal(opened.status, 200, opened.text);
    const { url } = opened.body as { url: string };
    const early = mustStay(await pay(url, CARDS.success));
    assert.match(textOf(early.html), /Enter your billing address first/);
    const placed = mustStay(
      await press(early, "Update total", { Country: "DE", "Postal code": "10115" }),
    );
    assert.match(textOf(placed.html), /VAT Germany \(19%\) \$2\.85 Total due today \$17\.85/);
    mustLeave(await pay(url, CARDS.success));
    await eventually(() => sourceOf(person), ([row]) => row?.status === "active");
    const { data } = await person.client.from("invoices").select("total_minor, amount_paid_minor");
    assert.deepEqual(data, [{ total_minor: 1_785, amount_paid_minor: 1_785 }]);

    const preview = await request("/functions/v1/subscription", {
      token: person.token,
      body: { action: "preview", lookup_key: "business_monthly" },
    });
    assert.equal(preview.status, 200, preview.text);
    const { next_amount_minor } = preview.body as { next_amount_minor: number };
    assert.equal(next_amount_minor, 5_831, "49.00 and 19 %");

    // Nobody is registered for France: nothing to add, and no sale is lost.
    const abroad = await signUp("abroad");
    const other = await checkout(abroad, { lookup_key: "pro_monthly" });
    const page = await openPage((other.body as { url: string }).url);
    await press(page, "Update total", { Country: "FR", "Postal code": "75001" });
    mustLeave(await pay(page.url, CARDS.success));
    await eventually(() => sourceOf(abroad), ([row]) => row?.status === "active");
    const untaxed = await abroad.client.from("invoices").select("total_minor");
    assert.deepEqual(untaxed.data, [{ total_minor: 1_500 }]);
  } finally {
    await db`update billing.settings set value = 'false' where key = 'automatic_tax'`;
    await stripe().tax.registrations.update(registration, { expires_at: "now" });
    await db.end();
  }
});

Deno.test("a promotion code in the portal lowers the plan a person changes to", async () => {
  const coupon = await stripe().coupons.create({ percent_off: 50, duration: "forever" });
  const promotion = { type: "coupon", coupon: coupon.id } as const;
  await stripe().promotionCodes.create({ promotion, code: "UPGRADE50" });
  const person = await signUp("upgrade");
  const opened = await checkout(person, { lookup_key: "pro_monthly" });
  mustLeave(await pay((opened.body as { url: string }).url, CARDS.success));
  const [bought] = await eventually(() => sourceOf(person), ([row]) => row?.status === "active");

  const portal = await request("/functions/v1/portal", {
    token: person.token,
    body: { flow: "update" },
  });
  assert.equal(portal.status, 200, portal.text);
  const { data: [business] } = await stripe().prices.list({ lookup_keys: ["business_monthly"] });
  const plans = await openPage((portal.body as { url: string }).url);
  const asked = mustStay(await press(plans, "Continue", { Business: business?.id ?? "" }));
  assert.match(textOf(asked.html), /Next payment on [^$]*\$49\.00/);
  const wrong = mustStay(await press(asked, "Apply", { "Promotion code": "NOSUCH" }));
  assert.match(textOf(wrong.html), /This code is not valid/);
  const lower = mustStay(await press(wrong, "Apply", { "Promotion code": "upgrade50" }));
  assert.match(textOf(lower.html), /Next payment on [^$]*\$24\.50/);
  mustLeave(await press(lower, "Confirm change"));

  await eventually(
    async () => (await person.client.rpc("my_entitlements")).data as { plan: { id: string } },
    ({ plan }) => plan.id === "business",
  );
  const next = await stripe().invoices.createPreview({ subscription: bought?.id ?? "" });
  assert.equal(next.total, 2_450);
  const { data } = await eventually(
    async () =>
      await person.client.from("invoices").select("total_minor, status").order("total_minor"),
    ({ data }) => data?.length === 2,
  );
  assert.deepEqual(data?.map(({ status }) => status), ["paid", "paid"]);
  assert.ok((data?.[0]?.total_minor ?? 0) < 1_000, "2450 less 1500, and not 4900 less 1500");
});

/** The worked example of Stripe's documentation (docs.stripe.com/products-prices/pricing-models#tiered-pricing). */
const TIERS = [
  { up_to: 5, unit_amount_minor: 700, flat_amount_minor: 0 },
  { up_to: null, unit_amount_minor: 650, flat_amount_minor: 0 },
];

for (
  const { mode, ofSix } of [{ mode: "volume", ofSix: 3_900 }, { mode: "graduated", ofSix: 4_150 }]
) {
  Deno.test(`a price with ${mode} tiers is sold as the catalogue says it, and as nothing else`, async () => {
    const db = sql({ max: 1 });
    const key = `business_${mode}`;
    await db`
      insert into public.prices (lookup_key, plan_id, currency, billing_interval, tiers_mode, tiers)
      values (${key}, 'business', 'usd', 'month', ${mode}, ${db.json(TIERS)})`;
    try {
      const product = await stripe().products.create({ name: `Seats, ${mode}` });
      await stripe().prices.create({
        ...{
          product: product.id,
          currency: "usd",
          recurring: { interval: "month" },
          lookup_key: key,
        },
        ...{ billing_scheme: "tiered", tiers_mode: mode === "volume" ? "volume" : "graduated" },
        tiers: [{ up_to: 5, unit_amount: 700 }, { up_to: "inf", unit_amount: 650 }],
      });
      const person = await signUp(mode);
      const opened = await checkout(person, { lookup_key: key });
      assert.equal(opened.status, 200, opened.text);
      mustLeave(await pay((opened.body as { url: string }).url, CARDS.success));
      await eventually(() => sourceOf(person), ([row]) => row?.status === "active");
      const bought = await person.client.rpc("my_entitlements");
      assert.equal((bought.data as { plan: { id: string } }).plan.id, "business");
      const { data } = await person.client.from("invoices").select("total_minor");
      assert.deepEqual(data, [{ total_minor: 700 }]);

      const preview = await request("/functions/v1/subscription", {
        token: person.token,
        body: { action: "preview", lookup_key: key, quantity: 6 },
      });
      assert.equal(preview.status, 200, preview.text);
      assert.equal((preview.body as { next_amount_minor: number }).next_amount_minor, ofSix);

      // The catalogue says something else than Stripe: nothing is sold.
      await db`
        update public.prices set tiers = jsonb_set(tiers, '{0,unit_amount_minor}', '100')
        where lookup_key = ${key}`;
      const refused = await checkout(await signUp("tiers"), { lookup_key: key });
      assert.equal(refused.status, 503, refused.text);
      assert.equal((refused.body as { error: { code: string } }).error.code, "price_mismatch");
    } finally {
      await db`update public.prices set is_active = false where lookup_key = ${key}`;
      await db.end();
    }
  });
}
