import { connect, type Database } from "./postgres.ts";
import type { ProjectConfig } from "./config.ts";
import { NODE_MODULES, ROOT, SUPABASE } from "./paths.ts";
import { exists, readTextIfAny, StartError } from "./util.ts";

/**
 * Applies migrations and seed with the official CLI, exactly as for a hosted project. The CLI takes a second even when there is
 * nothing to do, so what it would compare is compared here first.
 */
export type MigrateOptions = {
  database: Database;
  dataDir: string;
  config: ProjectConfig;
  log: (line: string) => void;
};

/** Returns how many migrations and seeds the CLI was called for. */
export async function migrate(options: MigrateOptions): Promise<number> {
  const pending = await countPending(options);
  if (pending === 0) return 0;
  await push(options);
  return pending;
}

async function countPending({ database, config, log }: MigrateOptions): Promise<number> {
  const files = await migrationVersions();
  const seeds = await seedHashes(config);
  const sql = connect(database.adminUrl, { max: 1 });
  try {
    const applied = new Set(await columnOf(sql, "schema_migrations", "version"));
    const seeded = new Set(await columnOf(sql, "seed_files", "hash"));
    const unknown = [...applied].filter((version) => !files.includes(version));
    if (unknown.length > 0) {
      log(
        `The database has migrations this checkout does not: ${
          unknown.join(", ")
        }. \`npm run reset\` starts over.`,
      );
    }
    return files.filter((version) => !applied.has(version)).length +
      seeds.filter((hash) => !seeded.has(hash)).length;
  } finally {
    await sql.end({ timeout: 2 });
  }
}

async function columnOf(
  sql: ReturnType<typeof connect>,
  table: string,
  column: string,
): Promise<string[]> {
  const [row] = await sql<{ there: boolean }[]>`
    select to_regclass(${`supabase_migrations.${table}`}) is not null as there`;
  if (!row?.there) return [];
  const rows = await sql<{ value: string }[]>`
    select ${sql(column)} as value from ${sql(`supabase_migrations.${table}`)}`;
  return rows.map((one) => one.value);
}

async function migrationVersions(): Promise<string[]> {
  if (!(await exists(`${SUPABASE}/migrations`))) return [];
  const versions: string[] = [];
  for await (const entry of Deno.readDir(`${SUPABASE}/migrations`)) {
    const version = /^(\d+)_.*\.sql$/.exec(entry.name)?.[1];
    if (version !== undefined) versions.push(version);
  }
  return versions;
}

async function seedHashes({ db }: ProjectConfig): Promise<string[]> {
  if (!db.seed.enabled) return [];
  const hashes: string[] = [];
  for (const path of db.seed.sql_paths) {
    const text = await readTextIfAny(`${SUPABASE}/${path.replace(/^\.\//, "")}`);
    if (text === null) continue;
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    hashes.push(
      [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    );
  }
  return hashes;
}

async function push({ database, dataDir, log }: MigrateOptions): Promise<void> {
  const home = `${dataDir}/cache/cli`;
  await Deno.mkdir(home, { recursive: true });
  const result = await new Deno.Command(await cliBinary(), {
    args: ["db", "push", "--include-seed", "--yes", "--workdir", ROOT, `--remote=${database.url}`],
    cwd: ROOT,
    env: cliEnvironment(home),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(result.stdout) + new TextDecoder().decode(result.stderr);
  for (const line of text.split("\n")) {
    if (line.startsWith("Applying migration") || line.startsWith("Seeding data")) log(line.trim());
  }
  if (!result.success) {
    throw new StartError(`Migrations or seed were refused (supabase db push):\n${text.trim()}`);
  }
}

/** What every call of the official CLI gets: no telemetry, no look for updates, no file in the person's home. */
export function cliEnvironment(home: string): Record<string, string> {
  return {
    HOME: home,
    SUPABASE_HOME: `${home}/.supabase`,
    SUPABASE_TELEMETRY_DISABLED: "1",
    SUPABASE_NO_UPDATE_NOTIFIER: "1",
    DO_NOT_TRACK: "1",
    NO_COLOR: "1",
    CI: "1",
  };
}

/** The binary itself where npm put it: its JavaScript shim only finds and starts it, 50 ms later. */
export async function cliBinary(): Promise<string> {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const binary = `${NODE_MODULES}/@supabase/cli-${Deno.build.os}-${arch}/bin/supabase${suffix}`;
  return await exists(binary) ? binary : `${NODE_MODULES}/.bin/supabase`;
}

/** What the scheduled functions need from the Vault; written at every start, since the addresses may have moved. */
export async function writeVaultSecrets(
  database: Database,
  secrets: Record<string, string>,
): Promise<void> {
  const sql = connect(database.adminUrl, { max: 1 });
  try {
    for (const [name, value] of Object.entries(secrets)) {
      const [known] = await sql<{ id: string; value: string }[]>`
        select id, decrypted_secret as value from vault.decrypted_secrets where name = ${name}`;
      if (!known) await sql`select vault.create_secret(${value}, ${name})`;
      else if (known.value !== value) await sql`select vault.update_secret(${known.id}, ${value})`;
    }
  } finally {
    await sql.end({ timeout: 2 });
  }
}
