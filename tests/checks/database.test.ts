import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, npmBin, ROOT } from "../support/run.ts";
import { stack } from "../support/stack.ts";

/** The official CLI, unmodified, against the stack's database; its own files stay out of the user's home. */
async function supabase(...args: string[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), "tollgate-cli-"));
  try {
    return await mustRun(npmBin("supabase"), args, {
      env: {
        HOME: home,
        PGSSLMODE: "disable",
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
      },
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

Deno.test("the official advisors find nothing, not even at level info", async () => {
  await supabase(
    "db",
    "advisors",
    `--remote=${stack().db_url}`,
    "--level",
    "info",
    "--fail-on",
    "info",
  );
});

Deno.test("the committed types are the ones the schema generates", async () => {
  const generated = await supabase(
    "gen",
    "types",
    "typescript",
    `--remote=${stack().db_url}`,
    "--schema",
    "public",
  );
  const committed = readFileSync(`${ROOT}supabase/functions/_shared/database.types.ts`, "utf8");
  assert.equal(generated.trim(), committed.trim(), "run `npm run types` and commit the file");
});

Deno.test("every migration is applied, in order", async () => {
  const list = await supabase(
    "migration",
    "list",
    `--remote=${stack().db_url}`,
    "--output-format",
    "json",
  );
  assert.match(list, /20261122100000/);
});
