/** Checkout, clicked through over HTTP as a browser without the script would. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { ASKS, CARD, checkout, DECLINED, Person, SITE, withShop } from "./testing.ts";

const success = (id: string) => `${SITE}/account?checkout=success&session_id=${id}`;

Deno.test("a paid subscription returns to the shop with the session's id", () =>
  withShop(async (shop) => {
    const customer = await shop.stripe.customers.create({ email: "ada@example.com" });
    const session = await checkout(shop, { customer: customer.id });
    const person = await new Person().open(session.url);
    assert.match(person.text, /Subscribe to Pro .*\$15\.00 per month/);
    assert.match(person.text, /not Stripe, no real money moves/);
    assert.match(person.html, /value="ada@example\.com"\s+readonly/);
    await person.submit(CARD);
    assert.equal(person.left, success(session.id));
    assert.equal((await shop.stripe.checkout.sessions.retrieve(session.id)).status, "complete");
    const { data } = await shop.stripe.subscriptions.list({ customer: customer.id });
    assert.deepEqual(data.map((sub) => sub.status), ["active"]);
  }));

Deno.test("a declined card is announced, keeps the input but never the CVC, and another card then pays", () =>
  withShop(async (shop) => {
    const session = await checkout(shop);
    const person = await new Person().open(session.url);
    await person.submit({ ...DECLINED, email: "ada@example.com" });
    assert.equal(person.alert, "Your card was declined.");
    assert.equal(person.value("email"), "ada@example.com");
    assert.equal(person.value("number"), DECLINED.number);
    assert.equal(person.value("cvc"), "");
    await person.submit({ ...CARD, email: "ada@example.com" });
    assert.equal(person.left, success(session.id));
  }));

Deno.test("a wrong field is marked and nothing is tried", () =>
  withShop(async (shop) => {
    const session = await checkout(shop);
    const person = await new Person().open(session.url);
    await person.submit({ ...CARD, email: "nobody", cvc: "1" });
    assert.match(person.alert, /check the fields/);
    assert.match(person.html, /id="email-error"[^>]*>Enter an e-mail address/);
    await person.submit({ ...CARD, email: "ada@example.com", number: "4242 4242 4242 4241" });
    assert.match(person.html, /id="number-error"/);
    assert.equal((await shop.stripe.checkout.sessions.retrieve(session.id)).status, "open");
  }));

Deno.test("authentication can fail and be completed", () =>
  withShop(async (shop) => {
    const session = await checkout(shop, { customer_email: "ada@example.com" });
    const person = await new Person().open(session.url);
    await person.submit(ASKS);
    assert.match(person.url, /\/authenticate$/);
    assert.match(person.text, /Complete authentication Fail authentication/);
    await person.open(session.url);
    assert.match(person.url, /\/authenticate$/, "a reload does not lose the question");
    await person.submit({ answer: "fail" });
    assert.notEqual(person.alert, "");
    await person.submit(ASKS);
    await person.submit({ answer: "complete" });
    assert.equal(person.left, success(session.id));
  }));

Deno.test("going back leads to the cancel address and leaves the session open", () =>
  withShop(async (shop) => {
    const session = await checkout(shop);
    const person = await new Person().open(session.url);
    await person.click("Back");
    assert.equal(person.left, `${SITE}/pricing?checkout=cancelled`);
    assert.equal((await shop.stripe.checkout.sessions.retrieve(session.id)).status, "open");
  }));

Deno.test("a double click pays once, and both clicks arrive at the shop", () =>
  withShop(async (shop) => {
    const customer = await shop.stripe.customers.create({ email: "ada@example.com" });
    const session = await checkout(shop, { customer: customer.id });
    const [one, two] = await Promise.all([
      new Person().open(session.url),
      new Person().open(session.url),
    ]);
    await Promise.all([one.submit(CARD), two.submit(CARD), one.submit(CARD)]);
    assert.deepEqual([one.left, two.left], [success(session.id), success(session.id)]);
    assert.equal((await shop.stripe.subscriptions.list({ customer: customer.id })).data.length, 1);
  }));

Deno.test("expired, finished and unknown sessions say so", () =>
  withShop(async (shop) => {
    const expired = await checkout(shop);
    await shop.stripe.checkout.sessions.expire(expired.id);
    // An expired session has no `url` any more; the person still has the old one.
    const person = await new Person().open(expired.url);
    assert.equal(person.status, 410);
    assert.match(person.text, /has expired Nothing was charged/);
    const paid = await checkout(shop, { customer_email: "ada@example.com" });
    await (await person.open(paid.url)).submit(CARD);
    await person.open(paid.url);
    assert.equal(person.status, 410);
    assert.match(person.text, /paid already/);
    await person.open(`${shop.url}/c/pay/cs_test_none`);
    assert.equal(person.status, 404);
  }));

Deno.test("a one-off payment and a set-up have their own words", () =>
  withShop(async (shop) => {
    const price_data = { currency: "usd", unit_amount: 900, product_data: { name: "Prompt pack" } };
    const once = await checkout(shop, {
      mode: "payment",
      line_items: [{ price_data, quantity: 2 }],
    });
    const person = await new Person().open(once.url);
    assert.match(person.text, /Pay for Prompt pack .*2 × \$9\.00.*Total due today \$18\.00/);
    await person.submit({ ...CARD, email: "ada@example.com" });
    assert.equal(person.left, success(once.id));

    const customer = await shop.stripe.customers.create({ email: "ada@example.com" });
    const setup = await shop.stripe.checkout.sessions.create({
      mode: "setup",
      currency: "usd",
      customer: customer.id,
      success_url: `${SITE}/account`,
    });
    const saver = await new Person().open(setup.url);
    assert.doesNotMatch(saver.html, /\/back"/, "no cancel address, no way back");
    await saver.submit(CARD);
    assert.equal(saver.left, `${SITE}/account`);
    const cards = await shop.stripe.paymentMethods.list({ customer: customer.id, type: "card" });
    assert.equal(cards.data.length, 1);
  }));

Deno.test("hostile names are shown, not run", () =>
  withShop(async (shop) => {
    const name = `<img src=x onerror=alert(1)>"'&amp;`;
    const price_data = { currency: "usd", unit_amount: 900, product_data: { name } };
    const session = await checkout(shop, {
      mode: "payment",
      line_items: [{ price_data, quantity: 1 }],
    });
    const person = await new Person().open(session.url);
    assert.doesNotMatch(person.html, /<img/);
    assert.ok(person.text.includes(name), "the name is readable as it was given");
    await person.submit({ ...CARD, email: `"><script>alert(1)</script>` });
    assert.doesNotMatch(person.html, /<script>/);
    assert.equal(person.value("email"), `"><script>alert(1)</script>`);
  }));

Deno.test("another site's form changes nothing", () =>
  withShop(async (shop) => {
    const session = await checkout(shop, { customer_email: "ada@example.com" });
    const response = await fetch(session.url ?? "", {
      method: "POST",
      headers: { origin: "http://evil.test" },
      body: new URLSearchParams(CARD),
    });
    assert.equal(response.status, 403);
    assert.match(response.headers.get("content-security-policy") ?? "", /script-src 'self'/);
    await response.body?.cancel();
    assert.equal((await shop.stripe.checkout.sessions.retrieve(session.id)).status, "open");
  }));

Deno.test("a promotion code is taken on the page, shown, and can be taken away again", () =>
  withShop(async (shop) => {
    const coupon = (await shop.stripe.coupons.create({ percent_off: 50, name: "Launch" })).id;
    const promotion = { type: "coupon" as const, coupon };
    await shop.stripe.promotionCodes.create({ promotion, code: "LAUNCH" });
    const session = await checkout(shop, { allow_promotion_codes: true });
    const person = await new Person().open(session.url);
    const code = (promotion_code: string) => person.submit({ promotion_code }, "/promotion-code");
    await code("nonsense");
    assert.match(person.text, /This code is not valid\./);
    assert.equal(person.value("promotion_code"), "nonsense");
    await code("launch");
    assert.match(person.text, /Discount Launch \(LAUNCH\) −\$/);
    await person.submit({ remove: "1" }, "/promotion-code");
    assert.doesNotMatch(person.text, /Discount/);
    await code("LAUNCH");
    await person.submit({ ...CARD, email: "ada@example.com" });
    assert.match(person.left ?? "", /checkout=success/);
    const done = await shop.stripe.checkout.sessions.retrieve(session.id);
    assert.equal(done.amount_total, (done.amount_subtotal ?? 0) / 2);
    const plain = await new Person().open((await checkout(shop)).url);
    assert.doesNotMatch(plain.text, /Promotion code/);
  }));

Deno.test("a discount that lasts is in what the person agrees to pay each month", () =>
  withShop(async (shop) => {
    const page = async (coupon: Stripe.CouponCreateParams) => {
      const { id } = await shop.stripe.coupons.create(coupon);
      const session = await checkout(shop, { discounts: [{ coupon: id }] });
      return (await new Person().open(session.url)).text;
    };
    assert.match(
      await page({ percent_off: 20, duration: "forever" }),
      /You pay \$12\.00 per month until/,
    );
    assert.match(
      await page({ percent_off: 20, duration: "repeating", duration_in_months: 3 }),
      /You pay \$12\.00 per month for 3 months, then \$15\.00 per month until/,
    );
    assert.match(
      await page({ percent_off: 20, duration: "once" }),
      /You pay \$15\.00 per month until/,
    );
  }));
