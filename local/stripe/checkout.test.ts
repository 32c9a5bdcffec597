import assert from "node:assert/strict";
import Stripe from "stripe";
import {
  advance,
  customerWithCard,
  eventually,
  type Fixture,
  monthlyPrice,
  receiver,
  refusal,
  withSandbox,
} from "./testing.ts";

const CARD = {
  number: "4242 4242 4242 4242",
  exp_month: 12,
  exp_year: 2034,
  cvc: "123",
  name: "Ada",
};
const card = (number: string) => ({ card: { ...CARD, number } });

async function openSession(
  { stripe }: Fixture,
  options: Partial<Stripe.Checkout.SessionCreateParams> = {},
) {
  const price = await monthlyPrice(stripe);
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "http://127.0.0.1:9/ok?session_id={CHECKOUT_SESSION_ID}",
    cancel_url: "http://127.0.0.1:9/back",
    subscription_data: { metadata: { plan: "pro" } },
    ...options,
  });
  return { price, session };
}

Deno.test("checkout pays, the subscription is active, and signed events arrive", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox } = fixture;
    let secret = "";
    const hook = await receiver(() => secret);
    const endpoint = await stripe.webhookEndpoints.create({
      url: hook.url,
      enabled_events: [
        "checkout.session.completed",
        "customer.subscription.created",
        "invoice.paid",
      ],
    });
    assert.match(endpoint.secret ?? "", /^whsec_/);
    secret = endpoint.secret ?? "";
    assert.equal((await stripe.webhookEndpoints.retrieve(endpoint.id)).secret, undefined);
    const customer = await stripe.customers.create({ email: "ada@example.com" });
    const { session, price } = await openSession(fixture, { customer: customer.id });
    assert.deepEqual([session.status, session.payment_status, session.amount_total], [
      "open",
      "unpaid",
      1500,
    ]);
    assert.equal(session.line_items, undefined);
    assert.equal(session.expires_at, session.created + 86_400);
    const view = sandbox.hosted.getCheckoutView(session.id);
    assert.deepEqual([view?.email, view?.lines[0]?.amount, view?.status], [
      "ada@example.com",
      1500,
      "open",
    ]);
    const outcome = sandbox.hosted.payCheckout(session.id, card("4242 4242 4242 4242"));
    assert.deepEqual(outcome, {
      outcome: "succeeded",
      redirect: `http://127.0.0.1:9/ok?session_id=${session.id}`,
    });
    const done = await stripe.checkout.sessions.retrieve(session.id, {
      expand: ["subscription", "line_items"],
    });
    assert.deepEqual([done.status, done.payment_status, done.url], ["complete", "paid", null]);
    assert.equal(done.line_items?.data[0]?.price?.id, price.id);
    assert.ok(typeof done.subscription === "object" && done.subscription?.status === "active");
    assert.deepEqual(done.subscription.metadata, { plan: "pro" });
    assert.ok(done.subscription.default_payment_method);
    await eventually("three events", () => Promise.resolve(hook.events.length === 3));
    assert.deepEqual(hook.events.map((event) => event.type).sort(), [
      "checkout.session.completed",
      "customer.subscription.created",
      "invoice.paid",
    ]);
    assert.ok(hook.events.every((event) => event.api_version === "2026-10-28.endive"));
    assert.throws(
      () => sandbox.hosted.payCheckout(session.id, card("4242424242424242")),
      /is complete/,
    );
    await hook.close();
  }));

