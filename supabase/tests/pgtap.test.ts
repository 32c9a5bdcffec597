import assert from "node:assert/strict";
import { databaseUrl } from "./database.ts";
import { runTapFile, withPgTap } from "./pgtap.ts";

const FOLDER = new URL("./", import.meta.url);

Deno.test("pgTAP", async (t) => {
  const files = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name)
    .filter((name) => name.endsWith(".test.sql")).sort();
  assert.ok(files.length > 0);
  await withPgTap(databaseUrl(), async () => {
    for (const file of files) {
      await t.step(file, async (t) => {
        const { passed, failed } = await runTapFile(databaseUrl(), new URL(file, FOLDER));
        for (const name of passed) await t.step(name, () => {});
        for (const name of failed) {
          await t.step(name.split("\n")[0] ?? "", () => assert.fail(name));
        }
      });
    }
  });
});
