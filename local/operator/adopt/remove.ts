import { OperatorError } from "../project.ts";
import { downMigration } from "./down.ts";
import { hashOf, readExact, removeEmptyFolders } from "./files.ts";
import { knownFiles, MANIFEST, readManifest, withoutOurs } from "./manifest.ts";
import { refuseLinks, type Target, versionsAfter } from "./target.ts";

export interface Removal {
  /** Below `supabase/`. */
  files: string[];
  /** Were changed since, and stay. */
  kept: string[];
  folders: string[];
  /** Null: our part was changed, and stays. */
  config: string | null;
  down: { path: string; text: string };
  /** Versions of our migrations. */
  versions: string[];
}

export async function planRemoval(
  target: Target,
  options: { dropData: boolean; now: Date },
): Promise<Removal> {
  const { supabase } = target;
  const manifest = await readManifest(supabase);
  if (!manifest) {
    throw new OperatorError(`There is no supabase/${MANIFEST}: Tollgate is not in this project.`);
  }
  const paths = [...knownFiles(manifest).keys(), ...manifest.folders];
  await refuseLinks(target.root, paths.map((path) => `supabase/${path}`));
  const [files, kept]: [string[], string[]] = [[], []];
  for (const { path, hashes } of knownFiles(manifest).values()) {
    const present = await readExact(`${supabase}/${path}`);
    if (present === null) continue;
    if (hashes.has(await hashOf(present))) files.push(path);
    else kept.push(path);
  }
  const versions = [...knownFiles(manifest).values()].flatMap(({ path, source }) =>
    source === undefined ? [] : /^migrations\/(\d+)_/.exec(path)?.[1] ?? []
  ).sort();
  const newest = [...target.versions, ...versions].sort().at(-1) ?? null;
  const [version = ""] = versionsAfter(newest, options.now, 1);
  return {
    files,
    kept,
    folders: manifest.folders,
    config: withoutOurs(target.config, manifest),
    down: {
      path: `migrations/${version}_remove_tollgate.sql`,
      text: downMigration(manifest.schema, options),
    },
    versions,
  };
}

export async function applyRemoval({ supabase }: Target, removal: Removal): Promise<void> {
  const { files, folders, config, down } = removal;
  await Deno.writeTextFile(`${supabase}/${down.path}`, down.text);
  if (config !== null) await Deno.writeTextFile(`${supabase}/config.toml`, config);
  for (const path of files) await Deno.remove(`${supabase}/${path}`);
  // Last, so that whoever is interrupted can be gone on with.
  await Deno.remove(`${supabase}/${MANIFEST}`);
  await removeEmptyFolders(supabase, folders);
}
