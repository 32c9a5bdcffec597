import { writeAtomically } from "../../util.ts";
import { OperatorError } from "../project.ts";
import { applyEdits, editsFor } from "./config.ts";
import { hashOf, missingFolders, readExact } from "./files.ts";
import {
  knownFiles,
  MANIFEST,
  type Manifest,
  type ManifestFile,
  manifestText,
  readManifest,
  statesOf,
  withoutOurs,
} from "./manifest.ts";
import { type Ours, readOurs } from "./ours.ts";
import { isPrefix, isSchemaName, type Naming } from "./rewrite.ts";
import { findClashes, refuseLinks, type Target, versionsAfter } from "./target.ts";

export interface Wishes {
  schema: string | undefined;
  prefix: string | undefined;
  now: Date;
  /** Version of Tollgate. */
  tollgate: string;
}

export interface Change {
  path: string;
  change: "create" | "update" | "keep" | "delete";
  text: string;
}

export interface Adoption {
  naming: Naming;
  changes: Change[];
  folders: string[];
  /** The manifest while files are written: it knows what was there as well as what will be. */
  during: string | null;
}

interface Desired {
  path: string;
  text: string;
  source?: string;
}

const DEFAULTS: Naming = { schema: "tollgate", prefix: "" };

/** What would be done to the project; refuses, naming everything that is in the way, before anything is done. */
export async function planAdoption(target: Target, wishes: Wishes): Promise<Adoption> {
  const manifest = await readManifest(target.supabase);
  const naming = namingOf(wishes, manifest);
  const ours = await readOurs(naming);
  if (manifest === null) refuse("is in the way", await findClashes(target, ours, naming));
  const desired = desiredFiles(target, ours, manifest, wishes.now);
  await refuseLinks(
    target.root,
    [...desired, ...knownFiles(manifest).values()].map(({ path }) => `supabase/${path}`),
  );
  const changes = await compare(target, desired, manifest);
  const { edits, text: config } = withOurs(target, ours, naming, manifest);
  const kept = config === target.config;
  changes.push({ path: "config.toml", change: kept ? "keep" : "update", text: config });
  const folders = await missingFolders(target.supabase, desired.map(({ path }) => path));
  const next: Manifest = {
    tollgate: wishes.tollgate,
    ...naming,
    files: await Promise.all(desired.map((file) => recorded(file, manifest))),
    folders: [...new Set([...manifest?.folders ?? [], ...folders])].sort(),
    config: edits,
  };
  const text = manifestText(next);
  const present = await readExact(`${target.supabase}/${MANIFEST}`);
  const change = present === null ? "create" : present === text ? "keep" : "update";
  const writes = change !== "keep" && changes.some((one) => one.change !== "keep");
  const previous = manifest ? statesOf(manifest) : [{ files: [], config: [] }];
  return {
    naming,
    changes: [...changes, { path: MANIFEST, change, text }],
    folders,
    // So that whoever is interrupted can go on, or take it back.
    during: writes ? manifestText({ ...next, previous }) : null,
  };
}

/** config.toml with ours in it, from what it is without. */
function withOurs(target: Target, ours: Ours, { schema }: Naming, manifest: Manifest | null) {
  const base = manifest ? withoutOurs(target.config, manifest) : target.config;
  if (base === null) throw refusal("was changed since", ["our part of supabase/config.toml"]);
  const edits = editsFor(base, { schema, functions: ours.functions });
  return { edits, text: applyEdits(base, edits) };
}

