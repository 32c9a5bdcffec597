import assert from "node:assert/strict";
import type { Page, Request, Route } from "playwright-core";
import {
  breakCard,
  everywhere,
  payWith,
  subscribed,
  type Visit,
  visit,
} from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { stripe } from "../support/stack.ts";

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
