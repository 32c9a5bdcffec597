import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import {
  everywhere,
  launchBrowser,
  noAccessibilityFaults,
  payWith,
  picture,
  type Visit,
  visit,
  visitor,
} from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import {
  balanced,
  type Creator,
  creator,
  library,
  owned,
  publish,
  refund,
  rpc,
  type Seller,
} from "../support/marketplace.ts";
import { customerOf, quiet, sandbox } from "../support/sandbox.ts";
import { type Person, signUp, sql, stack, stripe } from "../support/stack.ts";

const INSTRUCTIONS = "You mend letters. Keep the tone, and say what you changed.";
const DESCRIPTION =
  "Mends letters and keeps their tone.\n\nFor people who write a lot.\n<b>No</b> markup.";

async function makeAgent({ client }: Person, name: string): Promise<void> {
  const { error } = await client.from("agents").insert({ name, instructions: INSTRUCTIONS });
  assert.equal(error, null);
}

/** The last word of a title: other tests sell on the same stack. */
function titleOf(name: string): string {
  return `${name} ${crypto.randomUUID().slice(0, 8)}`;
}

async function introduce(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Use test data" }).click();
  await page.getByRole("button", { name: "Agree and submit" }).click();
}

async function lookFor(page: Page, words: string): Promise<void> {
  await page.getByRole("searchbox", { name: "Search the marketplace" }).fill(words);
}

async function hear({ page }: Visit, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "Messages" }).getByText(`“${text}”`).waitFor();
}

