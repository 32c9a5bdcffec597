import { tmpdir } from "node:os";
import { type Ports, portsFrom } from "./env.ts";
import { canListen, portOwner } from "./process_table.ts";
import { StartError } from "./util.ts";

export type ReservedPorts = { ports: Ports; release: () => void };

const LOWEST = 20_000;
/** Below Linux's range for outgoing connections, where the kernel could hand one of ours out. */
const HIGHEST = 32_000;
const ATTEMPTS = 200;
/** More than a stack needs, so that two never touch. */
const STEP = 8;

/**
 * Six free ports in a row for a stack that does not care which. A lock file in the system's temporary folder keeps two test runs
 * from choosing the same ones between looking and listening.
 */
export async function reservePorts(): Promise<ReservedPorts> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const base = LOWEST + STEP * Math.floor(Math.random() * ((HIGHEST - LOWEST) / STEP));
    const lock = await tryReserve(base);
    if (!lock) continue;
    const ports = portsFrom(base);
    if (Object.values(ports).every(canListen)) return { ports, release: () => lock.close() };
    lock.close();
  }
  throw new StartError(`No six free ports in a row between ${LOWEST} and ${HIGHEST}.`);
}

async function tryReserve(base: number): Promise<{ close: () => void } | null> {
  const path = `${tmpdir()}/tollgate-ports-${Deno.uid()}-${base}`;
  try {
    const file = await Deno.open(path, { create: true, read: true, write: true });
    const locked = await file.tryLock(true);
    // Whoever had it before removed the file on release: a lock on a file that is no longer there protects nothing.
    if (locked && (await Deno.stat(path)).ino === (await file.stat()).ino) {
      return {
        close: () => {
          Deno.removeSync(path);
          file.close();
        },
      };
    }
    file.close();
  } catch {
    // Somebody else's file: another number will do.
  }
  return null;
}

/** Fails with a sentence naming who has which port. */
export async function checkPorts(ports: Partial<Ports>): Promise<void> {
  const taken: string[] = [];
  for (const [name, port] of Object.entries(ports)) {
    const owner = await portOwner(port);
    if (owner) taken.push(`Port ${port} (${name}) is taken by ${owner}.`);
  }
  if (taken.length === 0) return;
  throw new StartError(
    `${
      taken.join("\n")
    }\nStop that program, or start Tollgate elsewhere: TOLLGATE_PORT_BASE=4000 npm start`,
  );
}
