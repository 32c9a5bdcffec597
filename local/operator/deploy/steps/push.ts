import { OperatorError } from "../../project.ts";
import type { Cli } from "../cli.ts";
import type { Database } from "../database.ts";
import { type Migration, pendingMigrations, readHistory } from "../history.ts";
import type { Step } from "../step.ts";

/** `supabase db push`: the migrations that are pending, each in a transaction of its own; never the seed. */
export function pushStep(
  cli: Cli,
  database: Database,
  { migrations, pending }: { migrations: Migration[]; pending: Migration[] },
): Step {
  return {
    name: "migrations",
    // The check has just looked at the project's history, and refused what does not fit it.
    plan: () => {
      if (pending.length === 0) {
        return Promise.resolve({ nothing: `all ${migrations.length} are applied` });
      }
      return Promise.resolve({
        todo: `apply ${pending.length}: ${rangeOf(pending)}`,
        apply: async () => {
          const { remote, env } = database;
          await cli.run(["db", "push", `--remote=${remote}`, "--yes"], { env });
          const left = pendingMigrations(migrations, await readHistory(database));
          if (left.length > 0) throw new OperatorError(`Not applied: ${rangeOf(left)}.`);
          return `${pending.length} applied`;
        },
      });
    },
  };
}

function rangeOf(migrations: Migration[]): string {
  const [first, last] = [migrations[0], migrations.at(-1)];
  const nameOf = (one: Migration | undefined) => one ? `${one.version}_${one.name}` : "";
  return first === last ? nameOf(first) : `${nameOf(first)} … ${nameOf(last)}`;
}