Deno.test("in a browser: an agent is published, bought, used, cloned and refunded, and the money adds up", async (t) => {
  const db = sql();
  const seller = await signUp("maker");
  const buyer = await signUp("buyer");
  const title = titleOf("Letter mender");
  await makeAgent(seller, title);
  let shop: Creator = { ...seller, seller: "", account: "" };

  await visit("maker", seller, async ({ page, go, dialog }) => {
    const status = page.getByRole("region", { name: "Creator account" });

    await t.step("from one's agent to selling: first the creator account", async () => {
      await go("/agents");
      await page.getByRole("link", { name: `Sell ${title}` }).waitFor();
      await everywhere(page, "140-agents");
      await page.getByRole("link", { name: `Sell ${title}` }).click();
      await page.getByText("Set up your creator account first").waitFor();
      await everywhere(page, "141-listing-no-creator");
      await page.getByRole("link", { name: "Begin" }).click();
      await page.getByRole("button", { name: "Continue to Stripe" }).click();
      await page.getByText("Choose the name that buyers see.").waitFor();
      await everywhere(page, "142-start-selling");
    });

    await t.step("left halfway, the page says what Stripe still wants", async () => {
      await page.getByLabel("Creator name").fill("Ada’s Desk");
      await page.getByRole("combobox", { name: "Country" }).selectOption({ label: "Germany" });
      await page.getByRole("button", { name: "Continue to Stripe" }).click();
      await page.getByRole("button", { name: "Finish later" }).click();
      await page.waitForURL(/\/sell$/);
      await status.getByText("One step is left before you can sell").waitFor();
      await status.getByText("Stripe still wants").waitFor();
      await everywhere(page, "143-onboarding");
    });

    await t.step("a used link says so and leads on", async () => {
      await go("/sell?onboarding=refresh");
      await page.getByText("That link to Stripe was used up").waitFor();
      await page.waitForURL(/\/sell$/);
      await picture(page, "144-onboarding-link");
    });

    await t.step("with everything told, the creator can sell", async () => {
      await status.getByRole("button", { name: "Go on at Stripe" }).click();
      await introduce(page);
      await page.getByText("You can sell now").waitFor();
      await page.waitForURL(/\/sell$/);
      await status.getByText("the marketplace keeps 20 %").waitFor();
      await everywhere(page, "145-creator-active");
      const [row] = await db<{ id: string; account: string }[]>`
        select id, stripe_account_id as account from public.sellers where user_id = ${seller.id}`;
      assert.ok(row);
      shop = { ...seller, seller: row.id, account: row.account };
      assert.equal(await balanced(db, shop), 0);
    });

    await t.step("what is wrong with a listing is said at its field", async () => {
      await page.getByRole("link", { name: "Make your first listing" }).click();
      await page.getByLabel("Title").fill(title);
      await page.getByLabel("Price", { exact: true }).fill("12.505");
      await page.getByRole("button", { name: "Save draft" }).click();
      await page.getByText("Choose the agent that you sell.").waitFor();
      await page.getByText("Enter an amount, such as 12 or 4.50.").waitFor();
      await everywhere(page, "146-listing-invalid");
    });

    await t.step("a draft is kept, with a picture that was shrunk in the browser", async () => {
      await page.getByRole("combobox", { name: "Agent" }).selectOption({ label: title });
      await page.getByLabel("Description").fill(DESCRIPTION);
      await page.getByLabel("Price", { exact: true }).fill("12.50");
      await page.getByText("You get $10.00; the marketplace keeps 20 %.").waitFor();
      const buffer = await page.screenshot();
      await page.getByLabel("Picture", { exact: true }).setInputFiles({
        name: "desk.png",
        mimeType: "image/png",
        buffer,
      });
      await page.getByRole("img", { name: "The picture of this listing" }).waitFor();
      await page.getByRole("button", { name: "Save draft" }).click();
      await page.getByText("Saved", { exact: true }).waitFor();
      await page.waitForURL(/\/sell\/listings\/[0-9a-f-]{36}$/);
      await everywhere(page, "147-listing-draft");
      const [stored] = await db<{ price_minor: string; size: number; kind: string }[]>`
        select l.price_minor, length(p.data) as size, split_part(p.data, ';', 1) as kind
        from public.listings l join public.listing_pictures p on p.listing_id = l.id
        where l.title = ${title}`;
      assert.equal(Number(stored?.price_minor), 1250);
      assert.ok((stored?.size ?? 1e9) <= 150_000, `${stored?.size}`);
      assert.match(stored?.kind ?? "", /^data:image\/(webp|jpeg)$/);
    });

    await t.step("published after it was asked", async () => {
      await page.getByRole("button", { name: "Publish" }).click();
      const ask = page.getByRole("alertdialog", { name: `Publish “${title}”?` });
      await ask.getByText("buy it for $12.50").waitFor();
      await everywhere(page, "148-publish");
      await ask.getByRole("button", { name: "Publish" }).click();
      await page.getByText("It is on the marketplace").waitFor();
      await everywhere(page, "149-published");
      await page.getByRole("status").getByRole("link", { name: "See it" }).click();
      await page.getByText("This is your listing").waitFor();
      await everywhere(page, "150-own-listing");
      assert.equal(await dialog.count(), 0);
    });
  });

  await t.step(
    "who is not signed in finds it and reads it, and is asked in when they buy",
    async () => {
      const browser = await launchBrowser();
      try {
        const { page, problems } = await visitor(browser, {
          viewport: { width: 1280, height: 860 },
        });
        await page.goto(`${stack().web_url}/marketplace`);
        await page.getByRole("heading", { level: 1, name: "Marketplace" }).waitFor();
        await lookFor(page, "nothing has these words");
        await page.getByText("Nothing fits “nothing has these words”").waitFor();
        await everywhere(page, "151-marketplace-nothing");
        await page.getByRole("button", { name: "Show everything" }).click();
        await lookFor(page, title);
        const card = page.getByRole("link", { name: title });
        await card.waitFor();
        await page.waitForURL(/\?q=Letter/);
        await everywhere(page, "152-marketplace");
        await card.click();
        await page.getByRole("link", { name: "Buy for $12.50" }).waitFor();
        await page.getByText("<b>No</b> markup.").waitFor();
        await everywhere(page, "153-listing-signed-out");
        await page.getByRole("link", { name: "Buy for $12.50" }).click();
        await page.waitForURL(/\/sign-up\?next=%2Fmarketplace%2F/);
        await page.goto(`${stack().web_url}/marketplace/${crypto.randomUUID()}`);
        await page.getByText("There is no such listing").waitFor();
        await everywhere(page, "154-no-listing");
        assert.deepEqual(problems, []);
      } finally {
        await browser.close();
      }
    },
  );

  await visit("buyer", buyer, async (visit) => {
    const { page, go, dialog } = visit;
    const row = page.getByRole("listitem").filter({ hasText: title });
    let purchaseId = "";

    await t.step("an empty library says what comes here", async () => {
      await go("/library");
      await page.getByText("Nothing here yet").waitFor();
      await everywhere(page, "160-library-empty");
    });

    await t.step("found inside the app, in the order one likes; the address keeps it", async () => {
      await go("/marketplace");
      await lookFor(page, title);
      await page.getByRole("link", { name: title }).waitFor();
      await page.getByRole("combobox", { name: "Order" }).selectOption("price_low");
      await page.getByRole("radio", { name: "Agents" }).click();
      await page.waitForURL(/sort=price_low&category=agent/);
      await page.reload();
      await page.getByRole("link", { name: title }).waitFor();
      await everywhere(page, "161-marketplace-inside");
      await page.getByRole("link", { name: title }).click();
      await page.getByRole("button", { name: "Buy for $12.50" }).waitFor();
      await everywhere(page, "162-listing");
    });

    await t.step("leaving Checkout buys nothing, and it says so", async () => {
      await go(`${new URL(page.url()).pathname}?purchase=cancelled`);
      await page.getByText("The purchase was cancelled").waitFor();
      await page.waitForURL(/\/marketplace\/[0-9a-f-]+$/);
      await picture(page, "163-cancelled");
    });

    await t.step("a card pays, and the library has it", async () => {
      await page.getByRole("button", { name: "Buy for $12.50" }).click();
      await payWith(page, CARDS.success, "Pay");
      await page.waitForURL(/\/library/);
      await page.getByText(`“${title}” is yours`).waitFor();
      await page.waitForURL(/\/library$/);
      await row.getByText("Active").waitFor();
      await row.getByRole("link", { name: `Receipt for ${title}, opens at Stripe` }).waitFor();
      await everywhere(page, "164-bought");
      const receipt = page.waitForEvent("popup");
      await row.getByRole("link", { name: `Receipt for ${title}, opens at Stripe` }).click();
      const opened = await receipt;
      await opened.getByRole("heading", { name: /^Receipt from / }).waitFor();
      await opened.getByText("$12.50").waitFor();
      await noAccessibilityFaults(opened, "receipt");
      await picture(opened, "164-receipt");
      await opened.close();
      purchaseId = (await owned(buyer)).purchase_id;
      await quiet();
      assert.equal(await balanced(db, shop), 1_000);
    });

    await t.step("its page and its card say that one has it", async () => {
      await row.getByRole("link", { name: title, exact: true }).click();
      await page.getByText("It is in your library").waitFor();
      await everywhere(page, "165-owned");
    });

    await t.step("it answers in the chat, by its own instructions", async () => {
      await page.getByRole("link", { name: "Use in chat" }).click();
      await page.getByRole("heading", { name: `Ask “${title}”` }).waitFor();
      await everywhere(page, "166-chat-new");
      await hear(visit, "Dear Sir");
      await page.waitForURL(/\/chat\/[0-9a-f-]+$/);
      await page.getByText("By Ada’s Desk").waitFor();
      await everywhere(page, "167-chat");
      const [talk] = await db<{ listing_id: string | null }[]>`
        select listing_id from public.conversations where user_id = ${buyer.id}`;
      assert.ok(talk?.listing_id);
    });

    await t.step("a copy goes to one's agents, and takes a place there", async () => {
      await go("/library");
      await row.getByRole("button", { name: `Clone ${title} to my agents` }).click();
      await everywhere(page, "168-clone");
      await dialog.getByRole("button", { name: "Clone to my agents" }).click();
      await dialog.getByRole("heading", { name: "The copy is among your agents" }).waitFor();
      await everywhere(page, "169-cloned");
      await dialog.getByRole("button", { name: "Stay here" }).click();
      await row.getByText("One copy among your agents.").waitFor();
      await row.getByRole("button", { name: `Clone ${title} to my agents` }).click();
      await dialog.getByRole("button", { name: "Clone to my agents" }).click();
      await dialog.getByText("Your plan includes one agent").waitFor();
      await everywhere(page, "170-clone-limit");
      await page.keyboard.press("Escape");
      await go("/agents");
      await page.getByRole("link", { name: `${title} is a copy of a bought agent` }).waitFor();
      assert.equal(await page.getByRole("link", { name: `Sell ${title}` }).count(), 0);
      await everywhere(page, "171-agents-clone");
    });

    await t.step("the creator sees the earning, and not the buyer", async () => {
      await visit_(seller, async ({ page, go }) => {
        await go("/sell");
        const earnings = page.getByRole("region", { name: "Earnings" });
        await earnings.getByText("$10.00 from 1 sale in these 30 days.").waitFor();
        const sales = page.getByRole("region", { name: "Payments" });
        await sales.getByRole("row").filter({ hasText: title }).getByText("$2.50").waitFor();
        await everywhere(page, "172-sold");
        await earnings.scrollIntoViewIfNeeded();
        await picture(page, "172-sold-earnings");
        await page.getByRole("slider", { name: "Earnings by day" }).focus();
        await page.keyboard.press("End");
        await sales.scrollIntoViewIfNeeded();
        await picture(page, "172-sold-sales");
        assert.ok(!(await page.content()).includes(buyer.email));
        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: "Export CSV" }).click();
        const lines = readFileSync(await (await download).path(), "utf8").split("\r\n");
        assert.equal(lines[0], "Day (UTC),Listing,Reference,Status,Price,Fee,Earned,Currency");
        assert.match(lines[1] ?? "", /,paid,12\.50,2\.50,10\.00,USD$/);
        await page.setViewportSize({ width: 360, height: 740 });
        await earnings.scrollIntoViewIfNeeded();
        await picture(page, "172-sold-earnings-phone");
        await sales.scrollIntoViewIfNeeded();
        await picture(page, "172-sold-sales-phone");
      });
    });

    await t.step("refunded by an operator, it is gone: library, chat and copies", async () => {
      await refund(db, purchaseId);
      assert.equal(await balanced(db, shop), 0);
      await go("/library");
      await row.getByText("Refunded", { exact: true }).waitFor();
      await row.getByText("The payment was given back to you").waitFor();
      await everywhere(page, "173-refunded");
      await go("/agents");
      await page.getByText("Your plan includes one agent").waitFor();
      assert.equal(await page.getByRole("link", { name: new RegExp(title) }).count(), 0);
      await page.getByRole("navigation", { name: "Conversations" }).getByText("Dear Sir").click();
      await page.getByText(`“${title}” is locked`).waitFor();
      await everywhere(page, "174-chat-locked");
    });

    await t.step("the copies that are locked can be given up", async () => {
      await go("/library");
      await row.getByRole("button", { name: `Delete the copies of ${title}` }).click();
      await everywhere(page, "175-discard");
      await page.getByRole("alertdialog").getByRole("button", { name: "Delete copies" }).click();
      await row.getByRole("button", { name: `Delete the copies of ${title}` })
        .waitFor({ state: "detached" });
      const [left] = await db<{ n: number }[]>`
        select count(*)::int as n from public.agents where user_id = ${buyer.id}`;
      assert.equal(left?.n, 0);
    });

    await t.step("the creator's page says so too", async () => {
      await visit_(seller, async ({ page, go }) => {
        await go("/sell");
        const sales = page.getByRole("region", { name: "Payments" });
        await sales.getByText("Refunded").filter({ visible: true }).waitFor();
        await everywhere(page, "176-refunded-sale");
        await page.getByRole("region", { name: "Earnings" }).scrollIntoViewIfNeeded();
        await picture(page, "176-refunded-earnings");
      });
      assert.equal(await balanced(db, shop), 0);
    });
  });
  await db.end();
});

