import assert from "node:assert/strict";
import { StripeError } from "./engine/errors.ts";
import { customerWithCard, monthlyPrice, withSandbox } from "./testing.ts";

Deno.test("a saved card is made the default or removed in the portal, but not the one in use", () =>
  withSandbox(async ({ stripe, sandbox: { hosted } }) => {
    const price = await monthlyPrice(stripe);
    const { customer, method } = await customerWithCard(stripe);
    const other = await stripe.paymentMethods.attach("pm_card_mastercard", {
      customer: customer.id,
    });
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    const { id } = await stripe.billingPortal.sessions.create({ customer: customer.id });
    assert.throws(() => hosted.portalDetachPaymentMethod(id, method.id), /paid with this card/);
    hosted.portalSetDefaultPaymentMethod(id, other.id);
    const now = await stripe.subscriptions.retrieve(sub.id);
    assert.equal(now.default_payment_method, other.id);
    hosted.portalDetachPaymentMethod(id, method.id);
    assert.equal((await stripe.paymentMethods.retrieve(method.id)).customer, null);
    const { method: stranger } = await customerWithCard(stripe);
    for (const action of ["portalDetachPaymentMethod", "portalSetDefaultPaymentMethod"] as const) {
      assert.throws(() => hosted[action](id, stranger.id), /No such PaymentMethod/);
    }
  }));

Deno.test("a portal session's link is short-lived", () =>
  withSandbox(async ({ stripe, sandbox: { hosted } }) => {
    const customer = await stripe.customers.create({});
    const session = await stripe.billingPortal.sessions.create({ customer: customer.id });
    assert.ok(hosted.getPortalView(session.id));
    await new Promise((resolve) => setTimeout(resolve, 350));
    const is410 = (error: unknown) => error instanceof StripeError && error.status === 410;
    assert.throws(() => hosted.getPortalView(session.id), is410);
    assert.throws(() => hosted.portalResume(session.id, "sub_none"), is410);
    assert.equal(hosted.getPortalView("bps_none"), null);
    const page = await fetch(session.url);
    assert.equal(page.status, 410);
    await page.body?.cancel();
  }, { portalLifetime: 0.3 }));
