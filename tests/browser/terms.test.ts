import assert from "node:assert/strict";
import { breakCard, everywhere, payWith, picture, subscribed, visit } from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { quiet } from "../support/sandbox.ts";
import { signUp, sql, stripe } from "../support/stack.ts";

Deno.test("in a browser: a renewal that fails is a banner everywhere, with what helps, until it is paid", async (t) => {
  const clock = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000),
  });
  const { person, customer, subscription } = await subscribed("overdue", "pro_monthly", {
    clock: clock.id,
  });
  await breakCard(customer);
  const end = subscription.items.data[0]?.current_period_end ?? 0;
  await stripe().testHelpers.testClocks.advance(clock.id, { frozen_time: end + 2 * 3_600 });
  await quiet();
  await visit("overdue", person, async ({ page, go }) => {
    const banner = page.getByRole("region", { name: "Payment problem" });
    await t.step("the banner says until when the plan stays", async () => {
      await banner.getByText(/Your last payment did not go through: 7 days left/).waitFor();
      await picture(page, "60-chat-overdue");
      await go("/pricing");
      await banner.waitFor();
      await go("/account");
      await page.getByRole("link", { name: /^Pay invoice [A-Z0-9]/ }).waitFor();
      await everywhere(page, "61-account-overdue");
    });
    await t.step("the open invoice has a page of its own", async () => {
      const opened = page.context().waitForEvent("page");
      await banner.getByRole("link", { name: "Pay invoice" }).click();
      const invoice = await opened;
      await invoice.getByRole("button", { name: "Pay" }).waitFor();
      await invoice.close();
    });
    await t.step("another card in the portal pays it, and brings them back", async () => {
      await banner.getByRole("button", { name: "Fix payment method" }).click();
      await payWith(page, CARDS.success, "Save card");
      await page.waitForURL(/\/account/);
      await page.getByText("Your billing details are up to date").waitFor();
      await page.waitForURL(/\/account$/);
    });
    await t.step("the banner is gone, and the invoice is paid", async () => {
      await banner.waitFor({ state: "detached" });
      await page.getByText(/Renews on/).waitFor();
      assert.equal(await page.getByRole("link", { name: /^Pay invoice/ }).count(), 0);
      await everywhere(page, "62-account-recovered");
    });
  });
});

Deno.test("in a browser: euros, a promotion code, and the subscription stays in its currency", async () => {
  const person = await signUp("euro");
  const coupon = await stripe().coupons.create({ percent_off: 50, duration: "once", name: "Half" });
  const code = `HALF${Date.now()}`;
  await stripe().promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id }, code });
  await visit("euro", person, async ({ page, go }) => {
    await go("/account");
    await page.getByText("No invoices yet").waitFor();
    await everywhere(page, "70-account-free");
    await go("/pricing");
    await page.getByRole("radio", { name: "EUR" }).click();
    const pro = page.getByRole("article", { name: "Pro" });
    await pro.getByText("€14", { exact: true }).waitFor();
    await everywhere(page, "71-pricing-eur");
    await pro.getByRole("link", { name: "Upgrade to Pro" }).click();
    await page.getByLabel("Promotion code").fill(code);
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("€7.00").first().waitFor();
    await picture(page, "72-checkout-promotion");
    await payWith(page, CARDS.success);
    await page.getByText("You are on Pro").waitFor();
    await page.getByText("€14 a month.").waitFor();
    await page.getByRole("row").filter({ hasText: "€7.00" }).waitFor();
    await everywhere(page, "73-account-eur");
    await go("/pricing");
    await page.getByText("In EUR, the currency of your subscription.").waitFor();
  });
});

Deno.test("in a browser: a trial says what is free, until when, and what comes then", async () => {
  const db = sql({ max: 1 });
  const person = await signUp("trial");
  await db`update public.prices set trial_days = 14 where lookup_key = 'pro_monthly'`;
  try {
    await visit("trial", person, async ({ page, go }) => {
      await go("/pricing");
      const pro = page.getByRole("article", { name: "Pro" });
      await pro.getByText("14 days free").waitFor();
      await everywhere(page, "80-pricing-trial");
      await pro.getByRole("link", { name: "Upgrade to Pro" }).click();
      await payWith(page, CARDS.success);
      await page.getByText("Your trial of Pro has begun").waitFor();
      await page.getByText(/^Free until .*, then \$15 a month\.$/).waitFor();
      await everywhere(page, "81-account-trial");
      await page.waitForURL(/\/account$/);
    });
  } finally {
    await db`update public.prices set trial_days = 0 where lookup_key = 'pro_monthly'`;
    await db.end();
  }
});

Deno.test("in a browser: a plan that was granted, beside one that is paid", async () => {
  const { person } = await subscribed("granted", "pro_monthly");
  const db = sql({ max: 1 });
  await db`select billing.grant_plan(${person.id}, 'enterprise', now() + interval '30 days', 'Pilot')`;
  await db.end();
  await visit("granted", person, async ({ page, go }) => {
    await go("/account");
    await page.getByText(/Enterprise was granted to you until/).waitFor();
    await page.getByText(/Your Pro subscription goes on beside it/).waitFor();
    await everywhere(page, "90-account-granted");
    await go("/pricing");
    await page.getByRole("article", { name: "Enterprise" }).getByText("Your plan").waitFor();
    await everywhere(page, "91-pricing-granted");
  });
});
