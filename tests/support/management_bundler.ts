import { posix } from "node:path";
import { z } from "zod";

/** What Supabase does with uploaded sources before they can go live, as far as it can be told without doing it. */

const metadataOf = z.object({
  name: z.string(),
  verify_jwt: z.boolean().default(true),
  entrypoint_path: z.string(),
  import_map_path: z.string(),
});
export type Metadata = z.infer<typeof metadataOf>;

export async function readUpload(form: FormData) {
  const [files, text] = [new Map<string, string>(), form.get("metadata")];
  for (const part of form.getAll("file")) {
    if (part instanceof File) files.set(part.name, await part.text());
  }
  const json = text instanceof File ? await text.text() : text ?? "null";
  return { metadata: metadataOf.parse(JSON.parse(json)), files };
}

/** What a bundler that has only these files would stumble over. Imports of types alone are nothing to it. */
export function bundleProblems(
  { entrypoint_path, import_map_path }: Metadata,
  files: Map<string, string>,
) {
  const map = z.object({ imports: z.record(z.string(), z.string()) })
    .safeParse(JSON.parse(files.get(import_map_path) ?? "null"));
  if (!map.success) return [`${import_map_path} was not uploaded, or is no import map`];
  const problems: string[] = [];
  const queue = [entrypoint_path];
  const seen = new Set(queue);
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const text = files.get(path);
    if (text === undefined) {
      problems.push(`${path} was not uploaded`);
      continue;
    }
    for (const specifier of importsOf(text)) {
      if (!specifier.startsWith(".")) {
        if (!(specifier in map.data.imports)) problems.push(`${path}: ${specifier} is unknown`);
        continue;
      }
      const target = posix.join(posix.dirname(path), specifier);
      if (!seen.has(target)) queue.push(target);
      seen.add(target);
    }
  }
  return problems;
}

const IMPORT = /^\s*(?:import|export)\s+(?!type\b)[^;"']*?from\s+["']([^"']+)["']/gm;

function importsOf(text: string): string[] {
  return Array.from(text.matchAll(IMPORT), ([, specifier]) => specifier ?? "");
}
