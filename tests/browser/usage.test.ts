import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import {
  everywhere as seenEverywhere,
  payWith,
  picture,
  subscribed,
  type Visit,
  visit,
} from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { type Person, signUp, sql } from "../support/stack.ts";

const DAY_MS = 86_400_000;

/** Runs with another number of messages a day in the Pro plan. */
async function withMessages(limit: number, work: () => Promise<void>): Promise<void> {
  const db = sql({ max: 1 });
  const [row] = await db<{ limit_value: string }[]>`
    select limit_value from public.plan_limits where plan_id = 'pro' and metric_id = 'message'`;
  const set = (value: string | number) =>
    db`update public.plan_limits set limit_value = ${value} where plan_id = 'pro' and metric_id = 'message'`;
  try {
    await set(limit);
    await work();
  } finally {
    await set(row?.limit_value ?? 500);
    await db.end();
  }
}

/** Also what scrolls by itself has nothing cut off on a phone, but the chart and the table of days. */
async function everywhere(page: Page, name: string): Promise<void> {
  await seenEverywhere(page, name);
  const size = page.viewportSize() ?? { width: 1280, height: 860 };
  await page.setViewportSize({ width: 360, height: 740 });
  // As text: the tests are checked as Deno's, which has no document.
  const cut = await page.evaluate(
    `Array.from(document.querySelectorAll("main, main *, [role=dialog], [role=dialog] *"))
    .filter((element) => element.scrollWidth > element.clientWidth + 1)
    .filter((element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX))
    .filter((element) => !element.closest("figure, [aria-label=Days]"))
    .map((element) => element.className + " " + element.scrollWidth)`,
  );
  assert.deepEqual(cut, [], name);
  await page.setViewportSize(size);
}

