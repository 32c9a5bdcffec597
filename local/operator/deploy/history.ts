import { createHash } from "node:crypto";
import { z } from "zod";
import { OperatorError } from "../project.ts";
import type { Database } from "./database.ts";

/** A migration of the checkout. */
export interface Migration {
  version: string;
  name: string;
  /** With `\n` for every end of line, whatever git made of it. */
  text: string;
}

/** A migration as the project remembers it: its statements by length (in characters) and MD5. */
const applied = z.object({
  version: z.string(),
  name: z.string().nullable(),
  statements: z.array(z.object({ length: z.number(), md5: z.string() })),
});
export type Applied = z.infer<typeof applied>;

const FILE = /^(\d{14})_([a-z0-9_]+)\.sql$/;

/** The migrations of a checkout in order. Throws for a name the CLI would not take, or would take in another order. */
export async function readMigrations(root: string): Promise<Migration[]> {
  const folder = `${root}/supabase/migrations`;
  const migrations: Migration[] = [];
  for await (const { name: file } of Deno.readDir(folder)) {
    if (!file.endsWith(".sql")) continue;
    const [, version, name] = FILE.exec(file) ?? [];
    if (version === undefined || name === undefined) {
      throw new OperatorError(`${file} is not named <14 digits>_<name>.sql.`);
    }
    const text = unified(await Deno.readTextFile(`${folder}/${file}`));
    migrations.push({ version, name, text });
  }
  if (migrations.length === 0) throw new OperatorError(`${folder} has no migrations.`);
  migrations.sort((one, other) => one.version < other.version ? -1 : 1);
  const twice = migrations.find(({ version }, index) => migrations[index + 1]?.version === version);
  if (twice) throw new OperatorError(`Two migrations have the version ${twice.version}.`);
  return migrations;
}

/** What the CLI wrote down when it applied them. A project that has none yet has no such table either. */
export async function readHistory(database: Database): Promise<Applied[]> {
  if (!(await database.has("supabase_migrations.schema_migrations"))) return [];
  return await database.read(
    applied,
    `select m.version, m.name, coalesce((
       select jsonb_agg(jsonb_build_object('length', length(s.text), 'md5', md5(s.text)) order by s.ordinality)
       from (select replace(t.value, E'\\r\\n', E'\\n') as text, t.ordinality
         from unnest(m.statements) with ordinality t (value, ordinality)) s
     ), '[]'::jsonb) as statements
     from supabase_migrations.schema_migrations m order by m.version`,
  );
}

/** The migrations still to be applied. Throws when the history is not the beginning of the checkout's. */
export function pendingMigrations(local: Migration[], history: Applied[]): Migration[] {
  const known = new Map(local.map((migration) => [migration.version, migration]));
  const foreign = history.filter(({ version }) => !known.has(version));
  if (foreign.length > 0) {
    throw new OperatorError(
      `The project has migrations that this checkout does not: ${
        foreign.map(({ version, name }) => `${version}_${name}`).join(", ")
      }. Deploy from the newer checkout.`,
    );
  }
  const edited = history.filter((one) => isEdited(one, known.get(one.version)));
  if (edited.length > 0) {
    throw new OperatorError(
      `Edited after they were applied: ${
        edited.map(({ version }) => fileOf(known.get(version), version)).join(", ")
      }. A change is a new migration; put these back as they were.`,
    );
  }
  const done = new Set(history.map(({ version }) => version));
  const pending = local.filter(({ version }) => !done.has(version));
  const newest = history.at(-1)?.version ?? "";
  const late = pending.filter(({ version }) => version < newest);
  if (late.length > 0) {
    throw new OperatorError(
      `Older than what is applied already (${newest}): ${
        late.map((one) => fileOf(one, one.version)).join(", ")
      }. Give them a newer version, so that every database gets them in the same order.`,
    );
  }
  return pending;
}

/** Whether a file is no longer what was applied: its statements, one after the other, with nothing but space between them. */
function isEdited({ name, statements }: Applied, migration: Migration | undefined): boolean {
  if (migration === undefined || (name !== null && name !== migration.name)) return true;
  // A history that was repaired by hand (`migration repair`) may have no statements to compare.
  if (statements.length === 0) return false;
  const text = Array.from(migration.text);
  let position = 0;
  for (const { length, md5 } of statements) {
    position = skipSpace(text, position);
    const statement = text.slice(position, position + length).join("");
    if (createHash("md5").update(statement).digest("hex") !== md5) return true;
    position += length;
  }
  return skipSpace(text, position) < text.length;
}

function skipSpace(text: readonly string[], from: number): number {
  let position = from;
  while (position < text.length && /[\s;]/.test(text[position] ?? "")) position += 1;
  return position;
}

function fileOf(migration: Migration | undefined, version: string): string {
  return migration ? `${version}_${migration.name}.sql` : version;
}

function unified(text: string): string {
  return text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
}
