import { z } from "zod";
import { OperatorError } from "../project.ts";
import { readExact } from "./files.ts";
import { isPrefix, isSchemaName } from "./rewrite.ts";

/** What we put into another project, kept there: so that it can be renewed, and taken out again without touching anything else. */
const manifest = z.strictObject({
  tollgate: z.string(),
  // Anybody who may write to the project may have written it, and --remove makes SQL and paths of it.
  schema: z.string().refine(isSchemaName, "is no name that --schema takes"),
  prefix: z.string().refine(isPrefix, "is no prefix that --prefix takes"),
  /** Below `supabase/`, with the hash of what was written. */
  files: z.array(z.strictObject({
    path: z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "leaves the folder"),
    sha256: z.string(),
    /** Of a migration: which of ours it is. */
    source: z.string().optional(),
  })),
  /** Folders that were not there. */
  folders: z.array(z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "leaves the folder")),
  config: z.array(z.strictObject({ from: z.string(), to: z.string() })),
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

export function manifestText(value: Manifest): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
