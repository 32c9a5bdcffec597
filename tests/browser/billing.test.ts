import assert from "node:assert/strict";
import type { Page, Request, Route } from "playwright-core";
import {
  everywhere,
  launchBrowser,
  payWith,
  picture,
  signInAs,
  visitor,
} from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { customerOf, priceOf, quiet } from "../support/sandbox.ts";
import { eventually, type Person, signUp, sql, stack, stripe } from "../support/stack.ts";

interface Visit {
  page: Page;
  person: Person;
  /** The dialog in front of the page. */
  dialog: ReturnType<Page["getByRole"]>;
  go: (path: string) => Promise<void>;
}

/** A signed-in person in a browser of their own; what their pages throw or log as an error fails the test. */
async function visit(name: string, person: Person, work: (visit: Visit) => Promise<void>) {
  const browser = await launchBrowser();
  const { page, problems } = await visitor(browser, { viewport: { width: 1280, height: 860 } });
  try {
    await signInAs(page, person);
    const go = async (path: string) => {
      await page.goto(`${stack().web_url}${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
    };
    await work({ page, person, go, dialog: page.getByRole("dialog") });
    assert.deepEqual(problems, []);
  } catch (error) {
    await picture(page, `failure-${name}`);
    throw error;
  } finally {
    await browser.close();
  }
}

async function subscribed(
  name: string,
  lookupKey: string,
  options: { card?: string; clock?: string } = {},
) {
  const person = await signUp(name);
  const customer = await customerOf(person, options);
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf(lookupKey) }],
  });
  await eventually(
    async () => (await person.client.from("entitlements").select("source")).data,
    (rows) => rows?.[0]?.source === "subscription",
  );
  await quiet();
  return { person, customer, subscription };
}

/** From now on this customer's payments are refused. */
async function breakCard(customer: string): Promise<void> {
  const card = await stripe().paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  await stripe().customers.update(customer, {
    invoice_settings: { default_payment_method: card.id },
  });
}

/** Waits until the keyboard is there. As text: the tests are checked as Deno's, which has no document. */
async function focusOn(page: Page, label: string): Promise<void> {
  await page.waitForFunction(`document.activeElement.textContent === ${JSON.stringify(label)}`);
}

async function bills(customer: string): Promise<number> {
  return (await stripe().invoices.list({ customer })).data.length;
}

const subscriptionCalls = "**/functions/v1/subscription";

/** Presses the button that opens a dialog, and waits for what a change costs. */
async function ask({ page, dialog }: Visit, button: string): Promise<void> {
  await page.getByRole("button", { name: button }).click();
  await dialog.getByText("To pay today").waitFor();
}

async function choosePlan({ page, dialog }: Visit, rhythm: "Monthly" | "Annual", plan: RegExp) {
  await page.getByRole("button", { name: "Change plan" }).click();
  await dialog.getByRole("radio", { name: rhythm }).click();
  await dialog.getByRole("button", { name: plan }).click();
  await dialog.getByText("To pay today").waitFor();
}

Deno.test("in a browser: an upgrade says what it costs, and nothing is charged before the confirmation", async (t) => {
  const { person, customer } = await subscribed("upgrade", "pro_monthly");
  await visit("upgrade", person, async (visit) => {
    const { page, dialog, go } = visit;
    const confirm = dialog.getByRole("button", { name: /^Confirm and pay \$/ });

    await t.step("without a connection the preview says so, and can be tried again", async () => {
      await go("/pricing");
      await page.route(subscriptionCalls, (route) => route.abort());
      await page.getByRole("button", { name: "Upgrade to Business" }).click();
      await dialog.getByRole("alert").filter({ hasText: "We cannot reach the server" }).waitFor();
      assert.equal(await confirm.count(), 0, "nothing can be confirmed unseen");
      await everywhere(page, "20-preview-offline");
      await page.unroute(subscriptionCalls);
      await dialog.getByRole("button", { name: "Try again" }).click();
      await confirm.waitFor();
    });

    await t.step(
      "the preview has every line, what is paid today, and the next payment",
      async () => {
        await dialog.getByText(/Next payment: \$49\.00 on/).waitFor();
        await dialog.getByText(/^Unused time on Pro/).waitFor();
        await dialog.getByText(/^−\$/).waitFor();
        await everywhere(page, "21-preview-upgrade");
        assert.equal(await bills(customer), 1, "asking costs nothing");
      },
    );

    await t.step("Escape leaves it, and the keyboard is where it was", async () => {
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await focusOn(page, "Upgrade to Business");
      await page.keyboard.press("Enter");
      await confirm.waitFor();
    });

    await t.step(
      "a preview that has expired is made again before anything is charged",
      async () => {
        const tooOld = async (route: Route) => {
          const body = route.request().postDataJSON();
          const proration_date = body.proration_date - 16 * 60;
          await route.continue({ postData: JSON.stringify({ ...body, proration_date }) });
        };
        await page.route(subscriptionCalls, tooOld, { times: 1 });
        // A preview of the same second would be the same one.
        await page.waitForTimeout(1_100);
        await confirm.click();
        await dialog.getByText("The amounts were calculated again").waitFor();
        await everywhere(page, "22-preview-again");
        assert.equal(await bills(customer), 1);
      },
    );

    await t.step("a double click is one change, and the charge is what was shown", async () => {
      const changes: Request[] = [];
      page.on("request", (request) => {
        if (request.postData()?.includes('"action":"change"')) changes.push(request);
      });
      const shown = (await confirm.innerText()).replace("Confirm and pay ", "");
      await confirm.dblclick();
      await dialog.getByRole("heading", { name: "You are on Business" }).waitFor();
      await dialog.getByRole("status").filter({ hasText: `${shown} was charged.` }).waitFor();
      assert.equal(changes.length, 1);
      await everywhere(page, "23-upgraded");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/account$/);
      const { data } = await stripe().invoices.list({ customer, limit: 1 });
      const row = page.getByRole("row").filter({ hasText: data[0]?.number ?? "no number" });
      await row.filter({ hasText: shown }).filter({ hasText: "Paid" }).waitFor();
      await everywhere(page, "24-account-business");
    });
  });
});

Deno.test("in a browser: a year at once, back to months later, a lower plan later, and each taken back", async (t) => {
  const { person } = await subscribed("rhythm", "business_monthly");
  await visit("rhythm", person, async (visit) => {
    const { page, dialog, go } = visit;
    const back = () => page.getByRole("link", { name: "Return to account" }).click();

    await t.step("monthly to annual is paid now", async () => {
      await go("/account");
      await page.getByRole("button", { name: "Change plan" }).click();
      await dialog.getByText("Your plan").waitFor();
      await everywhere(page, "30-choose-plan");
      await page.keyboard.press("Escape");
      await choosePlan(visit, "Annual", /^Business/);
      await dialog.getByRole("heading", { name: "Switch to annual" }).waitFor();
      await everywhere(page, "31-preview-annual");
      await dialog.getByRole("button", { name: /^Confirm and pay \$/ }).click();
      await back();
      await page.getByText("$490 a year.").waitFor();
    });

    await t.step("annual to monthly waits for the end of the year", async () => {
      await choosePlan(visit, "Monthly", /^Business/);
      await dialog.getByText("$0.00").waitFor();
      await dialog.getByRole("button", { name: "Confirm change" }).click();
      await dialog.getByRole("heading", { name: "Your change is planned" }).waitFor();
      await back();
      await page.getByText(/Your plan changes to monthly billing on/).waitFor();
      await page.getByRole("button", { name: "Keep current plan" }).click();
      await dialog.getByRole("button", { name: "Keep Business" }).click();
      await back();
      await page.getByText(/Your plan changes to/).waitFor({ state: "detached" });
    });

    await t.step("so does a lower plan; the tariff board says from when", async () => {
      await go("/pricing");
      await ask(visit, "Change to Pro");
      await dialog.getByText(/^You keep Business until/).waitFor();
      await everywhere(page, "32-preview-downgrade");
      await dialog.getByRole("button", { name: "Confirm change" }).click();
      await back();
      await page.getByText(/Your plan changes to Pro on/).waitFor();
      await everywhere(page, "33-account-planned");
      await go("/pricing");
      await page.getByRole("article", { name: "Pro" }).getByText(/^From /).waitFor();
      await everywhere(page, "34-pricing-planned");
    });

    await t.step("and it is taken back", async () => {
      await go("/account");
      await page.getByRole("button", { name: "Keep current plan" }).click();
      await dialog.getByText(/The change to Pro is taken back/).waitFor();
      await everywhere(page, "35-take-back");
      await dialog.getByRole("button", { name: "Keep Business" }).click();
      await back();
      await page.getByText("$490 a year. Renews on").waitFor();
    });
  });
});

Deno.test("in a browser: cancel, resume, cancel now", async (t) => {
  const { person } = await subscribed("leaving", "pro_monthly");
  await visit("leaving", person, async ({ page, dialog, go }) => {
    const back = () => page.getByRole("link", { name: "Return to account" }).click();
    await t.step("it ends with what is paid", async () => {
      await go("/account");
      await page.getByRole("button", { name: "Cancel plan" }).click();
      await dialog.getByText(/You keep Pro until/).waitFor();
      await everywhere(page, "40-cancel");
      await dialog.getByRole("button", { name: "Confirm cancellation" }).click();
      await dialog.getByRole("heading", { name: /^Pro ends on/ }).waitFor();
      await back();
      await page.getByText(/Your plan stays until/).waitFor();
      await everywhere(page, "41-account-ending");
    });
    await t.step("resuming takes it back", async () => {
      await page.getByRole("button", { name: "Resume plan" }).click();
      await dialog.getByText(/Nothing is charged now/).waitFor();
      await everywhere(page, "42-resume");
      await dialog.getByRole("button", { name: "Resume subscription" }).click();
      await back();
      await page.getByText("$15 a month. Renews on").waitFor();
    });
    await t.step("cancelling now leads to the free plan, and says what is lost", async () => {
      await page.getByRole("button", { name: "Cancel plan" }).click();
      await dialog.getByRole("radio", { name: "Now" }).click();
      await dialog.getByText(/is not refunded/).waitFor();
      await everywhere(page, "43-cancel-now");
      await dialog.getByRole("button", { name: "Cancel now" }).click();
      await dialog.getByRole("heading", { name: "Pro has ended" }).waitFor();
      await back();
      await page.getByTestId("plan-name").filter({ hasText: "Free" }).waitFor();
      await page.getByRole("link", { name: "Upgrade" }).waitFor();
    });
  });
});

Deno.test("in a browser: an upgrade whose card is refused waits for the payment", async () => {
  const { person, customer } = await subscribed("one-more-step", "pro_monthly");
  await breakCard(customer);
  await visit("one-more-step", person, async (visit) => {
    const { page, dialog, go } = visit;
    await go("/pricing");
    await ask(visit, "Upgrade to Business");
    await dialog.getByRole("button", { name: /^Confirm and pay \$/ }).click();
    await dialog.getByRole("heading", { name: "One more step" }).waitFor();
    const pay = dialog.getByRole("link", { name: "Complete payment" });
    await focusOn(page, "Complete payment");
    await everywhere(page, "50-one-more-step");
    await dialog.getByRole("button", { name: "Check again" }).click();
    await dialog.getByText("It is not paid yet").waitFor();
    const opened = page.context().waitForEvent("page");
    await pay.click();
    const bank = await opened;
    await payWith(bank, CARDS.success, "Pay");
    await bank.getByText("Thank you, this invoice is paid.").waitFor();
    await bank.close();
    await page.bringToFront();
    await dialog.getByRole("button", { name: "Check again" }).click();
    await dialog.getByRole("heading", { name: "You are on Business" }).waitFor();
    await page.getByRole("link", { name: "Return to account" }).click();
    await page.getByTestId("plan-name").filter({ hasText: "Business" }).waitFor();
  });
});

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
    await t.step("another card in the portal, the invoice on its own page", async () => {
      await banner.getByRole("button", { name: "Fix payment method" }).click();
      await payWith(page, CARDS.success, "Save card");
      await page.waitForURL(/\/account/);
      await page.getByText("Your billing details are up to date").waitFor();
      assert.equal(new URL(page.url()).search, "");
      if (await banner.count() > 0) {
        const opened = page.context().waitForEvent("page");
        await banner.getByRole("link", { name: "Pay invoice" }).click();
        const invoice = await opened;
        await payWith(invoice, CARDS.success, "Pay");
        await invoice.getByText("Thank you, this invoice is paid.").waitFor();
        await invoice.close();
        await page.bringToFront();
      }
    });
    await t.step("the banner goes by itself", async () => {
      await banner.waitFor({ state: "detached", timeout: 25_000 });
      await page.getByText(/Renews on/).waitFor();
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
      assert.equal(new URL(page.url()).search, "");
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
