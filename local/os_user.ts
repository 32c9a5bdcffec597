import { readTextIfAny, StartError } from "./util.ts";

/**
 * Postgres refuses to run as root. Started by root, it runs as `postgres` (or `nobody`), and since the data directory may lie
 * under a folder that user cannot enter (/root is 0700), it keeps the single capability that lets it pass: CAP_DAC_OVERRIDE as
 * an ambient capability, which survives the change of user and the exec. access(2), by which Postgres examines its own binaries,
 * forgets capabilities of an ordinary user unless the securebit no_setuid_fixup says otherwise.
 */
export type OsUser = {
  /** Put before a command line so that it runs as this user; empty when we are that user already. */
  prefix: string[];
  owner: { uid: number; gid: number } | null;
};

export async function postgresUser(): Promise<OsUser> {
  if (Deno.uid() !== 0) return { prefix: [], owner: null };
  const owner = await lookUp("postgres") ?? await lookUp("nobody");
  if (!owner) {
    throw new StartError(
      "Postgres does not run as root, and this system has neither a user `postgres` nor `nobody`. Run Tollgate as an ordinary user.",
    );
  }
  const plain = ["setpriv", "--reuid", `${owner.uid}`, "--regid", `${owner.gid}`, "--clear-groups"];
  const through = [
    ...plain,
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
  ];
  // A container may have dropped the capability; then the path must be open to the user by its permissions.
  for (const prefix of [through, plain]) if (await works(prefix)) return { prefix, owner };
  throw new StartError(
    "Postgres does not run as root, and `setpriv` (package util-linux) could not switch to another user. Run Tollgate as an ordinary user.",
  );
}

async function works(prefix: string[]): Promise<boolean> {
  const [command, ...args] = prefix;
  if (command === undefined) return true;
  try {
    const { success } = await new Deno.Command(command, {
      args: [...args, "true"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function lookUp(name: string): Promise<{ uid: number; gid: number } | null> {
  for (const line of (await readTextIfAny("/etc/passwd") ?? "").split("\n")) {
    const [user, , uid, gid] = line.split(":");
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/** Process groups, signals and /bin/sh are what the promise rests on that nothing survives a stop: Windows itself has none of them. */
export function requireKnownPlatform(system: string = Deno.build.os): void {
  if (system === "linux" || system === "darwin") return;
  const way = system === "windows"
    ? "Run it in WSL 2 (`wsl --install`), with the checkout in WSL's own file system."
    : "It runs on Linux (glibc) and macOS.";
  throw new StartError(`The local platform does not run on ${system} itself. ${way}`);
}