Deno.test("a declined card leaves no subscription, and the person tries again", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox } = fixture;
    const { session } = await openSession(fixture, { customer_email: "eve@example.com" });
    const pay = (number: string) => sandbox.hosted.payCheckout(session.id, card(number));
    const declined = pay("4000 0000 0000 0002");
    assert.deepEqual(declined, {
      outcome: "declined",
      code: "card_declined",
      message: "Your card was declined.",
    });
    const wrong = pay("4242 4242 4242 4241");
    assert.ok(wrong.outcome === "declined" && wrong.param === "number");
    const old = sandbox.hosted.payCheckout(session.id, { card: { ...CARD, exp_year: 2020 } });
    assert.ok(old.outcome === "declined" && old.param === "exp_year");
    assert.equal((await stripe.subscriptions.list({ status: "all" })).data.length, 0);
    assert.equal(
      (await stripe.events.list({ type: "payment_intent.payment_failed" })).data.length,
      1,
    );
    assert.deepEqual(sandbox.hosted.abandonCheckout(session.id), {
      redirect: "http://127.0.0.1:9/back",
    });
    assert.equal(pay("4242 4242 4242 4242").outcome, "succeeded");
    const [customer] = (await stripe.customers.list()).data;
    assert.equal(customer?.email, "eve@example.com");
  }));

Deno.test("authentication is asked, survives refusal, and the approved card renews", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox } = fixture;
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", 1_780_000_000);
    const { session } = await openSession(fixture, { customer: customer.id });
    const { hosted } = sandbox;
    assert.equal(
      hosted.payCheckout(session.id, card("4000 0025 0000 3155")).outcome,
      "requires_action",
    );
    assert.equal(hosted.getCheckoutView(session.id)?.awaiting_authentication, true);
    assert.equal(hosted.confirmAuthentication(session.id, false).outcome, "declined");
    assert.equal((await stripe.subscriptions.list({ status: "all" })).data.length, 0);
    assert.equal(
      hosted.payCheckout(session.id, card("4000 0025 0000 3155")).outcome,
      "requires_action",
    );
    assert.equal(hosted.confirmAuthentication(session.id, true).outcome, "succeeded");
    const [sub] = (await stripe.subscriptions.list({ customer: customer.id })).data;
    await advance(stripe, clock, (sub?.items.data[0]?.current_period_end ?? 0) + 7200);
    assert.equal((await stripe.subscriptions.retrieve(sub?.id ?? "")).status, "active");
    assert.equal(
      (await stripe.invoices.list({ customer: customer.id, status: "paid" })).data.length,
      2,
    );
  }));

Deno.test("payment and setup modes, trials, and expiry", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox: { hosted } } = fixture;
    const urls = { success_url: "http://127.0.0.1:9/ok" };
    const payment = await stripe.checkout.sessions.create({
      ...urls,
      mode: "payment",
      line_items: [{
        price_data: { currency: "usd", unit_amount: 700, product_data: { name: "Pack" } },
        quantity: 3,
      }],
    });
    assert.equal(payment.amount_total, 2100);
    assert.equal(
      hosted.payCheckout(payment.id, { ...card("4242424242424242"), email: "a@b.c" }).outcome,
      "succeeded",
    );
    const paid = await stripe.checkout.sessions.retrieve(payment.id, {
      expand: ["payment_intent"],
    });
    assert.ok(
      typeof paid.payment_intent === "object" && paid.payment_intent?.amount_received === 2100,
    );
    assert.equal((await stripe.checkout.sessions.listLineItems(payment.id)).data[0]?.quantity, 3);

    const { id: customer } = await stripe.customers.create({});
    const setup = await stripe.checkout.sessions.create({
      ...urls,
      mode: "setup",
      customer,
      currency: "usd",
    });
    assert.equal(hosted.payCheckout(setup.id, card("4000 0000 0000 0341")).outcome, "succeeded");
    assert.equal((await stripe.customers.listPaymentMethods(customer)).data.length, 1);

    const trial = await openSession(fixture, {
      customer,
      subscription_data: { trial_period_days: 14 },
    });
    assert.deepEqual([trial.session.amount_total, trial.session.payment_status], [
      0,
      "no_payment_required",
    ]);
    assert.equal(
      hosted.payCheckout(trial.session.id, card("4242424242424242")).outcome,
      "succeeded",
    );
    assert.equal((await stripe.subscriptions.list({ customer })).data[0]?.status, "trialing");

    const late = (await openSession(fixture)).session;
    assert.equal((await stripe.checkout.sessions.expire(late.id)).status, "expired");
    assert.equal((await refusal(stripe.checkout.sessions.expire(late.id))).statusCode, 400);
    const forgotten = (await openSession(fixture)).session;
    await fetch(`${fixture.url}/_sandbox/clock`, {
      method: "POST",
      body: JSON.stringify({ seconds: 90_000 }),
    })
      .then((answer) => answer.json());
    assert.equal((await stripe.checkout.sessions.retrieve(forgotten.id)).status, "expired");
    assert.ok((await stripe.events.list({ type: "checkout.session.expired" })).data.length === 2);
  }));