/** The same, under a name that the step's own visit does not hide. */
const visit_ = (person: Person, work: (visit: Visit) => Promise<void>) =>
  visit("maker-again", person, work);

Deno.test("in a browser: a monthly licence says when it renews, is cancelled and resumed", async (t) => {
  const db = sql();
  const shop = await creator(db, "monthly");
  const title = titleOf("Monthly tutor");
  const listing = await publish(shop, { title, kind: "monthly", price_minor: 500 });
  const buyer = await signUp("monthly-buyer");
  await visit("monthly", buyer, async ({ page, go }) => {
    const row = page.getByRole("listitem").filter({ hasText: title });
    const ask = page.getByRole("alertdialog");

    await t.step("bought by the month", async () => {
      await go(`/marketplace/${listing}`);
      await page.getByRole("button", { name: "Subscribe for $5 a month" }).click();
      await payWith(page, CARDS.success, "Subscribe");
      await page.getByText(`“${title}” is yours`).waitFor();
      await row.getByText(/^Renews on /).waitFor();
      await everywhere(page, "180-monthly");
      await quiet();
      assert.equal(await balanced(db, shop), 400);
    });

    await t.step("cancelled, it stays until the end of the month that is paid", async () => {
      await row.getByRole("button", { name: `Cancel ${title}` }).click();
      await ask.getByText(/^You keep it until /).waitFor();
      await everywhere(page, "181-monthly-cancel");
      await ask.getByRole("button", { name: "Cancel licence" }).click();
      await row.getByText(/^Ends on /).waitFor();
      await row.getByText("Active").waitFor();
      await everywhere(page, "182-monthly-ending");
      assert.equal((await library(buyer))[0]?.cancel_at_period_end, true);
    });

    await t.step("resumed, it goes on", async () => {
      await row.getByRole("button", { name: `Resume ${title}` }).click();
      await everywhere(page, "183-monthly-resume");
      await ask.getByRole("button", { name: "Resume licence" }).click();
      await row.getByText(/^Renews on /).waitFor();
    });
  });
  await db.end();
});

