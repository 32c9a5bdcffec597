/**
 * `npm run test:chaos`: the chaos tests alone, with 10,000 schedules, as many runs of reporting usage and as many sales.
 * `npm run test:chaos -- --runs N --seed S` runs others, or the failed ones again.
 */
import { parseArgs } from "node:util";
import { spawn } from "node:child_process";
import { ROOT } from "../support/run.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: { runs: { type: "string", default: "10000" }, seed: { type: "string" } },
});
for (const [name, value] of Object.entries(values)) {
  if (!/^\d{1,10}$/.test(value)) throw new Error(`--${name} must be a whole number`);
}
const child = spawn(Deno.execPath(), [
  "run",
  "-A",
  "tests/run.ts",
  "tests/chaos",
  "tests/marketplace/chaos.test.ts",
], {
  cwd: ROOT,
  stdio: "inherit",
  env: {
    ...Deno.env.toObject(),
    CHAOS_RUNS: values.runs,
    ...(values.seed !== undefined && { CHAOS_SEED: values.seed }),
  },
});
child.on("close", (code) => Deno.exit(code ?? 1));
