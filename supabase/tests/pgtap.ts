import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { embeddedBinaries } from "../../local/postgres_binaries.ts";

/** Runs pgTAP files without pg_prove or psql, which the embedded Postgres does not bring. */

export interface TapResult {
  /** Descriptions of the assertions that held. */
  passed: string[];
  /** Assertions that did not hold, with their diagnostics. */
  failed: string[];
}

const PGTAP_TARBALL = new URL(
  "../../node_modules/@electric-sql/pglite-pgtap/dist/pgtap.tar.gz",
  import.meta.url,
);

/** The superuser of a local stack: pgTAP is not a trusted extension. */
export function adminUrl(dbUrl: string): string {
  const url = new URL(dbUrl);
  url.username = "supabase_admin";
  return url.href;
}

/** Makes pgTAP available for the time of `work`, and leaves the database as it was. */
export async function withPgTap<T>(dbUrl: string, work: () => Promise<T>): Promise<T> {
  const admin = postgres(adminUrl(dbUrl), { max: 1, onnotice: () => {} });
  try {
    const [known] = await admin`
      select installed_version from pg_available_extensions where name = 'pgtap'`;
    if (!known) await placePgTap();
    if (known?.installed_version) return await work();
    await admin`create extension pgtap with schema extensions`;
    try {
      return await work();
    } finally {
      await admin`drop extension pgtap`;
    }
  } finally {
    await admin.end({ timeout: 5 });
  }
}

/** Debian has a package for it; beside the embedded Postgres goes the copy that comes from npm. */
async function placePgTap(): Promise<void> {
  const { extensionDir } = await embeddedBinaries();
  const folder = await Deno.makeTempDir({ prefix: "tollgate-pgtap-" });
  try {
    const tar = new Deno.Command("tar", {
      args: ["-xzf", fileURLToPath(PGTAP_TARBALL), "-C", folder],
    });
    if (!(await tar.output()).success) throw new Error("the pgTAP archive could not be unpacked");
    const from = `${folder}/share/postgresql/extension`;
    const version = /default_version = '([^']+)'/
      .exec(await Deno.readTextFile(`${from}/pgtap.control`))?.[1];
    for (const name of [`pgtap--${version}.sql`, "pgtap.control"]) {
      await Deno.copyFile(`${from}/${name}`, `${extensionDir}/${name}`);
      await Deno.chmod(`${extensionDir}/${name}`, 0o644);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs one file as the owner of the database. A file that breaks off counts as one failure. */
export async function runTapFile(dbUrl: string, path: URL): Promise<TapResult> {
  const text = await readWithIncludes(path);
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} });
  try {
    const results = await sql.unsafe(text).simple();
    const values = results.flatMap((result) => Array.isArray(result) ? result : [result])
      .flatMap((row: Record<string, unknown>) => Object.values(row));
    return parseTap(values.filter((value) => typeof value === "string"));
  } catch (error) {
    return { passed: [], failed: [describe(error, text)] };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** psql's `\ir file` on a line of its own, relative to the file it stands in. What is included includes nothing. */
async function readWithIncludes(path: URL): Promise<string> {
  const lines = (await Deno.readTextFile(path)).split("\n");
  const read = await Promise.all(lines.map((line) => {
    const included = /^\\ir (\S+)$/.exec(line)?.[1];
    return included === undefined ? line : Deno.readTextFile(new URL(included, path));
  }));
  return read.join("\n");
}

function describe(error: unknown, text: string): string {
  if (!(error instanceof postgres.PostgresError)) return String(error);
  const line = text.slice(0, Number(error.position ?? 0)).split("\n").length;
  return `broke off at line ${line}: ${error.message} (${error.code})`;
}

/** TAP as pgTAP prints it: https://testanything.org/tap-specification.html */
export function parseTap(values: string[]): TapResult {
  const result: TapResult = { passed: [], failed: [] };
  let planned: number | null = null;
  for (const line of values.flatMap((value) => value.split("\n"))) {
    const test = /^(not )?ok \d+(?: - (.*))?$/.exec(line);
    if (test) result[test[1] ? "failed" : "passed"].push(test[2] ?? "");
    else if (/^1\.\.\d+$/.test(line)) planned = Number(line.slice(3));
    else if (line.startsWith("#") && result.failed.length > 0) {
      result.failed[result.failed.length - 1] += `\n${line}`;
    }
  }
  const ran = result.passed.length + result.failed.length;
  if (planned !== ran) result.failed.push(`planned ${planned} tests and ran ${ran}`);
  return result;
}
