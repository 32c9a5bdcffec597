import { MARKER, Supervisor } from "./supervisor.ts";
import type { Terminal } from "./terminal.ts";
import { exists, StartError } from "./util.ts";

/** Removes the data directory. Only one that was made by us: TOLLGATE_DATA_DIR may point anywhere. */
export async function reset(dataDir: string, terminal: Terminal): Promise<number> {
  if (!(await exists(dataDir))) {
    terminal.line(`Nothing to remove: there is no ${dataDir}.`);
    return 0;
  }
  if (!(await exists(`${dataDir}/${MARKER}`))) {
    throw new StartError(`${dataDir} was not made by Tollgate, so it is left alone.`);
  }
  // Refuses while it runs, and ends what a crashed run may have left before its files disappear.
  const supervisor = await Supervisor.start(dataDir);
  // Removed under the lock, so that no start can slip in between.
  await Deno.remove(dataDir, { recursive: true });
  await supervisor.close();
  terminal.line(`Removed ${dataDir}. The next \`npm start\` begins anew.`);
  return 0;
}
