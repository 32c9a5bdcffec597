import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The folder of the checkout, with a trailing slash. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeoutMs?: number;
}

/** Runs a program to its end, or kills it after `timeoutMs` (default two minutes) and reports exit code 124. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...Deno.env.toObject(), NO_COLOR: "1", ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 120_000);
    child.stdout.on("data", (chunk) => stdout += chunk);
    child.stderr.on("data", (chunk) => stderr += chunk);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: timedOut ? 124 : code ?? 1, stdout, stderr });
    });
    child.stdin.end(options.stdin ?? "");
  });
}

/** Runs a program that must succeed; its output is in the error when it does not. */
export async function mustRun(
  command: string,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const outcome = await run(command, args, options);
  if (outcome.code === 0) return outcome.stdout;
  const output = `${outcome.stdout}\n${outcome.stderr}`.trim().slice(-6_000);
  throw new Error(`${command} ${args.join(" ")} ended with ${outcome.code}:\n${output}`);
}

/** A program that npm installed, e.g. `supabase`; run through node, so that a missing executable bit does not matter. */
export function npmBin(name: string): string {
  return `${ROOT}node_modules/.bin/${name}`;
}
