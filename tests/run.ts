/**
 * `npm test`: starts a stack of its own on free ports, runs every test against it, and prints one last line
 * `N passed, N failed`. It never touches the stack of `npm start`, and two runs may go side by side.
 *
 * `npm test -- <path…>` runs only those files or folders.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node:child_process";
import postgres from "postgres";
import { startStack } from "../local/stack.ts";
import { ROOT } from "./support/run.ts";

/** By folder, because `supabase` alone would mean only the workspace member below it. */
const SUITES = ["tests", "local", "supabase/functions", "supabase/tests", "web/src"];
const ARTIFACTS = join(ROOT, ".artifacts");

interface Tally {
  passed: number;
  failed: number;
}

/** Runs `deno test` over the paths and counts what its JUnit report says. A run that dies without one is one failure. */
// Types are checked by tests/checks/static.test.ts, once.
async function denoTest(paths: string[], env: Record<string, string>): Promise<Tally> {
  const report = join(ARTIFACTS, `junit-${Deno.pid}.xml`);
  rmSync(report, { force: true });
  const code = await new Promise<number>((resolve) => {
    const child = spawn(Deno.execPath(), [
      "test",
      "-A",
      "--no-check",
      `--junit-path=${report}`,
      ...paths,
    ], {
      cwd: ROOT,
      env: { ...Deno.env.toObject(), ...env },
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", () => resolve(1));
    child.on("close", (status) => resolve(status ?? 1));
  });
  const tally = existsSync(report) ? count(readFileSync(report, "utf8")) : { passed: 0, failed: 0 };
  rmSync(report, { force: true });
  // A file that does not even load, or a leak outside any test, fails the run without failing a test.
  if (code !== 0 && tally.failed === 0) return { ...tally, failed: 1 };
  return tally;
}

function count(junit: string): Tally {
  const head = junit.match(/<testsuites[^>]*>/)?.[0] ?? "";
  const number = (name: string) => Number(head.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  return { passed: number("tests") - failed, failed };
}

/** Every test comes from one address, and some are fifty calls at once. Limits are rows, so a test of them sets its own. */
async function raiseRateLimits(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  await sql`update billing.rate_limits set burst = 1000000`;
  await sql.end();
}

async function main(paths: string[]): Promise<Tally> {
  mkdirSync(ARTIFACTS, { recursive: true });
  console.log("Starting a stack for this run …");
  const stack = await startStack({ log: (line) => console.error(line) });
  try {
    await raiseRateLimits(stack.dbUrl);
    return await denoTest(paths.length > 0 ? paths : SUITES, {
      TEST_STACK: join(stack.dataDir, "stack.json"),
      TEST_ARTIFACTS: ARTIFACTS,
    });
  } finally {
    await stack.stop();
  }
}

let tally: Tally;
try {
  tally = await main(Deno.args);
} catch (error) {
  console.error(error);
  tally = { passed: 0, failed: 1 };
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
Deno.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
