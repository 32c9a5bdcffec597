import { LOCAL } from "./paths.ts";
import { identify, isSameProcess, type ProcessIdentity } from "./process_table.ts";
import { exists, readTextIfAny, sleep, StartError, within, writeAtomically } from "./util.ts";

/**
 * Everything the stack starts, and the promise that nothing of it survives. Children live in their own process groups, so that
 * Ctrl-C reaches only the main process, which stops them in order; a reaper ends them when the main process cannot; and what
 * even the reaper missed is found by the next start through `run/processes.json`.
 */

export type SpawnOptions = {
  name: string;
  command: string;
  args: string[];
  cwd?: string;
  env?: Record<string, string>;
  clearEnv?: boolean;
  /** How the child is asked to end. Postgres takes SIGINT (fast shutdown), as one process and not as a group. */
  signal?: "SIGTERM" | "SIGINT";
  scope?: "group" | "process";
  onLine?: (line: string, stream: "stdout" | "stderr") => void;
};

export type Child = {
  name: string;
  pid: number;
  exited: Promise<Deno.CommandStatus>;
  /** Null while it runs. */
  code: () => number | null;
  stop: (graceMs?: number) => Promise<void>;
};

type Recorded = ProcessIdentity & { name: string; scope: "group" | "process" };

export class Supervisor {
  readonly #dataDir: string;
  readonly #reaper: Deno.ChildProcess;
  readonly #reaperInput: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lock: Deno.FsFile;
  #recorded: Recorded[] = [];
  #writing: Promise<void> = Promise.resolve();

  private constructor(dataDir: string, lock: Deno.FsFile) {
    this.#dataDir = dataDir;
    this.#lock = lock;
    this.#reaper = new Deno.Command("/bin/sh", {
      args: [`${LOCAL}/reaper.sh`],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    // The reaper must not keep the main process alive: it is the other way round.
    this.#reaper.unref();
    this.#reaperInput = this.#reaper.stdin.getWriter();
  }

  /** Takes the data directory for this process and clears what an earlier one may have left running. */
  static async start(dataDir: string): Promise<Supervisor> {
    await claim(dataDir);
    await Deno.mkdir(`${dataDir}/run`, { recursive: true, mode: 0o755 });
    const lock = await takeLock(dataDir);
    await endLeftovers(dataDir);
    return new Supervisor(dataDir, lock);
  }

  async spawn(options: SpawnOptions): Promise<Child> {
    const { signal = "SIGTERM", scope = "group" } = options;
    const piped = options.onLine ? "piped" : "null";
    const process = new Deno.Command(options.command, {
      args: options.args,
      cwd: options.cwd,
      env: options.env,
      clearEnv: options.clearEnv ?? false,
      stdin: "null",
      stdout: piped,
      stderr: piped,
      detached: true,
    }).spawn();
    await this.#tellReaper(`add ${process.pid} ${signal.slice(3)} ${scope}`);
    await this.#record(options.name, process.pid, scope);
    if (options.onLine) {
      forEachLine(process.stdout, (line) => options.onLine?.(line, "stdout"));
      forEachLine(process.stderr, (line) => options.onLine?.(line, "stderr"));
    }
    let code: number | null = null;
    const exited = process.status.then(async (status) => {
      code = status.code;
      await this.#forget(process.pid);
      return status;
    });
    return {
      name: options.name,
      pid: process.pid,
      exited,
      code: () => code,
      stop: async (graceMs = 5000) => {
        if (code !== null) return;
        signalTo(process.pid, signal, scope);
        if (await within(graceMs, exited)) return;
        signalTo(process.pid, "SIGKILL", "group");
        await within(2000, exited);
      },
    };
  }

  /** Called last, when every child has been stopped in order. */
  async close(): Promise<void> {
    await this.#tellReaper("bye");
    await this.#reaperInput.close().catch(() => {});
    await within(1000, this.#reaper.status);
    await this.#writing;
    await Deno.remove(`${this.#dataDir}/run/processes.json`).catch(() => {});
    this.#lock.close();
  }

  async #tellReaper(line: string): Promise<void> {
    // A reaper that somebody killed is no reason to fail: the next start finds leftovers by their record.
    await this.#reaperInput.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
  }

