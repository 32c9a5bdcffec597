/**
 * `deno run -A supabase/tests/schema.ts` writes what is generated from the finished schema: supabase/schema.sql and
 * supabase/functions/_shared/database.types.ts. It starts a stack of its own, so it sees the migrations and nothing else.
 */
import { cliBinary, cliEnvironment } from "../../local/migrate.ts";
import { NODE_MODULES, ROOT } from "../../local/paths.ts";
import { startStack } from "../../local/stack.ts";

export const SCHEMA_FILE = `${ROOT}/supabase/schema.sql`;
export const TYPES_FILE = `${ROOT}/supabase/functions/_shared/database.types.ts`;

const HEADER =
  `-- Generated from the migrations by \`deno run -A supabase/tests/schema.ts\`; a test fails when it drifts.
-- To read, not to run: objects stand in the order of their names.
`;

/** What the platform brings before the first migration is not ours to write down. */
const PLATFORM = /^cluster\/extensions\/|^schemas\/public\/schema\.sql$/;

/** Partitions come and go with the months. */
const MONTHS = /^schemas\/billing_months\/tables\//;

/** The finished schema as SQL, from the engine the official CLI compares schemas with (pg-delta). */
export async function dumpSchema(dbUrl: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "tollgate-schema-" });
  try {
    await run("node", [
      `${NODE_MODULES}/.bin/pgdelta`,
      "schema",
      "export",
      ...["--source", dbUrl],
      ...["--out-dir", folder],
      ...["--layout", "by-object"],
      ...["--profile", "supabase"],
    ]);
    const names = (await listFiles(folder)).filter((name) =>
      !PLATFORM.test(name) && !MONTHS.test(name)
    ).sort();
    const parts = await Promise.all(names.map(async (name) => {
      const text = await Deno.readTextFile(`${folder}/${name}`);
      return `\n-- ${name.replace(/^schemas\//, "").replace(/\.sql$/, "")}\n\n${text.trim()}\n`;
    }));
    return HEADER + parts.join("");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The types of the API, as `supabase gen types` prints them. */
export async function generateTypes(dbUrl: string): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "tollgate-cli-" });
  try {
    const args = ["gen", "types", "typescript", "--schema", "public", `--remote=${dbUrl}`];
    // Loopback has no TLS, and the CLI would say so in the middle of the types.
    const env = { ...cliEnvironment(home), PGSSLMODE: "disable" };
    return (await run(await cliBinary(), args, env)).trimStart();
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function listFiles(folder: string, prefix = ""): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
    if (entry.isDirectory) names.push(...await listFiles(folder, `${prefix}${entry.name}/`));
    else if (entry.name.endsWith(".sql")) names.push(`${prefix}${entry.name}`);
  }
  return names;
}

async function run(
  command: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const result = await new Deno.Command(command, { args, env, stdin: "null" }).output();
  const decoder = new TextDecoder();
  if (!result.success) {
    throw new Error(`${command} ${args[0]} failed:\n${decoder.decode(result.stderr)}`);
  }
  return decoder.decode(result.stdout);
}

if (import.meta.main) {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-schema-" });
  const stack = await startStack({
    dataDir,
    web: false,
    functions: false,
    cron: false,
    durable: false,
  });
  try {
    await Deno.writeTextFile(SCHEMA_FILE, await dumpSchema(stack.dbUrl));
    await Deno.writeTextFile(TYPES_FILE, await generateTypes(stack.dbUrl));
  } finally {
    await stack.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
  Deno.exit(0);
}
