/** The Billing Portal and the hosted invoice, clicked through over HTTP. */
import assert from "node:assert/strict";
import { ASKS, CARD, DECLINED, Person, portal, SITE, subscriber, withShop } from "./testing.ts";

const back = `${SITE}/account?portal=return`;

Deno.test("a subscription is canceled at the period's end, and resumed", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const person = await portal(shop, customer);
    assert.match(person.text, /Pro Active .*\$15\.00 per month.*Renews on/);
    await person.click("Cancel subscription");
    assert.match(person.text, /You keep it until/);
    await person.submit({ feedback: "too_expensive", comment: "bye" }, "/cancel");
    assert.match(person.text, /Ends on .* It will not renew/);
    const ending = await shop.stripe.subscriptions.retrieve(subscription);
    assert.equal(ending.status, "active");
    assert.notEqual(ending.cancel_at, null);
    assert.equal(ending.cancellation_details?.feedback, "too_expensive");
    await person.submit({}, "/resume");
    assert.match(person.text, /Renews on/);
    const resumed = await shop.stripe.subscriptions.retrieve(subscription);
    assert.equal(resumed.cancel_at, null);
    assert.equal(resumed.cancel_at_period_end, false);
  }));

Deno.test("a plan is changed after a confirmation that says what it costs", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const person = await portal(shop, customer);
    await person.click("Change plan");
    assert.match(person.text, /Pro \$15\.00 per month Your plan .*Business \$49\.00 per month/);
    await person.submit({ price: shop.prices.business });
    assert.match(person.text, /Change to Business .*Due now \$\d+\.\d\d/);
    const before = await shop.stripe.subscriptions.retrieve(subscription);
    assert.equal(before.items.data[0]?.price.id, shop.prices.pro, "looking changes nothing");
    await person.submit({}, "/confirm");
    assert.match(person.text, /You are on Business now/);
    const after = await shop.stripe.subscriptions.retrieve(subscription);
    assert.equal(after.items.data[0]?.price.id, shop.prices.business);
  }));

Deno.test("a price that the portal does not offer cannot be posted", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const person = await portal(shop, customer);
    await person.click("Change plan");
    await person.submit({ price: "price_invented" });
    assert.match(person.alert, /Choose the plan/);
    const sub = await shop.stripe.subscriptions.retrieve(subscription);
    assert.equal(sub.items.data[0]?.price.id, shop.prices.pro);
  }));

Deno.test("a new card becomes the default; a declined one is said and not saved", () =>
  withShop(async (shop) => {
    const { customer } = await subscriber(shop);
    const person = await portal(shop, customer);
    await person.click("Add payment method");
    await person.submit(DECLINED);
    assert.equal(person.alert, "Your card was declined.");
    await person.submit({ ...CARD, number: "5555 5555 5555 4444" });
    assert.match(person.text, /Your card was saved/);
    assert.match(person.text, /Mastercard ending in 4444 expires 12\/34 Default/);
    const cards = await shop.stripe.paymentMethods.list({ customer, type: "card" });
    assert.equal(cards.data.length, 2);
  }));

Deno.test("a card that wants authentication is saved after it", () =>
  withShop(async (shop) => {
    const { customer } = await subscriber(shop);
    const person = await portal(shop, customer);
    await person.click("Add payment method");
    await person.submit(ASKS);
    assert.match(person.url, /\/authenticate$/);
    await person.submit({ answer: "complete" });
    assert.match(person.text, /Visa ending in 3155 expires 12\/34 Default/);
  }));

Deno.test("a cancel flow opens in its task and returns to the app", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const person = await portal(shop, customer, {
      type: "subscription_cancel",
      subscription_cancel: { subscription },
      after_completion: {
        type: "redirect",
        redirect: { return_url: `${SITE}/account?portal=done` },
      },
    });
    assert.match(person.text, /Cancel Pro\?/);
    assert.doesNotMatch(person.text, /Invoices/);
    await person.submit({}, "/cancel");
    assert.equal(person.left, `${SITE}/account?portal=done`);
  }));

Deno.test("update and payment method flows open in their task", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const redirect = { type: "redirect" as const, redirect: { return_url: back } };
    const change = await portal(shop, customer, {
      type: "subscription_update",
      subscription_update: { subscription },
      after_completion: redirect,
    });
    await change.submit({ price: shop.prices.business });
    await change.submit({}, "/confirm");
    assert.equal(change.left, back);
    const card = await portal(shop, customer, {
      type: "payment_method_update",
      after_completion: redirect,
    });
    await card.submit(CARD);
    assert.equal(card.left, back);
  }));

Deno.test("the way back leads to the session's own address", () =>
  withShop(async (shop) => {
    const { customer } = await subscriber(shop);
    const person = await portal(shop, customer);
    assert.ok(person.html.includes(`href="${back}"`));
    assert.match(person.text, /Return to/);
  }));

Deno.test("an invoice can be read from the portal", () =>
  withShop(async (shop) => {
    const { customer } = await subscriber(shop, `<b>Ada</b>`);
    const person = await portal(shop, customer);
    assert.doesNotMatch(person.html, /<b>Ada/);
    const [invoice] = (await shop.stripe.invoices.list({ customer })).data;
    await person.click(invoice?.number ?? "none");
    assert.match(person.text, /Paid.*Total \$15\.00/);
    assert.ok(person.text.includes("<b>Ada</b>"));
  }));

