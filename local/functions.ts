import { pathToFileURL } from "node:url";
import { LOCAL, ROOT } from "./paths.ts";
import type { Child, Supervisor } from "./supervisor.ts";
import { exists, messageOf, sleep, within } from "./util.ts";

/**
 * The Edge Functions, in a Deno process of their own that is replaced when a file changes. Requests that arrive in between wait for
 * the new one; a function that cannot be loaded answers 503 until it is saved again.
 */
export type FunctionsOptions = {
  /** Where they are: supabase/functions. */
  folder: string;
  dataDir: string;
  env: Record<string, string>;
  /** host:port pairs the functions may reach; nothing else is reachable. */
  network: string[];
  watch: boolean;
  log: (line: string) => void;
};

export type Functions = {
  names: () => string[];
  fetch: (name: string, request: Request, signal: AbortSignal) => Promise<Response>;
  stop: () => Promise<void>;
};

type Host = { child: Child; port: number };

const DEBOUNCE_MS = 60;
const START_TIMEOUT_MS = 20_000;
/** Requests already in the old process may finish there. */
const DRAIN_MS = 5000;

export async function startFunctions(
  options: FunctionsOptions,
  supervisor: Supervisor,
): Promise<Functions> {
  const server = new FunctionsServer(options, supervisor);
  await server.start();
  return server;
}

class FunctionsServer implements Functions {
  readonly #options: FunctionsOptions;
  readonly #supervisor: Supervisor;
  #names: string[] = [];
  #host: Promise<Host>;
  #stopped = false;
  #crashes = 0;
  #watcher: Deno.FsWatcher | null = null;
  readonly #old = new Set<Promise<void>>();

  constructor(options: FunctionsOptions, supervisor: Supervisor) {
    this.#options = options;
    this.#supervisor = supervisor;
    this.#host = Promise.reject(new Error("The functions have not been started."));
    this.#host.catch(() => {});
  }

  async start(): Promise<void> {
    this.#replace();
    await this.#host;
    if (this.#options.watch) void this.#watch();
  }

  names(): string[] {
    return this.#names;
  }

  async fetch(name: string, request: Request, signal: AbortSignal): Promise<Response> {
    const { search, pathname } = new URL(request.url);
    const host = await this.#waitForHost(signal);
    const url = `http://127.0.0.1:${host.port}/${name}${
      pathname.slice(`/functions/v1/${name}`.length)
    }${search}`;
    return await fetch(url, {
      method: request.method,
      headers: request.headers,
      body: request.body,
      redirect: "manual",
      signal,
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher?.close();
    const host = await this.#host.catch(() => null);
    await Promise.all([host?.child.stop(2000), ...this.#old]);
  }

  /** The newest process: a change that happens while one waits makes it wait for the next. */
  async #waitForHost(signal: AbortSignal): Promise<Host> {
    while (true) {
      signal.throwIfAborted();
      const current = this.#host;
      try {
        const host = await current;
        if (current === this.#host) return host;
      } catch (error) {
        if (current === this.#host) throw error;
      }
    }
  }

  #replace(delayMs = 0): void {
    const before = this.#host;
    this.#host = (async () => {
      await sleep(delayMs);
      const host = await this.#launch();
      void this.#retire(before);
      void host.child.exited.then(() => this.#onExit(host));
      return host;
    })();
    this.#host.catch((error) => {
      this.#options.log(`functions: ${messageOf(error)}`);
      void this.#retire(before);
    });
  }

  async #retire(before: Promise<Host>): Promise<void> {
    const host = await before.catch(() => null);
    if (!host) return;
    const end = host.child.stop(DRAIN_MS);
    this.#old.add(end);
    await end;
    this.#old.delete(end);
  }

  async #onExit(host: Host): Promise<void> {
    const current = await this.#host.catch(() => null);
    if (this.#stopped || current?.child !== host.child) return;
    this.#crashes += 1;
    const delay = Math.min(250 * 2 ** this.#crashes, 10_000);
    this.#options.log(`functions: the process ended unexpectedly; starting again in ${delay} ms`);
    this.#replace(delay);
  }

  async #launch(): Promise<Host> {
    const names = await findFunctions(this.#options.folder);
    this.#names = names;
    const { promise: ready, resolve } = Promise.withResolvers<number>();
    const child = await this.#supervisor.spawn({
      name: "functions",
      command: Deno.execPath(),
      args: [
        "run",
        ...permissions(this.#options),
        `${LOCAL}/functions-host.ts`,
        pathToFileURL(`${this.#options.folder}/`).href,
        ...names,
      ],
      cwd: ROOT,
      clearEnv: true,
      env: { ...this.#options.env, DENO_DIR: `${this.#options.dataDir}/cache/deno`, NO_COLOR: "1" },
      onLine: (line, stream) => {
        const port = stream === "stdout" ? readyPort(line) : null;
        if (port !== null) resolve(port);
        else this.#options.log(`functions: ${line}`);
      },
    });
    const started = within(START_TIMEOUT_MS, Promise.race([ready, child.exited]));
    if (!(await started) || child.code() !== null) {
      await child.stop(500);
      throw new Error("The functions' process did not start; see the terminal.");
    }
    return { child, port: await ready };
  }

  async #watch(): Promise<void> {
    this.#watcher = Deno.watchFs(this.#options.folder);
    let timer: ReturnType<typeof setTimeout> | undefined;
    for await (const event of this.#watcher) {
      if (event.kind === "access" || event.paths.every(isNoise)) continue;
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (this.#stopped) return;
        this.#crashes = 0;
        this.#replace();
        this.#options.log("functions: changed, loading them again");
        void this.#reportTypeErrors();
      }, DEBOUNCE_MS);
    }
  }

  /** Type errors do not keep a function from running, here as on Supabase; they are shown. */
  async #reportTypeErrors(): Promise<void> {
    const files = this.#names.map((name) => `${this.#options.folder}/${name}/index.ts`);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", ...files],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (success || this.#stopped) return;
    for (const line of new TextDecoder().decode(stderr).trimEnd().split("\n")) {
      this.#options.log(`functions: ${line}`);
    }
  }
}

function isNoise(path: string): boolean {
  return /(~|\.swp|\.tmp|\.test\.ts)$/.test(path) || /\/\.[^/]+$/.test(path);
}

function readyPort(line: string): number | null {
  if (!line.startsWith('{"ready":')) return null;
  return Number(/^\{"ready":(\d+)/.exec(line)?.[1] ?? Number.NaN) || null;
}

async function findFunctions(folder: string): Promise<string[]> {
  const names: string[] = [];
  if (!(await exists(folder))) return names;
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isDirectory || entry.name.startsWith("_") || entry.name.startsWith(".")) continue;
    if (await exists(`${folder}/${entry.name}/index.ts`)) names.push(entry.name);
  }
  return names.sort();
}

/** What a function needs and no more: its own code, its environment, the API, the database and Stripe. */
function permissions({ network, folder }: FunctionsOptions): string[] {
  return [
    "--no-prompt",
    "--allow-env",
    `--allow-read=${[folder, `${ROOT}/node_modules`].map(escapeComma).join(",")}`,
    // 127.0.0.1:0 is its own listening socket.
    `--allow-net=${["127.0.0.1:0", ...network].join(",")}`,
  ];
}

function escapeComma(path: string): string {
  return path.replaceAll(",", ",,");
}
