import { fileURLToPath } from "node:url";

export function fromFileUrl(url: URL): string {
  return fileURLToPath(url);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A problem the person at the terminal can act on: printed as a sentence, without a stack. */
export class StartError extends Error {
  override name = "StartError";
}

export async function readTextIfAny(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/** Readers see the old file or the new one, never half of either. */
export async function writeAtomically(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  await Deno.writeTextFile(temporary, text, { mode });
  await Deno.rename(temporary, path);
}

/** Tries until `attempt` stops throwing; the last error is the one reported. */
export async function until<T>(
  attempt: () => Promise<T>,
  { timeoutMs, everyMs, stopWhen }: {
    timeoutMs: number;
    everyMs: number;
    stopWhen?: () => string | null;
  },
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (true) {
    try {
      return await attempt();
    } catch (error) {
      const reason = stopWhen?.();
      if (reason) throw new StartError(reason);
      if (performance.now() > deadline) throw error;
      await sleep(everyMs);
    }
  }
}

/** Runs `work`, giving up after `milliseconds`: a stop must end even when one part does not answer. */
export async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Appends lines to `<data dir>/logs/<name>.log`, in order. */
export async function logFile(dataDir: string, name: string): Promise<(line: string) => void> {
  await Deno.mkdir(`${dataDir}/logs`, { recursive: true });
  const path = `${dataDir}/logs/${name}.log`;
  let last: Promise<void> = Promise.resolve();
  return (line) => {
    const text = `${new Date().toISOString()} ${line}\n`;
    // A log that cannot be written (the data directory is being removed) is no reason to stop.
    last = last.then(() => Deno.writeTextFile(path, text, { append: true })).catch(() => {});
  };
}
