import { cliBinary } from "../migrate.ts";
import { ROOT } from "../paths.ts";
import { StartError } from "../util.ts";
import type { Runtime } from "./runtime.ts";

/** The official CLI, with the terminal and the home of whoever runs it: Docker's own settings are in there. */
export class SupabaseCli {
  readonly binary: string;
  readonly env: Record<string, string>;
  readonly #log: (line: string) => void;

  private constructor(binary: string, env: Record<string, string>, log: (line: string) => void) {
    this.binary = binary;
    this.env = env;
    this.#log = log;
  }

  static async open(
    runtime: Runtime,
    settings: Record<string, string>,
    log: (line: string) => void,
  ): Promise<SupabaseCli> {
    // Whoever has built or installed one of their own may use it; so do the tests.
    const binary = Deno.env.get("TOLLGATE_SUPABASE_CLI") ?? await cliBinary();
    const quiet = {
      SUPABASE_TELEMETRY_DISABLED: "1",
      SUPABASE_NO_UPDATE_NOTIFIER: "1",
      DO_NOT_TRACK: "1",
      NO_COLOR: "1",
    };
    return new SupabaseCli(binary, { ...quiet, ...runtime.env, ...settings }, log);
  }

  arguments(args: string[]): string[] {
    return [...args, "--workdir", ROOT];
  }

  /** Runs one call to its end and answers what it printed on stdout; its progress goes to the terminal as it comes. */
  async run(args: string[], options: { quiet?: boolean } = {}): Promise<string> {
    const child = new Deno.Command(this.binary, {
      args: this.arguments(args),
      cwd: ROOT,
      env: this.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const show = (line: string) => {
      if (!options.quiet && isProgress(line)) this.#log(`supabase: ${line}`);
    };
    const [stdout, stderr, { success, code }] = await Promise.all([
      collect(child.stdout, show),
      collect(child.stderr, show),
      child.status,
    ]);
    if (success) return stdout;
    throw new StartError(
      `\`supabase ${args.join(" ")}\` ended with ${code}:\n${(stderr || stdout).trim()}`,
    );
  }
}

/** Not the table of addresses and keys at the end of `start`: keys have no place in a log, and the addresses are in our own. */
function isProgress(line: string): boolean {
  return !/^[╭│├╰]/.test(line) && !line.includes("sb_secret_");
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<string> {
  let text = "";
  let rest = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    const lines = (rest + part).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(line.trim());
  }
  if (rest.trim() !== "") onLine(rest.trim());
  return text;
}