Deno.test("in a browser: paused sales and a withdrawn listing say so, and who has it keeps it", async (t) => {
  const db = sql();
  const shop = await creator(db, "paused");
  const title = titleOf("Paused tutor");
  const listing = await publish(shop, { title });
  const other = await signUp("passer-by");
  await sandbox(`/accounts/${shop.account}`, { transfers: "restricted" });
  await quiet();
  assert.equal((await rpc<Seller>(shop, "my_seller")).status, "paused");

  await t.step("the creator is told why, and what Stripe wants", async () => {
    await visit("paused", shop, async ({ page, go }) => {
      await go("/sell");
      await page.getByText("Your sales are paused").waitFor();
      await everywhere(page, "190-paused-creator");
    });
  });

  await visit("passer-by", other, async ({ page, go }) => {
    await t.step("a visitor sees that it cannot be bought now", async () => {
      await go(`/marketplace?q=${encodeURIComponent(title)}`);
      await page.getByText("Sales paused").waitFor();
      await go(`/marketplace/${listing}`);
      await page.getByText("Sales are paused").waitFor();
      assert.equal(await page.getByRole("button", { name: /^Buy/ }).count(), 0);
      await everywhere(page, "191-paused-listing");
    });

    await t.step(
      "a listing that was withdrawn while one looked at it is refused in words",
      async () => {
        await sandbox(`/accounts/${shop.account}`, { transfers: "active" });
        await quiet();
        await page.reload();
        const buy = page.getByRole("button", { name: "Buy for $20" });
        await buy.waitFor();
        await rpc(shop, "withdraw_listing", { p_listing_id: listing });
        await buy.click();
        await page.getByText(/This is not for sale at the moment|There is no such listing/).first()
          .waitFor();
        await everywhere(page, "192-withdrawn-meanwhile");
      },
    );
  });
  await db.end();
});

