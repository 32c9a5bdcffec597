/**
 * `npm run deploy`: from this checkout to a hosted Supabase project, with the official CLI. Checks first, changes nothing when one
 * of them fails, and does only what is still to be done: after any failure it is simply run again. `--help` lists its flags;
 * docs/operations.md says the rest.
 */
import { runCommand } from "../project.ts";
import { readOptions, USAGE } from "./options.ts";
import { deploy } from "./run.ts";

await runCommand(async () => {
  const options = readOptions(Deno.args);
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  await deploy(options, {
    environment: Deno.env.toObject(),
    print: (line) => console.log(line),
    confirm: Deno.stdin.isTerminal() ? (question) => globalThis.confirm(question) : null,
    health: { timeoutMs: 120_000, everyMs: 5_000 },
  });
  return 0;
});
