import { createHash } from "node:crypto";
import { z } from "zod";
import { preparePlatform } from "../../platform.ts";
import { reservePorts } from "../../ports.ts";
import { startPostgres } from "../../postgres.ts";
import { JWT_SECRET } from "../../stack_options.ts";
import { Supervisor } from "../../supervisor.ts";
import { StartError } from "../../util.ts";
import { OperatorError } from "../project.ts";
import { adviceFor, describe } from "./advisors.ts";
import type { Cli } from "./cli.ts";
import { openDatabase, splitDatabaseUrl } from "./database.ts";
import type { Migration } from "./history.ts";

/** A scheduled job as the migrations make it. */
export const job = z.object({ jobname: z.string(), schedule: z.string(), command: z.string() });
export type Job = z.infer<typeof job>;

/** What the migrations make of an empty database. */
export interface Proof {
  jobs: Job[];
}

export const JOBS_SQL =
  "select jobname, schedule, command from cron.job where jobname like 'tollgate-%' order by jobname";

/** The same files prove the same thing: asked twice in one process, it is proved once. */
const proved = new Map<string, Promise<Proof>>();

/**
 * Applies every migration to an empty database of this machine, with the official CLI, and has the official advisors look at
 * what came out. Throws for a migration that fails and for advice of level `warn` or above.
 */
export function prove(cli: Cli, migrations: Migration[]): Promise<Proof> {
  const hash = createHash("sha256");
  for (const { version, name, text } of migrations) hash.update(`${version}_${name}\0${text}\0`);
  const key = hash.digest("hex");
  const known = proved.get(key);
  if (known) return known;
  const proof = proveAfresh(cli);
  proved.set(key, proof);
  proof.catch(() => proved.delete(key));
  return proof;
}

async function proveAfresh(cli: Cli): Promise<Proof> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-deploy-" });
  // Postgres may run as another user, who has to pass through.
  await Deno.chmod(dataDir, 0o755);
  try {
    const supervisor = await Supervisor.start(dataDir);
    const reserved = await reservePorts();
    try {
      const database = await startPostgres(
        { dataDir, port: reserved.ports.database, durable: false },
        supervisor,
      );
      try {
        await preparePlatform(database, JWT_SECRET);
        return await look(cli, database.url);
      } finally {
        await database.stop();
      }
    } finally {
      await supervisor.close();
      reserved.release();
    }
  } catch (error) {
    if (error instanceof StartError) throw new OperatorError(error.message);
    throw error;
  } finally {
    await Deno.remove(dataDir, { recursive: true }).catch(() => {});
  }
}

async function look(cli: Cli, url: string): Promise<Proof> {
  const { remote, env } = splitDatabaseUrl(`${url}?sslmode=disable`);
  await cli.run(["db", "push", `--remote=${remote}`, "--yes"], { env });
  const database = openDatabase(cli, remote, env);
  const advice = await adviceFor(cli, database);
  if (advice.length > 0) {
    throw new OperatorError(`The advisors are not content:\n${advice.map(describe).join("\n")}`);
  }
  return { jobs: await database.read(job, JOBS_SQL) };
}