Deno.test("in a browser: a payment that takes days is told as such, and opens when it arrives", async (t) => {
  const db = sql();
  const shop = await creator(db, "patient");
  const title = titleOf("Slowly paid");
  const listing = await publish(shop, { title });
  const buyer = await signUp("patient");
  // On a clock of their own: else the bank answers while the pages are looked at.
  const now = Math.floor(Date.now() / 1000);
  const { id: clock } = await stripe().testHelpers.testClocks.create({ frozen_time: now });
  await customerOf(buyer, { clock });
  await visit("patient", buyer, async ({ page, go }) => {
    const row = page.getByRole("listitem").filter({ hasText: title });

    await t.step("back from Checkout: on its way, and nothing to pay again", async () => {
      await go(`/marketplace/${listing}`);
      await page.getByRole("button", { name: "Buy for $20" }).click();
      await page.getByLabel("US bank account").check();
      await page.getByLabel("Account number").fill("000123456789");
      await page.getByRole("button", { name: "Pay" }).click();
      await page.getByText("Your payment is on its way", { exact: true }).waitFor();
      await page.waitForURL(/\/library$/);
      await row.getByText("Processing").waitFor();
      await everywhere(page, "200-processing");
      assert.equal(await row.getByRole("link", { name: /in chat$/ }).count(), 0);
      await go(`/marketplace/${listing}`);
      await page.getByText("Your payment is on its way", { exact: true }).waitFor();
      assert.equal(await page.getByRole("button", { name: /^Buy/ }).count(), 0);
    });

    await t.step("days later it is there", async () => {
      await stripe().testHelpers.testClocks.advance(clock, { frozen_time: now + 5 * 86_400 });
      await owned(buyer);
      await go("/library");
      await row.getByText("Active").waitFor();
      await quiet();
      assert.equal(await balanced(db, shop), 1_600);
    });
  });
  await db.end();
});