  async #record(name: string, pid: number, scope: "group" | "process"): Promise<void> {
    const identity = await identify(pid);
    if (!identity) return;
    this.#recorded.push({ ...identity, name, scope });
    await this.#save();
  }

  async #forget(pid: number): Promise<void> {
    this.#recorded = this.#recorded.filter((one) => one.pid !== pid);
    await this.#tellReaper(`del ${pid}`);
    await this.#save();
  }

  #save(): Promise<void> {
    const text = JSON.stringify(this.#recorded, null, 2);
    this.#writing = this.#writing
      .then(() => writeAtomically(`${this.#dataDir}/run/processes.json`, text))
      // The data directory may already be gone when a late exit is recorded.
      .catch(() => {});
    return this.#writing;
  }
}

/** The file that says a folder is ours: only such a one is written to, and only such a one is ever removed. */
export const MARKER = "tollgate-data";

/** Makes the folder ours if it is new or empty; TOLLGATE_DATA_DIR may name anything, a home folder included. */
async function claim(dataDir: string): Promise<void> {
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o755 });
  if (await exists(`${dataDir}/${MARKER}`)) return;
  for await (const { name } of Deno.readDir(dataDir)) {
    // The bootstrap's lock stands in the default folder while dependencies are installed.
    if (name === "install.lock") continue;
    throw new StartError(
      `${dataDir} has files in it that are not Tollgate's (${name}). Give TOLLGATE_DATA_DIR a folder of its own.`,
    );
  }
  await writeAtomically(
    `${dataDir}/${MARKER}`,
    "Everything in this folder belongs to Tollgate's local platform.\n",
  );
}

async function takeLock(dataDir: string): Promise<Deno.FsFile> {
  const path = `${dataDir}/run/lock`;
  const file = await Deno.open(path, { read: true, write: true, create: true });
  // The kernel drops this lock with the process, so no crash can leave it behind.
  if (!(await file.tryLock(true))) {
    const holder = (await readTextIfAny(path))?.trim();
    file.close();
    throw new StartError(
      `Tollgate is already running on ${dataDir}${holder ? ` (pid ${holder})` : ""}. ` +
        `Stop it first, or choose another TOLLGATE_DATA_DIR and TOLLGATE_PORT_BASE.`,
    );
  }
  await file.truncate(0);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return file;
}

async function endLeftovers(dataDir: string): Promise<void> {
  const text = await readTextIfAny(`${dataDir}/run/processes.json`);
  if (!text) return;
  const left: Recorded[] = [];
  for (const one of parseRecorded(text)) if (await isSameProcess(one)) left.push(one);
  for (const one of left) {
    signalTo(one.pid, one.scope === "process" ? "SIGINT" : "SIGTERM", one.scope);
  }
  for (let waited = 0; waited < 5000 && await anyAlive(left); waited += 50) await sleep(50);
  for (const one of left) if (await isSameProcess(one)) signalTo(one.pid, "SIGKILL", "group");
  await Deno.remove(`${dataDir}/run/processes.json`).catch(() => {});
}

async function anyAlive(processes: Recorded[]): Promise<boolean> {
  for (const one of processes) if (await isSameProcess(one)) return true;
  return false;
}

function parseRecorded(text: string): Recorded[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isRecorded) : [];
  } catch {
    // Written by a process that died in the middle: then there is nothing to learn from it.
    return [];
  }
}

function isRecorded(value: unknown): value is Recorded {
  return typeof value === "object" && value !== null && "pid" in value && "startedAt" in value &&
    Number.isSafeInteger(value.pid) && typeof value.startedAt === "string";
}

function signalTo(pid: number, signal: Deno.Signal, scope: "group" | "process"): void {
  try {
    Deno.kill(scope === "group" ? -pid : pid, signal);
  } catch {
    // Already gone.
  }
}

async function forEachLine(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  try {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line.replace(/\r$/, ""));
    }
  } catch {
    // The child ended in the middle of a line.
  }
  if (rest !== "") onLine(rest);
}
