import { readSettings, type Settings, SettingsError } from "./env.ts";
import { reset } from "./reset.ts";
import { discardSupabase } from "./supabase/platform.ts";
import { runtimeFrom, type RuntimeName } from "./supabase/runtime.ts";
import { type Stack, startStack } from "./stack.ts";
import { Terminal } from "./terminal.ts";
import { StartError } from "./util.ts";

/**
 * `npm start` and `npm run reset` end up here: `deno run -A local/main.ts <start|reset> [--supabase[=native]]`. With the option it is
 * the official CLI's stack instead of the embedded one, with data of its own beside the embedded one's.
 */
const begun = performance.now();
const terminal = new Terminal();

try {
  Deno.exitCode = await run(Deno.args[0] ?? "start", Deno.args.slice(1));
} catch (error) {
  if (error instanceof SettingsError) {
    terminal.error(error.message);
    Deno.exit(2);
  }
  if (error instanceof StartError) terminal.error(error.message);
  else terminal.error(error instanceof Error ? error.stack ?? error.message : String(error));
  Deno.exit(1);
}
Deno.exit(Deno.exitCode);

async function run(command: string, flags: string[]): Promise<number> {
  const runtime = runtimeFrom(flags);
  const settings = await readSettings();
  if (runtime) settings.dataDir += "-supabase";
  if (command === "start") return await start(settings, runtime);
  if (command === "reset") {
    if (runtime) await discardSupabase(runtime, settings.ports, (line) => terminal.line(line));
    return await reset(settings.dataDir, terminal);
  }
  throw new StartError(`Unknown command "${command}": start or reset.`);
}

async function start(settings: Settings, runtime: RuntimeName | null): Promise<number> {
  const stopping = stopRequested();
  terminal.progress("Starting Tollgate");
  const starting = startStack({
    dataDir: settings.dataDir,
    ports: settings.ports,
    stripe: settings.stripe,
    supabase: runtime ? { runtime, discard: false } : null,
    watch: true,
    durable: true,
    log: (line) => terminal.line(line),
    onProgress: (step, milliseconds) => {
      if (settings.debug || !step.startsWith(" ")) terminal.step(step, milliseconds);
    },
  });
  const first = await Promise.race([starting, stopping]);
  if (typeof first === "string") {
    terminal.progress("Stopping before everything was started");
    await starting.then((stack) => stack.stop(), () => {});
    return 130;
  }
  terminal.table(first, settings.stripe !== null, performance.now() - begun);
  const reason = await Promise.race([stopping, first.failed]);
  return await stop(first, reason);
}

async function stop(stack: Stack, reason: string): Promise<number> {
  terminal.progress(reason === "" ? "Stopping" : `${reason} Stopping`);
  await stack.stop();
  terminal.line("Stopped.");
  return reason.startsWith("Postgres") ? 1 : 0;
}

/** Ctrl-C, a terminal that closes, or the death of whoever started us: npm killed with -9 must not leave a stack behind. */
function stopRequested(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let asked = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      asked += 1;
      // A terminal signals the whole process group and npm passes it on: only an insistent person means "now".
      if (asked >= 5) Deno.exit(130);
      resolve("");
    });
  }
  const parent = Deno.ppid;
  const timer = setInterval(() => {
    if (Deno.ppid !== parent) resolve("The process that started Tollgate is gone.");
  }, 500);
  Deno.unrefTimer(Number(timer));
  return promise;
}
