import assert from "node:assert/strict";
import { everywhere, visit } from "../support/browser.ts";
import { signUp, sql } from "../support/stack.ts";

Deno.test("in a browser: where notices are sent by e-mail, a person may say no", async (t) => {
  const db = sql({ max: 1 });
  const set = (value: "true" | "false") =>
    db`update billing.settings set value = ${value}::text::jsonb where key = 'notification_emails'`;
  const person = await signUp("notices");
  const wants = async () =>
    (await person.client.rpc("my_notification_emails")).data as { enabled: boolean };
  try {
    await visit("notices", person, async ({ page, go }) => {
      const section = page.getByRole("region", { name: "Notices by e-mail" });
      await t.step("where none are sent, nobody is asked", async () => {
        await go("/account");
        await page.getByRole("region", { name: "Session" }).waitFor();
        await page.waitForLoadState("networkidle");
        assert.equal(await section.count(), 0);
      });
      await t.step("the link of an e-mail leads to the switch", async () => {
        await set("true");
        await go("/account#notices");
        await page.reload();
        const on = section.getByRole("radio", { name: "On" });
        await on.waitFor();
        assert.equal(await on.isChecked(), true);
        await everywhere(page, "140-notices");
      });
      await t.step("a no stays a no", async () => {
        await section.getByRole("radio", { name: "Off" }).click();
        await section.getByRole("radio", { name: "Off", checked: true }).waitFor();
        await page.waitForLoadState("networkidle");
        assert.equal((await wants()).enabled, false);
        await page.reload();
        await section.getByRole("radio", { name: "Off", checked: true }).waitFor();
      });
    });
  } finally {
    await set("false");
    await db.end();
  }
});
