/**
 * `npm run adopt -- <path to another Supabase project> [--dry-run] [--schema=tollgate] [--prefix=…]` puts Tollgate into it:
 * functions, migrations, settings. Again it brings what is new here. `--remove [--drop-data]` takes it out. See docs/adopt.md.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { ROOT } from "../../paths.ts";
import { absolute } from "../deploy/options.ts";
import { OperatorError, runCommand } from "../project.ts";
import { type Adoption, applyAdoption, planAdoption } from "./adopt.ts";
import { applyRemoval, planRemoval, type Removal } from "./remove.ts";
import { openTarget, type Target } from "./target.ts";

const USAGE =
  "npm run adopt -- <path to another Supabase project> [--dry-run] [--schema=<name>] [--prefix=<name->] | --remove [--drop-data]";

await runCommand(async () => {
  const { path, values } = readArguments();
  const target = await openTarget(absolute(path));
  const dryRun = values["dry-run"] === true;
  if (values.remove) {
    const removal = await planRemoval(target, {
      dropData: values["drop-data"] === true,
      now: new Date(),
    });
    if (!dryRun) await applyRemoval(target, removal);
    printRemoval(target, removal, dryRun);
    return removal.kept.length > 0 || removal.config === null ? 2 : 0;
  }
  const adoption = await planAdoption(target, {
    schema: values.schema,
    prefix: values.prefix,
    now: new Date(),
    tollgate: await version(),
  });
  if (!dryRun) await applyAdoption(target, adoption);
  printAdoption(target, adoption, dryRun);
  return 0;
});

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: {
        "dry-run": { type: "boolean" },
        remove: { type: "boolean" },
        "drop-data": { type: "boolean" },
        schema: { type: "string" },
        prefix: { type: "string" },
      },
    });
    const [path, ...more] = positionals;
    if (path === undefined || more.length > 0) throw new Error("one path");
    if (values["drop-data"] && !values.remove) throw new Error("--drop-data without --remove");
    if (values.remove && (values.schema ?? values.prefix) !== undefined) {
      throw new Error("--remove takes no names");
    }
    return { path, values };
  } catch (error) {
    throw new OperatorError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function version(): Promise<string> {
  const text = await Deno.readTextFile(`${ROOT}/package.json`);
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

function printAdoption({ root }: Target, { naming, changes }: Adoption, dryRun: boolean): void {
  const done = changes.filter(({ change }) => change !== "keep");
  for (const { path, change } of done) console.log(`${change.padEnd(6)}  supabase/${path}`);
  if (done.length === 0) return console.log(`Nothing to do: ${root} has this Tollgate.`);
  console.log(`${done.length} files${dryRun ? " would be written; nothing was." : "."}`);
  if (dryRun) return;
  console.log(`
Next, in ${root}:
  supabase db push                    the tables of Tollgate, in the schemas ${naming.schema}, billing and billing_months
  supabase functions deploy
  supabase config push                or add ${naming.schema} to the exposed schemas of the API in the dashboard
  select billing.attach_quota('public.chat_messages', 'user_id', 'message', 'role = ''user''');
docs/adopt.md has the secrets, Stripe and the web client.`);
}

function printRemoval({ root }: Target, removal: Removal, dryRun: boolean): void {
  const { files, kept, config, down, versions } = removal;
  console.log(`${files.length} files ${dryRun ? "would be " : ""}removed.`);
  console.log(`create  supabase/${down.path}`);
  for (const path of kept) {
    console.log(`kept    supabase/${path}: it was changed since. Yours now.`);
  }
  if (config === null) {
    console.log("kept    supabase/config.toml: our part of it was changed. Take it out by hand.");
  }
  if (dryRun) return console.log("Nothing was done.");
  console.log(`
Next, in ${root}, for a database that has run Tollgate's migrations:
  supabase migration repair --remote --status reverted ${versions.join(" ")}
  supabase db push --remote
  supabase functions delete <name>    for each function of Tollgate that was deployed
Then delete the event destinations at Stripe.`);
}
