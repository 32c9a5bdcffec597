import { cliBinary } from "../../migrate.ts";
import { OperatorError } from "../project.ts";
import type { Redactor } from "./redact.ts";

/** The official CLI as npm installed it. Secrets reach it by environment, file or standard input, never as arguments. */
export interface Cli {
  /** Runs a command to its end; gives what it wrote to standard output. Throws a CliError when it failed. */
  run(args: string[], options?: CliOptions): Promise<string>;
  /** The same of a command that answers JSON. */
  json(args: string[], options?: CliOptions): Promise<unknown>;
}

export interface CliOptions {
  stdin?: string;
  env?: Readonly<Record<string, string>>;
}

export class CliError extends OperatorError {
  override name = "CliError";
}

const MOST_LINES = 12;
const PROGRESS =
  /^(Target:|Confirmed by|Connecting to|Applying migration|Uploading asset|Deploying Function|Try rerunning)/;

export function createCli(
  root: string,
  environment: Readonly<Record<string, string>>,
  redact: Redactor,
): Cli {
  const run = async (args: string[], { stdin, env }: CliOptions = {}) => {
    // --agent: another program may have started us, and the CLI would wrap its answers for that.
    const child = new Deno.Command(await cliBinary(), {
      args: [...args, "--workdir", root, "--agent", "no"],
      cwd: root,
      clearEnv: true,
      env: { ...environment, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [{ success, stdout, stderr }] = await Promise.all([
      child.output(),
      feed(child.stdin, stdin ?? ""),
    ]);
    const text = new TextDecoder();
    if (success) return text.decode(stdout);
    const output = `${text.decode(stderr)}\n${text.decode(stdout)}`;
    throw new CliError(`${describe(args)} failed.${hintFor(output)}\n${redact(essenceOf(output))}`);
  };
  return {
    run,
    json: async (args, options) => {
      const answer = await run([...args, "--output", "json"], options);
      try {
        return JSON.parse(answer);
      } catch {
        throw new CliError(`${describe(args)} answered no JSON:\n${redact(essenceOf(answer))}`);
      }
    },
  };
}

/** What every call gets besides: no telemetry, no look for updates, no colours. */
export function cliEnvironment(
  environment: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const result: Record<string, string> = {
    ...environment,
    SUPABASE_TELEMETRY_DISABLED: "1",
    SUPABASE_NO_UPDATE_NOTIFIER: "1",
    DO_NOT_TRACK: "1",
    NO_COLOR: "1",
  };
  for (const [name, value] of Object.entries(own)) {
    // Undefined takes away: what belongs to production must not be used for a preview.
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  return result;
}

async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It ended without reading: its exit code says why.
  }
}

/** The command without its arguments. */
function describe(args: string[]): string {
  return `supabase ${args.slice(0, 2).join(" ")}`;
}

/** What went wrong: each line once (22 functions fail for one reason), without what is only progress, and not all of it. */
function essenceOf(output: string): string {
  const lines = [...new Set(output.split("\n").map((line) => line.trimEnd()))];
  const migration = lines.filter((line) => line.startsWith("Applying migration")).at(-1);
  return lines.filter((line) => line !== "" && (line === migration || !PROGRESS.test(line)))
    .slice(0, MOST_LINES).map((line) => `  ${line}`).join("\n");
}

/** What an operator can do about the commonest refusals of the Management API. */
function hintFor(output: string): string {
  const status = /\bstatus:? (\d{3})\b/.exec(output)?.[1];
  // Not every command says the status.
  if (status === "401" || /"message":"(Unauthorized|JWT)/.test(output)) {
    return " The access token is not valid (any more): SUPABASE_ACCESS_TOKEN.";
  }
  if (status === "403") return " The access token may not do this.";
  if (status === "404") return " There is no such project, or the access token does not see it.";
  if (status === "429") return " Supabase limits calls: wait a minute, and run this again.";
  if (status?.startsWith("5")) return " Supabase has a fault: run this again later.";
  return "";
}
