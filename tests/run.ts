/**
 * `npm test`: runs every suite against a stack of its own on free ports, each with a last look for secrets in all of its logs, and
 * prints one last line `N passed, N failed`. It never touches the stack of `npm start`, and two runs may go side by side.
 *
 * `npm test -- <path…>` runs only those files or folders.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { spawn } from "node:child_process";
import postgres from "postgres";
import { startStack } from "../local/stack.ts";
import { ROOT } from "./support/run.ts";
import { findLeaks } from "./support/secrets.ts";

/**
 * The folders of each suite. What would be in another's way has a stack of its own: chaos leaves thousands of events that were
 * never delivered, and the marketplace moves the sandbox's clock by months.
 */
const SUITES: readonly (readonly string[])[] = [
  ["supabase/functions", "local", "supabase/tests", "web/src"],
  ["tests/attacks", "tests/browser", "tests/checks", "tests/journeys"],
  ["tests/chaos"],
  ["tests/marketplace"],
];
const ARTIFACTS = join(ROOT, ".artifacts");
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

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
    // Who stops the run stops the tests too: they are not in the terminal's group when another program started us.
    const stop = () => child.kill("SIGTERM");
    for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
    child.on("error", () => resolve(1));
    child.on("close", (status) => {
      for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
      resolve(status ?? 1);
    });
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

async function main(wanted: string[]): Promise<Tally> {
  mkdirSync(ARTIFACTS, { recursive: true });
  const sum: Tally = { passed: 0, failed: 0 };
  for (const paths of suitesOf(wanted)) {
    const { passed, failed } = await runSuite(paths);
    sum.passed += passed;
    sum.failed += failed;
  }
  return sum;
}

/** Of every suite the folders that are wanted, or what is wanted within them; suites of which nothing is wanted are left out. */
function suitesOf(wanted: string[]): string[][] {
  if (wanted.length === 0) return SUITES.map((folders) => [...folders]);
  const paths = wanted.map((path) => relative(ROOT, resolve(path)));
  const isWithin = (path: string, folder: string) =>
    folder === "" || `${path}/`.startsWith(`${folder}/`);
  const stray = paths.find((path) =>
    !SUITES.flat().some((folder) => isWithin(path, folder) || isWithin(folder, path))
  );
  if (stray !== undefined) throw new Error(`No tests are in ${stray}.`);
  return SUITES.map((folders) =>
    folders.flatMap((folder) =>
      paths.some((path) => isWithin(folder, path))
        ? [folder]
        : paths.filter((path) => isWithin(path, folder))
    )
  ).filter((folders) => folders.length > 0);
}

async function runSuite(paths: string[]): Promise<Tally> {
  console.log(`Starting a stack for ${paths.join(", ")} …`);
  const printed: string[] = [];
  const stack = await startStack({
    log: (line) => {
      printed.push(line);
      console.error(line);
    },
  });
  const description = join(stack.dataDir, "stack.json");
  try {
    await raiseRateLimits(stack.dbUrl);
    const tally = await denoTest(paths, {
      TEST_STACK: description,
      TEST_ARTIFACTS: ARTIFACTS,
    });
    // The last test, over the logs of all the others: nothing secret that this run used stands in them.
    const { leaks, searched } = await findLeaks(printed, stack.dataDir);
    console.log(searched);
    for (const leak of leaks) console.error(`LEAK: ${leak}`);
    return leaks.length === 0
      ? { ...tally, passed: tally.passed + 1 }
      : { ...tally, failed: tally.failed + 1 };
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
