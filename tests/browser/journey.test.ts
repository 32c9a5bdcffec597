import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  assertFits,
  launchBrowser,
  noAccessibilityFaults,
  payWith,
  picture,
  visitor,
} from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { request, stack } from "../support/stack.ts";

const PASSWORD = "correct horse battery staple";

async function signUp(page: Page, email: string): Promise<void> {
  await page.goto(`${stack().web_url}/sign-up`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("textbox", { name: "Message" }).waitFor();
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

function answer(page: Page, text: string) {
  return page.getByRole("list", { name: "Messages" }).getByText(text);
}

/** The access token the web client keeps, to use up an allowance without a thousand key presses. */
async function tokenOf(page: Page): Promise<string> {
  const stored = await page.evaluate(() =>
    Object.entries(localStorage).find(([key]) => key.endsWith("-auth-token"))?.[1] ?? ""
  );
  return JSON.parse(stored).access_token;
}

/** Writes messages into another conversation, so that the pictures show the one a person would have had. */
async function useUp(page: Page, count: number): Promise<void> {
  const token = await tokenOf(page);
  const { body } = await request("/rest/v1/conversations?select=id", {
    token,
    body: { title: "Reading notes" },
    headers: { prefer: "return=representation" },
  });
  const conversation = (body as { id: string }[])[0]?.id;
  for (let number = 1; number <= count; number++) {
    const { status, text } = await request("/rest/v1/messages", {
      token,
      body: { conversation_id: conversation, role: "user", content: `Note ${number}` },
    });
    assert.equal(status, 201, text);
  }
}

Deno.test("in a browser: sign up, chat, hit the limit, subscribe, go on, cancel, resume", async (t) => {
  const browser = await launchBrowser();
  const { page, problems } = await visitor(browser, { viewport: { width: 1280, height: 860 } });
  const email = `ada-${crypto.randomUUID().slice(0, 8)}@example.com`;
  try {
    await t.step("the landing page shows the plans of the database", async () => {
      await page.goto(stack().web_url);
      await page.getByRole("heading", { name: "Business" }).waitFor();
      await picture(page, "01-landing");
      await noAccessibilityFaults(page, "landing");
    });

    await t.step("signing up leads to the chat", async () => {
      await signUp(page, email);
      await picture(page, "02-empty-chat");
    });

    await t.step("a message gets an answer, and the usage says so", async () => {
      await say(page, "What is a tollgate?");
      await answer(page, "I am Tollgate's built-in reply").waitFor();
      await page.getByText(/1 of 50|1 \/ 50/).first().waitFor();
      await picture(page, "03-first-answer");
      await noAccessibilityFaults(page, "chat");
    });

    await t.step("at the limit the composer says what happened and leads on", async () => {
      await useUp(page, 48);
      await page.reload();
      await say(page, "And who pays for the one after the fiftieth?");
      await answer(page, "“And who pays for the one after the fiftieth?”").waitFor();
      const panel = page.getByRole("region", { name: "Limit reached" });
      await panel.waitFor();
      await picture(page, "chat-over-limit");
      await noAccessibilityFaults(page, "over the limit");
      await panel.getByRole("link", { name: /Pro/ }).click();
    });

    await t.step("a declined card is explained, another one pays", async () => {
      await page.getByLabel("Card number").waitFor();
      await picture(page, "04-checkout");
      await payWith(page, CARDS.declined);
      await page.getByRole("alert").filter({ hasText: /declined/i }).waitFor();
      await picture(page, "05-declined");
      await payWith(page, CARDS.success);
    });

    await t.step("back on the account page the plan is Pro", async () => {
      await page.waitForURL(/\/account/);
      await page.getByText("You are on Pro").waitFor();
      await page.getByRole("button", { name: /Manage billing/ }).waitFor();
      await picture(page, "06-account-pro");
      await noAccessibilityFaults(page, "account");
    });

    await t.step("a reload does not thank again", async () => {
      await page.waitForURL(/\/account$/);
      await page.getByRole("button", { name: "Dismiss" }).click();
      await page.getByText("You are on Pro").waitFor({ state: "detached" });
      await page.reload();
      await page.getByTestId("plan-name").waitFor();
      assert.equal(await page.getByText("You are on Pro").count(), 0);
    });

    await t.step("and the chat goes on", async () => {
      await page.goto(`${stack().web_url}/chat`);
      await say(page, "Now I can go on");
      await answer(page, "“Now I can go on”").waitFor();
      await page.getByText(/51 of 500|51 \/ 500/).first().waitFor();
      await picture(page, "07-goes-on");
    });

    await t.step("cancelling shows the end date, resuming takes it back", async () => {
      await page.goto(`${stack().web_url}/account`);
      await page.getByRole("button", { name: "Cancel plan" }).click();
      await page.getByRole("dialog").getByText(/You keep Pro until/).waitFor();
      await picture(page, "08-cancel");
      await page.getByRole("button", { name: "Confirm cancellation" }).click();
      await page.getByRole("link", { name: "Return to account" }).click();
      await page.getByText(/^Ends /).waitFor();
      await picture(page, "09-account-ending");
      await page.getByRole("button", { name: "Resume plan" }).click();
      await page.getByRole("button", { name: "Resume subscription" }).click();
      await page.getByRole("link", { name: "Return to account" }).click();
      await page.getByRole("button", { name: "Cancel plan" }).waitFor();
      await page.getByText(/Renews on/).waitFor();
    });

    await t.step("no page threw or logged an error on the way", () => {
      assert.deepEqual(problems, []);
    });
  } catch (error) {
    await picture(page, "failure");
    throw error;
  } finally {
    await browser.close();
  }
});

Deno.test("on a phone, in the dark: the same product, nothing cut off", async () => {
  const browser = await launchBrowser();
  const { page, problems } = await visitor(browser, {
    viewport: { width: 360, height: 740 },
    colorScheme: "dark",
    hasTouch: true,
  });
  try {
    for (const path of ["/", "/pricing", "/sign-in"]) {
      await page.goto(`${stack().web_url}${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await assertFits(page, path);
      await noAccessibilityFaults(page, `phone ${path}`);
    }
    await picture(page, "10-phone-sign-in");
    await signUp(page, `phone-${crypto.randomUUID()}@example.com`);
    await say(page, "Hello from a phone");
    await answer(page, "“Hello from a phone”").waitFor();
    await assertFits(page, "/chat");
    await picture(page, "11-phone-chat");
    await page.getByRole("button", { name: "Open menu" }).click();
    await page.getByRole("link", { name: "Agents" }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await assertFits(page, "/agents");
    await picture(page, "12-phone-agents");
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
});