Deno.test("the portal cancels by date, resumes, changes the plan and the card", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox: { hosted } } = fixture;
    const price = await monthlyPrice(stripe);
    const bigger = await monthlyPrice(stripe, 4900);
    const { customer } = await customerWithCard(stripe);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const return_url = "http://127.0.0.1:9/account";
    const session = await stripe.billingPortal.sessions.create({
      customer: customer.id,
      return_url,
    });
    const view = hosted.getPortalView(session.id);
    assert.deepEqual([view?.subscriptions[0]?.id, view?.prices.length, view?.invoices.length], [
      sub.id,
      2,
      1,
    ]);

    hosted.portalCancel(session.id, sub.id, { feedback: "too_expensive" });
    const ending = await stripe.subscriptions.retrieve(sub.id);
    assert.deepEqual([ending.cancel_at_period_end, ending.cancel_at], [
      false,
      sub.items.data[0]?.current_period_end,
    ]);
    assert.equal(ending.cancellation_details?.feedback, "too_expensive");
    const flow = {
      type: "subscription_cancel",
      subscription_cancel: { subscription: sub.id },
    } as const;
    const again = stripe.billingPortal.sessions.create({ customer: customer.id, flow_data: flow });
    assert.match((await refusal(again)).message, /already set to be canceled/);
    assert.throws(
      () => hosted.portalChangePlan(session.id, sub.id, { price: bigger.id }),
      /Renew it/,
    );
    hosted.portalResume(session.id, sub.id);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).cancel_at, null);

    const preview = hosted.portalPreviewPlan(session.id, sub.id, { price: bigger.id });
    assert.deepEqual([preview.amount_due_now, preview.next_amount], [3400, 4900]);
    assert.equal(
      hosted.portalChangePlan(session.id, sub.id, { price: bigger.id }).outcome,
      "succeeded",
    );
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).items.data[0]?.price.id, bigger.id);

    assert.equal(
      hosted.portalUpdatePaymentMethod(session.id, { ...CARD, number: "4000000000000002" }).outcome,
      "declined",
    );
    assert.equal(
      hosted.portalUpdatePaymentMethod(session.id, { ...CARD, number: "4000002760003184" }).outcome,
      "requires_action",
    );
    assert.equal(hosted.portalConfirmAuthentication(session.id, true).outcome, "succeeded");
    const known = await stripe.customers.retrieve(customer.id);
    assert.ok(!known.deleted && known.invoice_settings.default_payment_method);
    // This card asks the bank each time: the change waits, and a refusal leaves the old plan.
    const biggest = await monthlyPrice(stripe, 9900);
    const change = () => hosted.portalChangePlan(session.id, sub.id, { price: biggest.id }).outcome;
    const plan = async () => (await stripe.subscriptions.retrieve(sub.id)).items.data[0]?.price.id;
    assert.equal(change(), "requires_action");
    assert.equal(hosted.portalConfirmAuthentication(session.id, false).outcome, "declined");
    assert.equal(await plan(), bigger.id);
    assert.equal(change(), "requires_action");
    assert.equal(hosted.portalConfirmAuthentication(session.id, true).outcome, "succeeded");
    assert.equal(await plan(), biggest.id);
    assert.equal(
      (await stripe.invoices.list({ customer: customer.id, status: "open" })).data.length,
      0,
    );
  }));
