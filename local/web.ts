import { NODE_MODULES, ROOT } from "./paths.ts";
import type { Child, Supervisor } from "./supervisor.ts";
import { exists, messageOf, StartError, until } from "./util.ts";

export type WebOptions = {
  dataDir: string;
  port: number;
  apiUrl: string;
  publishableKey: string;
  log: (line: string) => void;
};

/** Vite's development server for `web/`; null while there is no web client. Resolves when it answers. */
export async function startWeb(options: WebOptions, supervisor: Supervisor): Promise<Child | null> {
  if (!(await exists(`${ROOT}/web/index.html`))) return null;
  const child = await supervisor.spawn({
    name: "web",
    // The Node that runs the bootstrap; Deno puts a `node` of its own on the path where there is none.
    command: Deno.env.get("TOLLGATE_NODE") ?? "node",
    args: [
      `${NODE_MODULES}/vite/bin/vite.js`,
      `${ROOT}/web`,
      ...["--port", String(options.port)],
      "--strictPort",
      ...["--host", "127.0.0.1"],
      ...["--clearScreen", "false"],
      ...["--logLevel", "warn"],
    ],
    cwd: ROOT,
    env: {
      VITE_SUPABASE_URL: options.apiUrl,
      VITE_SUPABASE_PUBLISHABLE_KEY: options.publishableKey,
      VITE_CACHE_DIR: `${options.dataDir}/cache/vite`,
      NO_COLOR: "1",
    },
    onLine: (line) => {
      if (line.trim() !== "") options.log(`web: ${line}`);
    },
  });
  try {
    await until(async () => {
      const response = await fetch(`http://127.0.0.1:${options.port}/`, {
        signal: AbortSignal.timeout(10_000),
      });
      await response.body?.cancel();
    }, {
      timeoutMs: 30_000,
      everyMs: 50,
      stopWhen: () =>
        child.code() === null ? null : "Vite ended while starting; its messages are above.",
    });
  } catch (error) {
    throw new StartError(`The web client did not start: ${messageOf(error)}`);
  }
  return child;
}
