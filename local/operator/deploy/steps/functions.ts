import { z } from "zod";
import { OperatorError } from "../../project.ts";
import type { Cli } from "../cli.ts";
import { type Database, literal } from "../database.ts";
import type { FunctionsToDeploy, LocalFunction } from "../functions.ts";
import type { Release } from "../release.ts";
import type { Plan, Step } from "../step.ts";
import { list } from "../target.ts";

/** A function as the project has it. */
const remote = z.object({
  slug: z.string(),
  status: z.string(),
  version: z.number(),
  verify_jwt: z.boolean().nullish(),
  entrypoint_path: z.string().nullish(),
  import_map: z.boolean().nullish(),
});
type Remote = z.infer<typeof remote>;

const deployment = z.object({
  fingerprint: z.string(),
  functions: z.record(z.string(), z.number()),
});

/**
 * `supabase functions deploy`, bundled by Supabase, so that no Docker is needed. When one is refused, the CLI makes the others
 * live all the same (3.1.0; seen in tests), so nothing is written down then and the next run uploads all again. What was deployed
 * is written into `billing.deployments` with the versions the project gave; so a run that finds the same sources here and the
 * same versions there has nothing to do, and one that finds what somebody deployed by hand puts it right.
 */
export function functionsStep(
  cli: Cli,
  database: Database,
  ref: string,
  { functions, fingerprint }: FunctionsToDeploy,
  release: Release,
): Step {
  const slugs = functions.map(({ slug }) => slug);
  const lookUp = async () =>
    z.array(remote).parse(await cli.json(["functions", "list", `--remote=${ref}`]));
  return {
    name: "functions",
    plan: async (): Promise<Plan> => {
      const [there, last] = [await lookUp(), await lastDeployment(database)];
      const wrong = differences(functions, there);
      const same = last?.fingerprint === fingerprint && wrong.length === 0 &&
        there.every(({ slug, version }) =>
          !slugs.includes(slug) || last.functions[slug] === version
        );
      if (same) return { nothing: `all ${slugs.length} are there, from these sources` };
      return {
        todo: `upload ${slugs.length}: ${list(slugs)}`,
        apply: async () => {
          await cli.run(
            ["functions", "deploy", ...slugs, "--use-api", `--remote=${ref}`, "--yes"],
          );
          const now = await lookUp();
          const left = differences(functions, now);
          if (left.length > 0) throw new OperatorError(left.join("\n"));
          await remember(database, release, fingerprint, now, slugs);
          return `${slugs.length} uploaded${leftovers(last?.functions ?? {}, slugs, now)}`;
        },
      };
    },
  };
}

/** How the project's functions differ from config.toml; empty when they do not. */
function differences(functions: LocalFunction[], there: Remote[]): string[] {
  const known = new Map(there.map((one) => [one.slug, one]));
  return functions.flatMap(({ slug, verifyJwt }) => {
    const one = known.get(slug);
    if (one === undefined) return [`${slug} is not there`];
    if (one.status !== "ACTIVE") return [`${slug} is ${one.status}`];
    if ((one.verify_jwt ?? true) !== verifyJwt) {
      return [`${slug} has verify_jwt = ${one.verify_jwt}, config.toml says ${verifyJwt}`];
    }
    return one.import_map === false ? [`${slug} has no import map`] : [];
  });
}

/** Functions that an earlier deployment brought and this checkout no longer has. They are never deleted from here. */
function leftovers(before: Record<string, number>, slugs: string[], now: Remote[]): string {
  const old = now.map(({ slug }) => slug)
    .filter((slug) => slug in before && !slugs.includes(slug));
  return old.length === 0
    ? ""
    : `\nno longer in this checkout, and still there: ${list(old)} (supabase functions delete)`;
}

async function lastDeployment(database: Database) {
  // Before the first push there is no such table.
  if (!(await database.has("billing.deployments"))) return undefined;
  const [last] = await database.read(
    deployment,
    "select fingerprint, functions from billing.deployments order by id desc limit 1",
  );
  return last;
}

async function remember(
  database: Database,
  { version, commit }: Release,
  fingerprint: string,
  now: Remote[],
  slugs: string[],
): Promise<void> {
  const versions = Object.fromEntries(
    now.filter(({ slug }) => slugs.includes(slug)).map(({ slug, version }) => [slug, version]),
  );
  await database.write(
    `insert into billing.deployments (version, commit, fingerprint, functions) values (${
      literal(version)
    }, ${commit === null ? "null" : literal(commit)}, ${literal(fingerprint)}, ${
      literal(JSON.stringify(versions))
    }::jsonb)`,
  );
}
