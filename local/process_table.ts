import { readTextIfAny } from "./util.ts";

/**
 * What the operating system says about processes and ports. Linux is read from /proc; elsewhere `ps` answers, and the owner
 * of a port stays unknown rather than being guessed.
 */

export type ProcessIdentity = { pid: number; startedAt: string; command: string };

/** Null when there is no such process (or only its zombie). The start time guards against a reused pid. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  if (Deno.build.os !== "linux") return await identifyByPs(pid);
  const stat = await readTextIfAny(`/proc/${pid}/stat`).catch(() => null);
  if (stat === null) return null;
  // The second field is the name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return null;
  const command = await commandLine(pid);
  return { pid, startedAt: fields[19] ?? "", command };
}

export async function isSameProcess(recorded: ProcessIdentity): Promise<boolean> {
  const now = await identify(recorded.pid);
  return now !== null && now.startedAt === recorded.startedAt;
}

async function commandLine(pid: number): Promise<string> {
  const raw = await readTextIfAny(`/proc/${pid}/cmdline`).catch(() => null);
  return (raw ?? "").split("\0").join(" ").trim();
}

async function identifyByPs(pid: number): Promise<ProcessIdentity | null> {
  const { success, stdout } = await new Deno.Command("ps", {
    args: ["-o", "lstart=,command=", "-p", String(pid)],
    stderr: "null",
  }).output();
  const line = new TextDecoder().decode(stdout).trim();
  if (!success || line === "") return null;
  return { pid, startedAt: line.slice(0, 24), command: line.slice(24).trim() };
}

/** "pid 123 (node server.js)" for whoever listens on the port, null when nobody does, "another program" when it cannot be told. */
export async function portOwner(port: number): Promise<string | null> {
  if (canListen(port)) return null;
  if (Deno.build.os !== "linux") return "another program";
  const inode = await listeningInode(port);
  const pid = inode === null ? null : await pidHolding(inode);
  if (pid === null) return "another program";
  // Folders tell a person little and take the room of what does: "node vite.js --port 3000".
  const command = (await commandLine(pid)).replace(/(^|\s)\/\S*\//g, "$1");
  return `pid ${pid} (${command.length > 80 ? `${command.slice(0, 79)}…` : command})`;
}

export function canListen(port: number): boolean {
  try {
    Deno.listen({ port, hostname: "127.0.0.1" }).close();
    return true;
  } catch {
    return false;
  }
}

async function listeningInode(port: number): Promise<string | null> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readTextIfAny(table).catch(() => null);
    for (const line of (text ?? "").split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === "0A" && local?.endsWith(`:${wanted}`)) return inode ?? null;
    }
  }
  return null;
}

async function pidHolding(inode: string): Promise<number | null> {
  const target = `socket:[${inode}]`;
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    if (await holds(entry.name, target)) return Number(entry.name);
  }
  return null;
}

async function holds(pid: string, target: string): Promise<boolean> {
  try {
    for await (const descriptor of Deno.readDir(`/proc/${pid}/fd`)) {
      const link = await Deno.readLink(`/proc/${pid}/fd/${descriptor.name}`).catch(() => null);
      if (link === target) return true;
    }
  } catch {
    // Somebody else's process: not ours to look into.
  }
  return false;
}