async function say({ page }: Visit, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

async function sayAndHear(visit: Visit, text: string): Promise<void> {
  await say(visit, text);
  await visit.page.getByRole("list", { name: "Messages" }).getByText(`“${text}”`).waitFor();
}

function isoDay(daysAgo: number): string {
  return new Date(Date.now() - daysAgo * DAY_MS).toISOString().slice(0, 10);
}

/** Days of use behind a person: a rhythm of weeks, some of them beyond an allowance of 50. */
async function withPast(person: Person, days: number): Promise<void> {
  const db = sql({ max: 1 });
  const rows = Array.from({ length: days }, (_, index) => {
    const used = 12 + ((index * 37) % 47) + (index % 7 === 2 ? 25 : 0);
    const overage = Math.max(0, used - 50);
    return {
      user_id: person.id,
      metric_id: "message",
      day: isoDay(index + 1),
      used,
      allowance: 50,
      overage,
      overage_minor: overage * 1.5,
    };
  }).filter((_, index) => index % 9 !== 4);
  await db`insert into billing.usage_days ${db(rows)}`;
  await db.end();
}

Deno.test("in a browser: beyond the allowance with a cap: consent, running amount, the cap, more, off", async (t) => {
  await withMessages(5, async () => {
    const { person } = await subscribed("beyond", "pro_monthly");
    await visit("beyond", person, async (visit) => {
      const { page, dialog, go } = visit;
      const panel = page.getByRole("region", { name: "Limit reached" });
      const section = page.getByRole("region", { name: "Pay as you go" });
      const bell = page.getByRole("button", { name: /^Notifications/ });

      await t.step("the account says what it would cost", async () => {
        await go("/account");
        await section.getByText("$0.02").waitFor();
        await section.getByText("after 5 a day").waitFor();
        await everywhere(page, "100-account-overage-off");
        await section.scrollIntoViewIfNeeded();
        await picture(page, "100-account-overage-off-section");
      });

      await t.step("a notice comes with the message that reaches 80 %", async () => {
        await go("/chat");
        for (const text of ["One", "Two", "Three"]) await sayAndHear(visit, text);
        assert.equal(await bell.getAttribute("aria-label"), "Notifications");
        await sayAndHear(visit, "Four");
        await page.getByRole("button", { name: "Notifications, 1 unread" }).waitFor();
      });

      await t.step("at the limit there is a way on, beside the larger plan", async () => {
        await sayAndHear(visit, "Five");
        await panel.getByRole("button", { name: "Keep going for $0.02 per message" }).waitFor();
        await panel.getByRole("button", { name: /^Upgrade to Business/ }).waitFor();
        await page.getByRole("button", { name: "Notifications, 2 unread" }).waitFor();
        await everywhere(page, "101-limit-keep-going");
      });

      await t.step("the list of notices; what was shown counts as read", async () => {
        await bell.click();
        const list = page.getByRole("dialog", { name: "Notifications" });
        await list.getByText("100 % of today's messages used").waitFor();
        await list.getByText("80 % of today's messages used").waitFor();
        await everywhere(page, "102-notifications");
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "Notifications", exact: true }).waitFor();
        const { data } = await person.client.from("notifications").select("read_at");
        assert.ok(data?.every((row) => row.read_at !== null), JSON.stringify(data));
      });

      await t.step(
        "it asks first: prices, a cap, consent; a cap that is none is refused",
        async () => {
          await panel.getByRole("button", { name: /^Keep going/ }).click();
          const cap = dialog.getByLabel("Spending cap a month, in USD");
          assert.equal(await cap.inputValue(), "15");
          await dialog.getByText("Enough for 750 messages, or 1,500 tool calls").waitFor();
          await everywhere(page, "103-consent");
          await cap.fill("nothing");
          await dialog.getByRole("button", { name: "Switch on" }).click();
          await dialog.getByText("Enter an amount, such as 20 or 12.50.").waitFor();
          await everywhere(page, "104-consent-invalid");
          await cap.fill("0.10");
          await dialog.getByRole("button", { name: "Switch on, up to $0.10 a month" }).click();
          await dialog.waitFor({ state: "detached" });
        },
      );

      await t.step("the chat goes on, and says what it costs", async () => {
        await sayAndHear(visit, "Six");
        await sayAndHear(visit, "Seven");
        await page.getByText("$0.04 of $0.10 spent").waitFor();
        await page.getByText("2 beyond · $0.04 of $0.10").waitFor();
        await everywhere(page, "105-beyond");
        await go("/account");
        await section.getByRole("meter", { name: "Spending beyond your plan" }).waitFor();
        await section.getByText("2 × $0.02").waitFor();
        await page.getByText("counts towards your spending cap of $0.10 too").waitFor();
        await section.getByRole("heading", { name: /^Projected bill on/ }).waitFor();
        await everywhere(page, "106-account-overage-on");
        await page.setViewportSize({ width: 360, height: 740 });
        await section.getByRole("button", { name: "Switch off" }).scrollIntoViewIfNeeded();
        await picture(page, "106-account-overage-on-phone-section");
        await page.setViewportSize({ width: 1280, height: 860 });
      });

      await t.step("at the cap the database refuses, and the draft is kept", async () => {
        await go("/chat");
        await page.getByText("$0.04 of $0.10 spent").waitFor();
        // From another tab, so that this one learns of it by the refusal.
        const { error } = await person.client.rpc("set_overage", {
          p_enabled: true,
          p_cap_minor: 5,
        });
        assert.equal(error, null);
        const refused = page.waitForResponse((response) => response.status() === 402);
        await say(visit, "Eight");
        await refused;
        await panel.getByText("Your spending cap of $0.05 is reached").waitFor();
        await panel.getByText("Eight").waitFor();
        await everywhere(page, "107-cap-reached");
      });

      await t.step("raising the cap opens the gate again", async () => {
        await panel.getByRole("button", { name: "Raise the cap" }).click();
        await dialog.getByLabel("Spending cap a month, in USD").fill("1");
        await everywhere(page, "108-raise-cap");
        await dialog.getByRole("button", { name: "Set the cap to $1" }).click();
        await dialog.waitFor({ state: "detached" });
        await page.getByRole("textbox", { name: "Message" }).waitFor();
        await page.keyboard.press("Enter");
        await page.getByRole("list", { name: "Messages" }).getByText("“Eight”").waitFor();
        await page.getByText("$0.06 of $1 spent").waitFor();
      });

      await t.step(
        "switched off it ends with the day's allowance; what was spent stays",
        async () => {
          await go("/account");
          await section.getByRole("button", { name: "Switch off" }).click();
          await dialog.getByText(/are still on your next invoice/).waitFor();
          await everywhere(page, "109-switch-off");
          await dialog.getByRole("button", { name: "Switch off" }).click();
          await dialog.waitFor({ state: "detached" });
          await section.getByText(/^\$0\.06 from before are on your next invoice/).waitFor();
          await go("/chat");
          await panel.getByRole("button", { name: /^Keep going/ }).waitFor();
        },
      );
    });
  });
});

