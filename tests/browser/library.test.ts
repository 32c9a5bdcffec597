import assert from "node:assert/strict";
import { everywhere, launchBrowser, payWith, visit, visitor } from "../support/browser.ts";
import { CARDS } from "../support/hosted.ts";
import { creator, library, publish } from "../support/marketplace.ts";
import { lateLicence } from "../support/months.ts";
import { sql, stack } from "../support/stack.ts";

Deno.test("in a browser: a renewal that could not be paid says so, is cancelled with nothing owed, and is bought again", async (t) => {
  const db = sql();
  const title = `Late tutor ${crypto.randomUUID().slice(0, 8)}`;
  const shop = await creator(db, "late-shop");
  const listing = await publish(shop, { title, kind: "monthly", price_minor: 500 });
  const { buyer, row: late } = await lateLicence(db, listing);
  await visit("late", buyer, async ({ page, go }) => {
    const row = page.getByRole("listitem").filter({ hasText: title });
    const ask = page.getByRole("alertdialog");

    await t.step(
      "the page of the listing sends to the library instead of selling it twice",
      async () => {
        await go(`/marketplace/${listing}`);
        await page.getByText("Your renewal could not be paid").waitFor();
        assert.equal(await page.getByRole("button", { name: /^Subscribe/ }).count(), 0);
        await everywhere(page, "220-unpaid-listing");
        await page.getByRole("link", { name: "Open library" }).click();
      },
    );

    await t.step("the library says what is open, and where it is paid", async () => {
      await row.getByText("Payment due").waitFor();
      const pay = row.getByRole("link", {
        name: `Pay the open month of ${title}, opens at Stripe`,
      });
      assert.equal(await pay.getAttribute("href"), late.open_invoice_url);
      assert.equal(await pay.innerText(), "Pay $5.00");
      assert.equal(await row.getByRole("link", { name: `Use ${title} in chat` }).count(), 0);
      await everywhere(page, "221-unpaid-library");
    });

    await t.step("cancelled, it has ended and nothing is open", async () => {
      await row.getByRole("button", { name: `Cancel ${title}` }).click();
      await ask.getByText("It ends now. What is open is written off").waitFor();
      await everywhere(page, "222-unpaid-cancel");
      await ask.getByRole("button", { name: "Cancel licence" }).click();
      await row.getByText("Ended").waitFor();
      assert.equal(await row.getByRole("button", { name: `Cancel ${title}` }).count(), 0);
      assert.equal((await library(buyer))[0]?.open_invoice_url, null);
    });

    await t.step("and it is bought again", async () => {
      await go(`/marketplace/${listing}`);
      await page.getByRole("button", { name: "Subscribe for $5 a month" }).click();
      await payWith(page, CARDS.success, "Subscribe");
      await page.getByText(`“${title}” is yours`).waitFor();
    });
  });
  await db.end();
});

Deno.test("in a browser: prices are compared in one currency, and the address says in which", async () => {
  const db = sql();
  const word = `yak${crypto.randomUUID().slice(0, 8)}`;
  await db`insert into public.listings
      (title, description, category, price_minor, currency, status, version, published_at)
    select 'Template ' || currency || n || ' ' || ${word}::text, '', 'template', 500 * n, currency, 'published', 1, now()
    from generate_series(1, 2) n, unnest(array['usd', 'eur']) currency`;
  const browser = await launchBrowser();
  try {
    const { page, problems } = await visitor(browser, { viewport: { width: 1280, height: 860 } });
    const titles = page.getByRole("list", { name: "Found" }).getByRole("heading");
    await page.goto(`${stack().web_url}/marketplace?q=${word}&sort=price_low`);
    await page.getByText("4 listings").waitFor();
    const order = (await titles.allInnerTexts()).map((text) => text.split(" ")[1]);
    assert.deepEqual(order, ["eur1", "eur2", "usd1", "usd2"]);
    await page.getByRole("combobox", { name: "Currency" }).selectOption("USD");
    await page.getByText("2 listings").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("currency"), "usd");
    const left = (await titles.allInnerTexts()).map((text) => text.split(" ")[1]);
    assert.deepEqual(left, ["usd1", "usd2"]);
    await everywhere(page, "223-currency");
    await page.getByRole("combobox", { name: "Currency" }).selectOption("GBP");
    await page.getByRole("heading", { name: `Nothing fits “${word}”` }).waitFor();
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    await db`delete from public.listings where title like ${`%${word}`}`;
    await db.end();
  }
});
