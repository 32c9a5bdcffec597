import { z } from "zod";
import { OperatorError } from "../project.ts";
import { BEGIN, undoEdits } from "./config.ts";
import { readExact } from "./files.ts";
import { isPrefix, isSchemaName } from "./rewrite.ts";

const state = {
  /** Below `supabase/`, with the hash of what was written. */
  files: z.array(z.strictObject({
    path: z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "leaves the folder"),
    sha256: z.string(),
    /** Of a migration: which of ours it is. */
    source: z.string().optional(),
  })),
  config: z.array(z.strictObject({ from: z.string(), to: z.string() })),
};

/** What we put into another project, kept there: so that it can be renewed, and taken out again without touching anything else. */
const manifest = z.strictObject({
  tollgate: z.string(),
  // Anybody who may write to the project may have written it, and --remove makes SQL and paths of it.
  schema: z.string().refine(isSchemaName, "is no name that --schema takes"),
  prefix: z.string().refine(isPrefix, "is no prefix that --prefix takes"),
  ...state,
  /** Folders that were not there. */
  folders: z.array(z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "leaves the folder")),
  /** While files are being written: what may still be there instead. */
  previous: z.array(z.strictObject(state)).optional(),
});

export type Manifest = z.infer<typeof manifest>;
export type ManifestFile = Manifest["files"][number];

export const MANIFEST = "tollgate.json";

export async function readManifest(supabase: string): Promise<Manifest | null> {
  const text = await readExact(`${supabase}/${MANIFEST}`);
  if (text === null) return null;
  try {
    return manifest.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new OperatorError(`supabase/${MANIFEST} of the project cannot be read: ${why}`);
  }
}

interface Known {
  path: string;
  source: string | undefined;
  /** Of everything that we may have left there. */
  hashes: Set<string>;
}

/** Every file that is ours, also from before a run that was interrupted. */
export function knownFiles(value: Manifest | null): Map<string, Known> {
  const known = new Map<string, Known>();
  for (const { files } of statesOf(value)) {
    for (const { path, source, sha256 } of files) {
      const file = known.get(path) ?? { path, source, hashes: new Set() };
      known.set(path, { ...file, hashes: file.hashes.add(sha256) });
    }
  }
  return known;
}

/** config.toml without ours; null when ours is not in it as it was made. */
export function withoutOurs(text: string, value: Manifest): string | null {
  for (const { config } of statesOf(value)) {
    const base = undoEdits(text, config);
    if (base !== null && !base.includes(BEGIN)) return base;
  }
  return null;
}

export function statesOf(value: Manifest | null): Pick<Manifest, "files" | "config">[] {
  return value ? [{ files: value.files, config: value.config }, ...value.previous ?? []] : [];
}

export function manifestText(value: Manifest): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
