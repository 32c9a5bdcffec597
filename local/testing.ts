import { preparePlatform } from "./platform.ts";
import { reservePorts } from "./ports.ts";
import { connect, type Database, type PostgresOptions, startPostgres } from "./postgres.ts";
import { JWT_SECRET } from "./stack_options.ts";
import { Supervisor } from "./supervisor.ts";
import { sleep } from "./util.ts";

/** For the tests of this folder: a database as the platform prepares it, without the rest of a stack. */
export async function startTestDatabase(options: Partial<PostgresOptions> = {}) {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-db-" });
  await Deno.chmod(dataDir, 0o755);
  const supervisor = await Supervisor.start(dataDir);
  const reserved = await reservePorts();
  const database: Database = await startPostgres(
    { dataDir, port: reserved.ports.database, durable: false, ...options },
    supervisor,
  );
  await preparePlatform(database, JWT_SECRET);
  const sql = connect(database.url, { max: 4 });
  return {
    database,
    sql,
    supervisor,
    dataDir,
    stop: async () => {
      await sql.end({ timeout: 1 });
      await database.stop();
      await supervisor.close();
      reserved.release();
      await Deno.remove(dataDir, { recursive: true });
    },
  };
}

/** Asks until the answer is neither null nor false, at most `timeoutMs`. */
export async function eventually<T>(
  ask: () => Promise<T | null | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (true) {
    const answer = await ask();
    if (answer !== null && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`still not so after ${timeoutMs} ms`);
    await sleep(50);
  }
}