Deno.test("in a browser: usage by day, by keyboard, as a table and as a file", async (t) => {
  await withMessages(50, async () => {
    const { person } = await subscribed("history", "pro_monthly");
    await withPast(person, 390);
    await visit("history", person, async (visit) => {
      const { page, go } = visit;
      const chart = page.getByRole("slider", { name: "messages by day" });

      await t.step("thirty days with the allowance and what was beyond it", async () => {
        await sayAndHear(visit, "A message of today");
        await go("/usage");
        await chart.waitFor();
        await everywhere(page, "110-usage");
      });

      await t.step("the arrow keys go from day to day", async () => {
        await page.getByRole("radio", { name: "Table" }).focus();
        await chart.focus();
        await page.keyboard.press("ArrowLeft");
        await page.keyboard.press("ArrowLeft");
        const text = await chart.getAttribute("aria-valuetext");
        assert.match(text ?? "", /^\w+, \w+ \d+, \d+: \d+ messages?, 50 in the plan/);
        await everywhere(page, "111-usage-day");
      });

      await t.step("the pointer does too", async () => {
        const box = await chart.boundingBox();
        await page.mouse.move((box?.x ?? 0) + 100, (box?.y ?? 0) + 100);
        await picture(page, "112-usage-pointer");
      });

      await t.step("ninety days, and more than a year in a range of one's own", async () => {
        await page.getByRole("radio", { name: "90 days" }).click();
        await page.getByText("These 90 days").waitFor();
        await everywhere(page, "113-usage-90");
        await page.getByRole("radio", { name: "Custom" }).click();
        await page.getByLabel("First day").fill(isoDay(399));
        await page.getByText("These 400 days").waitFor();
        await everywhere(page, "114-usage-400");
        await page.getByLabel("First day").fill(isoDay(400));
        await page.getByText("Choose 400 days at most.").waitFor();
        assert.ok(await page.getByRole("button", { name: "Export CSV" }).isDisabled());
        await everywhere(page, "115-usage-too-long");
      });

      await t.step("the same as a table, and after a reload", async () => {
        await page.getByRole("radio", { name: "7 days" }).click();
        await page.getByText("These 7 days").waitFor();
        await page.getByRole("radio", { name: "Table" }).click();
        await page.getByRole("row").filter({ hasText: "so far" }).waitFor();
        assert.equal(await page.getByRole("row").count(), 8);
        await everywhere(page, "116-usage-table");
        await page.reload();
        await page.getByText("These 7 days").waitFor();
      });

      await t.step("the file has every day of the range", async () => {
        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: "Export CSV" }).click();
        const file = await download;
        assert.equal(
          file.suggestedFilename(),
          `tollgate-usage-message-${isoDay(6)}-to-${isoDay(0)}.csv`,
        );
        const lines = readFileSync(await file.path(), "utf8").split("\r\n");
        assert.equal(
          lines[0],
          "Day (UTC),Metric,Used,Allowance,Beyond allowance,Amount,Currency",
        );
        assert.equal(lines.length, 9, "a header, seven days, and the end of the last line");
        assert.match(lines[7] ?? "", new RegExp(`^${isoDay(0)},message,1,50,0,0\\.00,USD$`));
      });

      await t.step("tool calls have days of their own; there are none yet", async () => {
        await page.getByRole("radio", { name: "Tool calls" }).click();
        await page.getByRole("heading", { name: "No tool calls in these days" }).waitFor();
        await everywhere(page, "117-usage-none");
      });
    });
  });
});

Deno.test("in a browser: credit is bought on Stripe's page and is there on the way back", async (t) => {
  const { person } = await subscribed("credit", "pro_monthly");
  await visit("credit", person, async ({ page, go }) => {
    const section = page.getByRole("region", { name: "Prepaid credit" });
    const buy = section.getByRole("button", { name: "Buy Credit pack 50 for $50" });
    await t.step("leaving the page buys nothing, and it says so", async () => {
      await go("/account");
      await section.getByTestId("credit").filter({ hasText: "$0.00" }).waitFor();
      await section.getByText("Nothing uses it up while pay as you go is off.").waitFor();
      await buy.scrollIntoViewIfNeeded();
      await everywhere(page, "120-credit-none");
      await go("/account?credits=cancelled");
      await page.getByText("No credit was bought").waitFor();
      await page.waitForURL(/\/account$/);
      await picture(page, "121-credit-cancelled");
    });
    await t.step("a card pays, and the balance is there", async () => {
      await buy.click();
      await payWith(page, CARDS.success, "Pay");
      await page.waitForURL(/\/account/);
      await page.getByText("$55 of credit added").waitFor();
      await page.getByText("You have $55 now.").waitFor();
      await page.waitForURL(/\/account$/);
      await section.getByTestId("credit").filter({ hasText: "$55.00" }).waitFor();
      await section.getByText(/^Next expiry: /).waitFor();
      await everywhere(page, "122-credit-added");
      await section.scrollIntoViewIfNeeded();
      await picture(page, "123-credit-section");
    });
    await t.step("a reload does not thank again", async () => {
      await page.reload();
      await section.getByTestId("credit").filter({ hasText: "$55.00" }).waitFor();
      assert.equal(await page.getByText("of credit added").count(), 0);
    });
  });
});

Deno.test("in a browser: who has the free plan is told what pay as you go needs", async () => {
  await visit("free", await signUp("free"), async ({ page, go }) => {
    await go("/account");
    const section = page.getByRole("region", { name: "Pay as you go" });
    await section.getByText(/Pay as you go comes with a paid plan/).waitFor();
    await section.getByText("$0.015 a message, $0.008 a tool call").waitFor();
    await everywhere(page, "130-account-free");
    await section.getByRole("link", { name: "See the plans" }).click();
    await page.getByText(/Beyond that, if you switch it on: \$0\.02 a message/).waitFor();
    await everywhere(page, "131-pricing-beyond");
    await go("/usage");
    await page.getByRole("heading", { name: "No messages in these days" }).waitFor();
    await everywhere(page, "132-usage-empty");
    await page.getByRole("button", { name: /^Notifications/ }).click();
    await page.getByText(/^Nothing yet\./).waitFor();
    await everywhere(page, "133-notifications-none");
    await page.keyboard.press("Escape");
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByRole("button", { name: /^Notifications/ }).click();
    await page.getByText(/^Nothing yet\./).waitFor();
    await picture(page, "134-notifications-phone");
  });
});