Deno.test("in a browser: many listings come page by page, and each page has an address", async () => {
  const db = sql();
  const word = `zebra${crypto.randomUUID().slice(0, 8)}`;
  await db`insert into public.listings
      (title, description, category, price_minor, currency, status, version, published_at)
    select 'Template ' || n || ' ' || ${word}::text, 'Of the house.', 'template', 500 + n, 'usd',
      'published', 1, now() - n * interval '1 minute'
    from generate_series(1, 30) n`;
  const browser = await launchBrowser();
  try {
    const { page, problems } = await visitor(browser, { viewport: { width: 1280, height: 860 } });
    await page.goto(`${stack().web_url}/marketplace?q=${word}&sort=newest`);
    await page.getByText("1–24 of 30 listings").waitFor();
    await everywhere(page, "210-many");
    await page.getByRole("link", { name: "Next" }).click();
    await page.getByText("25–30 of 30 listings").waitFor();
    await page.waitForURL(/page=2$/);
    assert.equal(await page.getByRole("list", { name: "Found" }).getByRole("listitem").count(), 6);
    await everywhere(page, "211-page-two");
    await page.goBack();
    await page.getByText("1–24 of 30 listings").waitFor();
    await page.getByRole("radio", { name: "Add-ons" }).click();
    await page.getByRole("heading", { name: `Nothing fits “${word}”` }).waitFor();
    await page.getByRole("button", { name: "Clear the search" }).click();
    await page.waitForURL((url) => !url.searchParams.has("q"));
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    await db`delete from public.listings where title like ${`%${word}`}`;
    await db.end();
  }
});