Deno.test("a failed renewal is said in the portal, and its invoice can be settled on its own page", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const person = await portal(shop, customer);
    await person.click("Add payment method");
    await person.submit({ ...CARD, number: "4000 0000 0000 0341" });
    await shop.pass(32);
    assert.equal((await shop.stripe.subscriptions.retrieve(subscription)).status, "past_due");
    await person.open(person.url);
    assert.match(person.text, /Past due .*The last payment failed/);
    const [invoice] = (await shop.stripe.invoices.list({ customer, status: "open" })).data;
    await person.open(`${shop.url}/i/${invoice?.id}`);
    await person.submit(DECLINED);
    assert.equal(person.alert, "Your card was declined.");
    await person.submit(ASKS);
    await person.submit({ answer: "complete" });
    assert.match(person.text, /this invoice is paid.*Total \$15\.00/);
    assert.equal((await shop.stripe.subscriptions.retrieve(subscription)).status, "active");
  }));

Deno.test("somebody else's subscription and an unknown session are not found", () =>
  withShop(async (shop) => {
    const one = await subscriber(shop);
    const other = await subscriber(shop);
    const person = await portal(shop, one.customer);
    const session = person.url.replace(/\/overview$/, "");
    await person.open(`${session}/subscriptions/${other.subscription}/cancel`);
    assert.equal(person.status, 404);
    const posted = await fetch(`${session}/subscriptions/${other.subscription}/cancel`, {
      method: "POST",
    });
    await posted.body?.cancel();
    assert.equal((await shop.stripe.subscriptions.retrieve(other.subscription)).cancel_at, null);
    await person.open(`${shop.url}/p/session/bps_none`);
    assert.equal(person.status, 404);
  }));

Deno.test("the operator sees events, deliveries and customers", () =>
  withShop(async (shop) => {
    await subscriber(shop);
    const person = await new Person().open(`${shop.url}/_sandbox`);
    assert.match(person.text, /customer\.subscription\.created/);
    await person.click("customer.subscription.created");
    assert.match(person.text, /"object": "event"/);
    await person.click("Customers");
    assert.match(person.text, /ada@example\.com .*Pro Active/);
    await person.click("Time");
    const was = (await shop.stripe.customers.create({})).created;
    const to = new Date((was + 40 * 86_400) * 1000).toISOString().slice(0, 16);
    await person.submit({ to }, "/time");
    assert.equal(person.alert, "");
    assert.ok((await shop.stripe.customers.create({})).created >= was + 39 * 86_400);
  }));

Deno.test("a promotion code is taken where the configuration allows it, and a wrong one is refused", () =>
  withShop(async (shop) => {
    const { customer, subscription } = await subscriber(shop);
    const coupon = (await shop.stripe.coupons.create({ percent_off: 50, duration: "forever" })).id;
    const promotion = { type: "coupon" as const, coupon };
    const code = await shop.stripe.promotionCodes.create({ promotion, code: "HALF" });
    const restrictions = { first_time_transaction: true };
    await shop.stripe.promotionCodes.create({ promotion, code: "FIRST", restrictions });
    const closed = await portal(shop, customer);
    await closed.click("Change plan");
    await closed.submit({ price: shop.prices.business });
    assert.doesNotMatch(closed.text, /Promotion code/);
    // The form that the page does not have is refused as well.
    await closed.submit({ promotion_code: "HALF" }, "/confirm");
    assert.match(closed.alert, /does not take promotion codes/);

    const [standard] = (await shop.stripe.billingPortal.configurations.list()).data;
    await shop.stripe.billingPortal.configurations.update(standard?.id ?? "", {
      features: {
        subscription_update: { default_allowed_updates: ["price", "promotion_code"] },
      },
    });
    const person = await portal(shop, customer);
    await person.click("Change plan");
    await person.submit({ price: shop.prices.business });
    await person.submit({ promotion_code: "NOSUCH" }, "/promotion-code");
    assert.match(person.text, /This code is not valid/);
    await person.submit({ promotion_code: "FIRST" }, "/promotion-code");
    assert.match(person.text, /prior transactions/);
    await person.submit({ promotion_code: "half" }, "/promotion-code");
    assert.match(person.text, /Next payment on [^$]*\$24\.50/);
    const looked = await shop.stripe.promotionCodes.retrieve(code.id);
    assert.equal(looked.times_redeemed, 0, "looking redeems nothing");
    await person.submit({}, "/confirm");
    assert.match(person.text, /You are on Business now/);
    const after = await shop.stripe.subscriptions.retrieve(subscription, {
      expand: ["discounts"],
    });
    const [discount] = after.discounts;
    assert.ok(discount && typeof discount === "object" && discount.promotion_code === code.id);
    const { data } = await shop.stripe.events.list({ limit: 20 });
    const types = data.map((event) => event.type);
    assert.ok(types.includes("customer.discount.created"));
    const updates = data.filter((event) => event.type === "customer.subscription.updated");
    assert.deepEqual(
      Object.keys(updates[0]?.data.previous_attributes ?? {}).filter((key) =>
        ["discounts", "items"].includes(key)
      ).sort(),
      ["discounts", "items"],
    );
    const next = await shop.stripe.invoices.createPreview({ subscription });
    assert.equal(next.total, 2450);
  }));
