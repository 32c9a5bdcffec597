import { SUPABASE } from "../../paths.ts";
import { listFiles, readExact } from "./files.ts";
import { type Naming, rewriteSql, rewriteTypeScript, schemaMigration, SHARED } from "./rewrite.ts";

/** The demo's assistant: the application that takes Tollgate in has a chat of its own. */
const LEFT_OUT = ["reply"];
const CHAT = "chat/";

export interface Migration {
  /** What it is called here, without the time: the same for ever. */
  source: string;
  text: string;
}

export interface Ours {
  functions: string[];
  /** Path below the project's `supabase/` → text. */
  files: Map<string, string>;
  /** In the order in which they run. */
  migrations: Migration[];
}

/** Everything that goes into the other project, as it is there. */
export async function readOurs(naming: Naming): Promise<Ours> {
  const paths = (await listFiles(`${SUPABASE}/functions`)).filter((path) =>
    !path.endsWith(".test.ts")
  );
  const names = [...new Set(paths.map((path) => path.split("/")[0] ?? ""))]
    .filter((name) => !name.startsWith("_") && !name.includes(".") && !LEFT_OUT.includes(name));
  const files = new Map<string, string>();
  for (const path of paths) {
    const target = targetOf(path, names, naming);
    if (target === null) continue;
    const text = await read(`functions/${path}`);
    files.set(target, path.endsWith(".ts") ? rewriteTypeScript(text, naming) : text);
  }
  const migrations = [{ source: "schema", text: schemaMigration(naming) }];
  for (const file of await listFiles(`${SUPABASE}/migrations`)) {
    const source = /^(\d{14}_.+)\.sql$/.exec(file)?.[1];
    if (source === undefined) continue;
    migrations.push({ source, text: rewriteSql(await read(`migrations/${file}`), naming) });
  }
  return { functions: names.map((name) => `${naming.prefix}${name}`), files, migrations };
}

function targetOf(path: string, names: string[], { prefix }: Naming): string | null {
  if (path === "deno.json") return `functions/${SHARED}/deno.json`;
  const [folder = "", ...rest] = path.split("/");
  const inside = rest.join("/");
  if (folder === "_shared") return inside.startsWith(CHAT) ? null : `functions/${SHARED}/${inside}`;
  return names.includes(folder) ? `functions/${prefix}${folder}/${inside}` : null;
}

async function read(path: string): Promise<string> {
  const text = await readExact(`${SUPABASE}/${path}`);
  if (text === null) throw new Error(`${path} has gone`);
  return text;
}