function namingOf({ schema, prefix }: Wishes, manifest: Manifest | null): Naming {
  const naming = {
    schema: schema ?? manifest?.schema ?? DEFAULTS.schema,
    prefix: prefix ?? manifest?.prefix ?? DEFAULTS.prefix,
  };
  if (manifest && (manifest.schema !== naming.schema || manifest.prefix !== naming.prefix)) {
    throw new OperatorError(
      `Tollgate is there already, with the schema ${manifest.schema} and the prefix "${manifest.prefix}". ` +
        "--remove it first to give it others.",
    );
  }
  if (!isSchemaName(naming.schema)) {
    throw new OperatorError(
      `--schema ${naming.schema}: a name of its own, in small letters, digits and underscores. ` +
        "What is in public is the application's, and Supabase and Postgres have theirs.",
    );
  }
  if (!isPrefix(naming.prefix)) {
    throw new OperatorError(
      `--prefix ${naming.prefix}: small letters, digits and a hyphen behind.`,
    );
  }
  return naming;
}

function desiredFiles(
  target: Target,
  ours: Ours,
  manifest: Manifest | null,
  now: Date,
): Desired[] {
  const known = new Map(manifest?.files.map(({ source, path }) => [source, path]));
  const fresh = ours.migrations.filter(({ source }) => !known.has(source));
  const versions = versionsAfter(target.versions.at(-1) ?? null, now, fresh.length);
  const paths = new Map(fresh.map(({ source }, index) => {
    const concern = source.replace(/^\d{14}_/, "");
    return [source, `migrations/${versions[index]}_tollgate_${concern}.sql`];
  }));
  return [
    ...[...ours.files].map(([path, text]) => ({ path, text })),
    ...ours.migrations.map(({ source, text }) => ({
      path: known.get(source) ?? paths.get(source) ?? "",
      text,
      source,
    })),
  ];
}

async function compare(
  { supabase }: Target,
  desired: Desired[],
  manifest: Manifest | null,
): Promise<Change[]> {
  const changes: Change[] = [];
  const [taken, edited]: [string[], string[]] = [[], []];
  const known = knownFiles(manifest);
  for (const { path, text, source } of desired) {
    const present = await readExact(`${supabase}/${path}`);
    const before = known.get(path);
    if (present === null) changes.push({ path, change: "create", text });
    else if (present === text) changes.push({ path, change: "keep", text });
    else if (!before) taken.push(`the file supabase/${path}`);
    else if (!before.hashes.has(await hashOf(present))) edited.push(`supabase/${path}`);
    // A migration that may have run stays what it was; what is new comes in a new one.
    else {changes.push({
        path,
        change: source === undefined ? "update" : "keep",
        text: source === undefined ? text : present,
      });}
  }
  const wanted = new Set(desired.map(({ path }) => path));
  for (const { path, hashes, source } of known.values()) {
    if (wanted.has(path) || source !== undefined) continue;
    const present = await readExact(`${supabase}/${path}`);
    if (present === null) continue;
    if (hashes.has(await hashOf(present))) changes.push({ path, change: "delete", text: "" });
    else edited.push(`supabase/${path}`);
  }
  refuse("is in the way", taken);
  refuse("was changed since it was put there", edited);
  return changes;
}

async function recorded(
  { path, text, source }: Desired,
  manifest: Manifest | null,
): Promise<ManifestFile> {
  const before = source === undefined
    ? undefined
    : manifest?.files.find((file) => file.source === source);
  return before ?? { path, sha256: await hashOf(text), ...(source !== undefined && { source }) };
}

function refuse(why: string, what: string[]): void {
  if (what.length > 0) throw refusal(why, what);
}

function refusal(why: string, what: string[]): OperatorError {
  const list = what.map((one) => `  ${one}`).join("\n");
  return new OperatorError(`Nothing was done. In the project ${why}:\n${list}`);
}

export async function applyAdoption(target: Target, adoption: Adoption): Promise<void> {
  const { changes, folders, during } = adoption;
  if (during !== null) await writeAtomically(`${target.supabase}/${MANIFEST}`, during, 0o644);
  for (const folder of folders) await Deno.mkdir(`${target.supabase}/${folder}`);
  for (const { path, change, text } of changes) {
    if (change === "delete") await Deno.remove(`${target.supabase}/${path}`);
    else if (change !== "keep") await Deno.writeTextFile(`${target.supabase}/${path}`, text);
  }
}
