import type { ProjectConfig } from "../config.ts";
import { migrate, writeVaultSecrets } from "../migrate.ts";
import type { Ports } from "../env.ts";
import type { Database } from "../postgres.ts";
import type { Supervisor } from "../supervisor.ts";
import { StartError, until, writeAtomically } from "../util.ts";
import { SupabaseCli } from "./cli.ts";
import { bridgeAddress, requireDocker } from "./docker.ts";
import { startRelay } from "./relay.ts";
import { parseStatus, portSettings, type RuntimeName, RUNTIMES, type Status } from "./runtime.ts";

/** The official CLI's own stack in the place of the embedded one: Postgres, Auth, REST, pg_cron, pg_net, Vault and Edge Functions. */
export type SupabaseOptions = {
  runtime: RuntimeName;
  ports: Ports;
  dataDir: string;
  config: ProjectConfig;
  /** Removes the data when it is stopped, as for a test. */
  discard: boolean;
  log: (line: string) => void;
};

export type Supabase = Status & {
  database: Database;
  /** The name by which functions reach the servers of this machine. */
  hostName: string;
  serveFunctions: (env: Record<string, string>, supervisor: Supervisor) => Promise<void>;
  stop: () => Promise<void>;
};

/** The first start fetches images or programs, which takes minutes. What fails says so in the CLI's own words. */
export async function startSupabase(options: SupabaseOptions): Promise<Supabase> {
  const { ports, dataDir, config, log } = options;
  const runtime = RUNTIMES[options.runtime];
  if (options.runtime === "docker") await requireDocker();
  const cli = await SupabaseCli.open(runtime, portSettings(ports), log);
  const stops: (() => Promise<unknown> | void)[] = [
    () => cli.run(options.discard ? runtime.discard : runtime.stop, { quiet: true }),
  ];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    await cli.run(runtime.start);
    const status = parseStatus(await cli.run(runtime.status, { quiet: true }));
    checkAddresses(status, ports);
    // `start` migrates an empty database only.
    const database = databaseOf(status);
    await migrate({ database, dataDir, config, log });
    await writeVaultSecrets(database, {
      project_url: runtime.projectUrl(status.apiUrl),
      secret_key: status.secretKey,
    });
    return {
      ...status,
      database,
      hostName: runtime.hostName,
      stop,
      serveFunctions: async (env, supervisor) => {
        if (options.runtime === "docker") stops.push(...await letContainersIn(ports));
        stops.push(await serve(cli, status, env, options, supervisor));
      },
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** As the embedded one is seen: its owner does what here the superuser does, as on a hosted project. */
function databaseOf({ dbUrl }: Status): Database {
  return {
    port: Number(new URL(dbUrl).port),
    url: dbUrl,
    adminUrl: dbUrl,
    urlFor: (role) => {
      const url = new URL(dbUrl);
      url.username = role;
      return url.href;
    },
    major: 17,
    // The CLI restarts it by itself.
    exited: new Promise(() => {}),
    stop: async () => {},
  };
}

export async function discardSupabase(
  name: RuntimeName,
  ports: Ports,
  log: (line: string) => void,
): Promise<void> {
  const runtime = RUNTIMES[name];
  if (name === "docker") await requireDocker();
  const cli = await SupabaseCli.open(runtime, portSettings(ports), log);
  await cli.run(runtime.discard);
}

/** A stack that somebody started with other settings goes on with those: then nothing here would fit. */
function checkAddresses({ apiUrl, dbUrl }: Status, ports: Ports): void {
  const found = [apiUrl, dbUrl].map((url) => Number(new URL(url).port));
  if (found[0] === ports.api && found[1] === ports.database) return;
  throw new StartError(
    `The official CLI's stack is on the ports ${found.join(" and ")}, not on ${ports.api} and ` +
      `${ports.database}. Stop it (\`npx supabase stop\`) and start again.`,
  );
}

async function letContainersIn(ports: Ports): Promise<(() => void)[]> {
  if (Deno.build.os !== "linux") return [];
  const address = await bridgeAddress();
  if (address === null) return [];
  return [ports.stripe, ports.smtp].flatMap((port) => {
    const relay = startRelay(address, port);
    return relay ? [() => relay.stop()] : [];
  });
}

/** `functions serve` loads a function again when its file changes, and prints what it logs. */
async function serve(
  cli: SupabaseCli,
  { apiUrl }: Status,
  env: Record<string, string>,
  { dataDir, log }: SupabaseOptions,
  supervisor: Supervisor,
): Promise<() => Promise<void>> {
  const file = `${dataDir}/run/functions.env`;
  await writeAtomically(file, dotenv(env));
  const child = await supervisor.spawn({
    name: "functions",
    command: cli.binary,
    args: cli.arguments(["functions", "serve", "--env-file", file]),
    env: cli.env,
    signal: "SIGINT",
    onLine: (line) => {
      if (line.trim() !== "") log(`functions: ${line}`);
    },
  });
  await until(() => answers(apiUrl), {
    timeoutMs: 180_000,
    everyMs: 250,
    stopWhen: () =>
      child.code() === null
        ? null
        : "`supabase functions serve` ended while starting; see the terminal.",
  });
  return async () => {
    await child.stop(15_000);
    await Deno.remove(file).catch(() => {});
  };
}

/** A preflight reaches the function itself; until there is one, the gateway answers 502 or 503. */
async function answers(apiUrl: string): Promise<void> {
  const response = await fetch(`${apiUrl}/functions/v1/sync`, {
    method: "OPTIONS",
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  if (response.status >= 500 || response.status === 404) {
    throw new StartError(`The functions answer ${response.status}.`);
  }
}

/** The CLI gives its own SUPABASE_… and passes over ours. Between single quotes nothing has a meaning. */
export function dotenv(env: Record<string, string>): string {
  return Object.entries(env).filter(([name]) => !name.startsWith("SUPABASE_"))
    .map(([name, value]) => {
      if (/['\r\n]/.test(value)) throw new StartError(`${name} has a quote or a line end in it.`);
      return `${name}='${value}'\n`;
    }).join("");
}
