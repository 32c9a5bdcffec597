import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { everywhere, visit } from "../support/browser.ts";
import { signUp, sql, stack } from "../support/stack.ts";

Deno.test("in a browser: everything about oneself is a file, and an account is deleted by typing its address", async (t) => {
  const person = await signUp("private");
  await visit("private", person, async ({ page, go, dialog }) => {
    await go("/account");
    await t.step("the export is a file with everything", async () => {
      const begun = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download your data" }).click();
      const download = await begun;
      assert.match(download.suggestedFilename(), /^tollgate-\d{4}-\d\d-\d\d\.json$/);
      const everything = JSON.parse(readFileSync(await download.path(), "utf8"));
      assert.equal(everything.profile[0].email, person.email);
    });
    await t.step("the account is deleted only with its address typed", async () => {
      await page.getByRole("button", { name: "Delete account" }).click();
      const button = dialog.getByRole("button", { name: "Delete account for ever" });
      await everywhere(page, "80-account-delete");
      assert.ok(await button.isDisabled());
      await dialog.getByLabel(/^Type /).fill("somebody@example.com");
      assert.ok(await button.isDisabled());
      await dialog.getByLabel(/^Type /).fill(person.email);
      await button.click();
      await page.waitForURL((url) => !url.pathname.startsWith("/account"));
    });
    await t.step("and nobody signs in to it again", async () => {
      await page.goto(`${stack().web_url}/sign-in`);
      await page.getByLabel("E-mail").fill(person.email);
      await page.getByLabel("Password", { exact: true }).fill(person.password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").first().waitFor();
    });
  });
  const db = sql({ max: 1 });
  const rows = await db`select finished_at from billing.deletions where user_id = ${person.id}`;
  await db.end();
  assert.equal(rows.length, 1);
});
