import type { Cli } from "../cli.ts";
import type { Database } from "../database.ts";
import { type Migration, pendingMigrations, readHistory } from "../history.ts";
import type { Step } from "../step.ts";

/** `supabase db push`: the migrations that are pending, each in a transaction of its own; never the seed. */
export function pushStep(cli: Cli, database: Database, migrations: Migration[]): Step {
  const pending = async () => pendingMigrations(migrations, await readHistory(database));
  return {
    name: "migrations",
    plan: async () => {
      const missing = await pending();
      if (missing.length === 0) return { nothing: `all ${migrations.length} are applied` };
      return {
        todo: `apply ${missing.length}: ${rangeOf(missing)}`,
        apply: async () => {
          const { remote, env } = database;
          await cli.run(["db", "push", `--remote=${remote}`, "--yes"], { env });
          const left = await pending();
          return `${missing.length - left.length} applied`;
        },
      };
    },
  };
}

function rangeOf(migrations: Migration[]): string {
  const [first, last] = [migrations[0], migrations.at(-1)];
  const nameOf = (one: Migration | undefined) => one ? `${one.version}_${one.name}` : "";
  return first === last ? nameOf(first) : `${nameOf(first)} … ${nameOf(last)}`;
}
