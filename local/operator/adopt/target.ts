import { exists } from "../../util.ts";
import { SUPABASE } from "../../paths.ts";
import { OperatorError } from "../project.ts";
import { parseConfig } from "./config.ts";
import { linksAmong, listFiles, listFolders, readExact } from "./files.ts";
import { MANIFEST } from "./manifest.ts";
import type { Ours } from "./ours.ts";
import { type Naming, SHARED } from "./rewrite.ts";

/** Another Supabase project on this machine. */
export interface Target {
  root: string;
  /** Its folder `supabase`. */
  supabase: string;
  config: string;
  /** Versions (times) of its migrations. */
  versions: string[];
}

export async function openTarget(path: string): Promise<Target> {
  const root = await Deno.realPath(path).catch(() => {
    throw new OperatorError(`${path} is not there.`);
  });
  const supabase = `${root}/supabase`;
  const ways = ["config.toml", MANIFEST, "functions", "migrations"];
  await refuseLinks(root, ["supabase", ...ways.map((way) => `supabase/${way}`)]);
  const config = await readExact(`${supabase}/config.toml`);
  if (config === null) {
    throw new OperatorError(
      `${path} is no Supabase project: it has no supabase/config.toml. \`supabase init\` makes one.`,
    );
  }
  if (supabase === await Deno.realPath(SUPABASE)) {
    throw new OperatorError("That is Tollgate itself.");
  }
  const migrations = await listFiles(`${supabase}/migrations`);
  const versions = migrations.flatMap((name) => /^(\d+)_[^/]*\.sql$/.exec(name)?.[1] ?? []);
  return { root, supabase, config, versions: versions.sort() };
}

/** We write and delete in the project, and a link may lead out of it. */
export async function refuseLinks(root: string, paths: string[]): Promise<void> {
  const links = await linksAmong(root, paths);
  if (links.length === 0) return;
  throw new OperatorError(
    "Nothing was done. Symbolic links, through which nothing is written or deleted, are where ours would be:\n" +
      links.map((link) => `  ${link}`).join("\n"),
  );
}

/** Everything of the project that has a name we need, in sentences. */
export async function findClashes(target: Target, ours: Ours, naming: Naming): Promise<string[]> {
  return [
    ...await functionClashes(target, ours, naming),
    ...await schemaClashes(target, naming),
  ];
}

async function functionClashes(
  { supabase, config }: Target,
  ours: Ours,
  { prefix }: Naming,
): Promise<string[]> {
  const folders = await listFolders(`${supabase}/functions`);
  const sections = Object.keys(parseConfig(config).functions ?? {});
  const taken = ours.functions.filter((name) => folders.includes(name) || sections.includes(name));
  const clashes = taken.map((name) => `the function ${name}`);
  if (clashes.length > 0) {
    const other = prefix === "" ? "tollgate-" : `${prefix}billing-`;
    clashes.push(`(--prefix ${other} gives ours other names)`);
  }
  if (folders.includes(SHARED)) clashes.push(`the folder supabase/functions/${SHARED}`);
  return clashes;
}

async function schemaClashes({ supabase }: Target, { schema }: Naming): Promise<string[]> {
  const names = [schema, "billing", "billing_months"];
  const made = new RegExp(
    String.raw`\bcreate\s+schema\s+(?:if\s+not\s+exists\s+)?"?(${names.join("|")})"?(?![\w"])`,
    "gi",
  );
  const clashes: string[] = [];
  const files = (await listFiles(supabase)).filter((path) =>
    path.endsWith(".sql") && !path.startsWith("functions/")
  );
  for (const path of files) {
    for (const [, name = ""] of (await readExact(`${supabase}/${path}`) ?? "").matchAll(made)) {
      const way = name.toLowerCase() === schema ? "; --schema takes another name" : "";
      clashes.push(`the schema ${name} (made in supabase/${path}${way})`);
    }
  }
  return clashes;
}

/** So many versions behind the newest one and not before this moment, a second apart. */
export function versionsAfter(newest: string | null, now: Date, count: number): string[] {
  const present = versionOf(now);
  let start = now.getTime();
  if (newest !== null && newest >= present) {
    const time = timeOf(newest);
    if (time === null) {
      throw new OperatorError(
        `The newest migration of the project, ${newest}, is no time, so nothing can be placed behind it.`,
      );
    }
    start = time + 1000;
  }
  return Array.from({ length: count }, (_, index) => versionOf(new Date(start + index * 1000)));
}

function versionOf(time: Date): string {
  return time.toISOString().replace(/\D/g, "").slice(0, 14);
}

function timeOf(version: string): number | null {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(version)?.slice(1).map(Number);
  if (!parts) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  return versionOf(new Date(time)) === version ? time : null;
}

export async function isThere({ supabase }: Target, path: string): Promise<boolean> {
  return await exists(`${supabase}/${path}`);
}
