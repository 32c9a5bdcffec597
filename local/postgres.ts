import postgres from "postgres";
import { type OsUser, postgresUser } from "./os_user.ts";
import { type Binaries, embeddedBinaries, systemBinaries } from "./postgres_binaries.ts";
import type { Child, Supervisor } from "./supervisor.ts";
import { exists, messageOf, readTextIfAny, StartError, until } from "./util.ts";

export type PostgresOptions = {
  dataDir: string;
  port: number;
  /** fsync on, as for data somebody wants to keep; tests turn it off. */
  durable: boolean;
  /** A system's own binaries instead of the embedded ones, e.g. /usr/lib/postgresql/15/bin. */
  binDir?: string;
  /** shared_preload_libraries, e.g. "pg_cron" where the real one is installed. */
  preload?: string;
};

export type Database = {
  port: number;
  /** As the ordinary owner of the database, which is what migrations and applications use. */
  url: string;
  /** As the superuser, which only the platform itself uses. */
  adminUrl: string;
  urlFor: (role: string) => string;
  major: number;
  exited: Promise<unknown>;
  stop: () => Promise<void>;
};

export const PASSWORD = "postgres";

/** Initialises the cluster when there is none and starts it; resolves when it answers queries. */
export async function startPostgres(
  options: PostgresOptions,
  supervisor: Supervisor,
): Promise<Database> {
  const [user, binaries] = await Promise.all([postgresUser(), findBinaries(options)]);
  const cluster = `${options.dataDir}/postgres`;
  await checkVersion(cluster, binaries.major);
  if (!(await exists(`${cluster}/PG_VERSION`))) await initialise(cluster, binaries, user, options);
  const urlFor = (role: string) =>
    `postgresql://${role}:${PASSWORD}@127.0.0.1:${options.port}/postgres`;
  const child = await launch(cluster, binaries, user, options, supervisor);
  await answers(urlFor("supabase_admin"), child, options);
  return {
    port: options.port,
    url: urlFor("postgres"),
    adminUrl: urlFor("supabase_admin"),
    urlFor,
    major: binaries.major,
    exited: child.exited,
    stop: () => child.stop(10_000),
  };
}

async function findBinaries(options: PostgresOptions): Promise<Binaries> {
  return options.binDir
    ? await systemBinaries(options.binDir, options.preload, `${options.dataDir}/system-postgres`)
    : await embeddedBinaries();
}

async function checkVersion(cluster: string, major: number): Promise<void> {
  const found = (await readTextIfAny(`${cluster}/PG_VERSION`))?.trim();
  if (found !== undefined && found !== String(major)) {
    throw new StartError(
      `${cluster} was made by Postgres ${found}, and this is Postgres ${major}. \`npm run reset\` starts over.`,
    );
  }
}

async function initialise(
  cluster: string,
  { bin, major }: Binaries,
  user: OsUser,
  { dataDir }: PostgresOptions,
): Promise<void> {
  // Built beside its place and moved there whole: an initdb that was interrupted never looks like a cluster.
  const fresh = `${cluster}.new`;
  await Deno.remove(fresh, { recursive: true }).catch(() => {});
  const passwordFile = `${dataDir}/run/initdb-password`;
  await Deno.mkdir(fresh, { mode: 0o700 });
  await Deno.writeTextFile(passwordFile, PASSWORD, { mode: 0o600 });
  if (user.owner) {
    for (const path of [fresh, passwordFile]) {
      await Deno.chown(path, user.owner.uid, user.owner.gid);
    }
  }
  const locale = major >= 17
    ? ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    : ["--locale=C.UTF-8"];
  const [command = "", ...args] = [
    ...user.prefix,
    `${bin}/initdb`,
    `--pgdata=${fresh}`,
    "--username=supabase_admin",
    "--auth=scram-sha-256",
    `--pwfile=${passwordFile}`,
    "--encoding=UTF8",
    "--no-sync",
    "--no-instructions",
    ...locale,
  ];
  const result = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  })
    .output();
  await Deno.remove(passwordFile).catch(() => {});
  if (!result.success) {
    const text = new TextDecoder().decode(result.stderr).trim();
    throw new StartError(`initdb failed:\n${text}`);
  }
  await Deno.rename(fresh, cluster);
}

function settings({ port, durable, preload }: PostgresOptions): Record<string, string> {
  return {
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "250",
    shared_buffers: "128MB",
    timezone: "UTC",
    log_timezone: "UTC",
    log_line_prefix: "%m [%p] %q%u@%d ",
    jit: "off",
    max_wal_senders: "0",
    wal_level: "minimal",
    checkpoint_timeout: "15min",
    fsync: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
    synchronous_commit: durable ? "on" : "off",
    ...(preload ? { shared_preload_libraries: preload } : {}),
    ...(preload?.includes("pg_cron")
      // Background workers, because a libpq connection would need a password file.
      ? {
        "cron.database_name": "postgres",
        "cron.use_background_workers": "on",
        "cron.timezone": "UTC",
      }
      : {}),
  };
}

async function launch(
  cluster: string,
  { bin }: Binaries,
  user: OsUser,
  options: PostgresOptions,
  supervisor: Supervisor,
): Promise<Child> {
  await Deno.mkdir(`${options.dataDir}/logs`, { recursive: true });
  const flags = Object.entries(settings(options)).flatMap((
    [name, value],
  ) => ["-c", `${name}=${value}`]);
  // The shell opens the log before the change of user, and exec makes Postgres the very process the supervisor knows.
  return await supervisor.spawn({
    name: "postgres",
    command: "/bin/sh",
    args: [
      "-c",
      'log=$1; shift; exec "$@" >>"$log" 2>&1',
      "sh",
      `${options.dataDir}/logs/postgres.log`,
      ...user.prefix,
      `${bin}/postgres`,
      "-D",
      cluster,
      ...flags,
    ],
    // The locale of whoever starts it must not matter.
    env: { LC_ALL: "C", LANG: "C" },
    signal: "SIGINT",
    scope: "process",
  });
}

async function answers(url: string, child: Child, { dataDir }: PostgresOptions): Promise<void> {
  try {
    await until(() => ping(url), {
      timeoutMs: 30_000,
      everyMs: 20,
      stopWhen: () => child.code() === null ? null : "Postgres ended while starting.",
    });
  } catch (error) {
    const log = await readTextIfAny(`${dataDir}/logs/postgres.log`) ?? "";
    const tail = log.trimEnd().split("\n").slice(-8).join("\n");
    throw new StartError(`${messageOf(error)} The end of ${dataDir}/logs/postgres.log:\n${tail}`);
  }
}

async function ping(url: string): Promise<void> {
  const sql = connect(url, { max: 1, connect_timeout: 5 });
  try {
    await sql`select 1`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A small pool for the platform's own work. Notices are the database's chatter, not ours. */
export function connect(
  url: string,
  options: postgres.Options<Record<string, postgres.PostgresType>> = {},
): postgres.Sql {
  return postgres(url, { max: 2, idle_timeout: 60, onnotice: () => {}, ...options });
}
