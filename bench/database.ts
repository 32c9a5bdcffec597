import { startStack } from "../local/stack.ts";

/** A database with the migrations: the one at this address, or one of a stack of its own that is gone afterwards. */
export async function withDatabase(
  url: string | undefined,
  work: (url: string) => Promise<void>,
): Promise<void> {
  if (url) return await work(url);
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-bench-" });
  await Deno.chmod(dataDir, 0o755);
  // Durable, because a commit that is not waited for is not what a message costs.
  const stack = await startStack({
    dataDir,
    web: false,
    functions: false,
    cron: false,
    durable: true,
  });
  try {
    await work(stack.dbUrl);
  } finally {
    await stack.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

export function progress(text: string): void {
  if (Deno.stderr.isTerminal()) console.error(`… ${text}`);
}
