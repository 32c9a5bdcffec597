import { isDeepStrictEqual } from "node:util";
import { parse } from "smol-toml";
import { z } from "zod";
import { OperatorError } from "../project.ts";
import { SHARED } from "./rewrite.ts";

/**
 * What we need in the other project's config.toml, put in as text, so that comments and layout stay, and judged by reading the
 * result: it must be what was there and ours, and nothing else. Pure.
 */
export interface Edit {
  from: string;
  to: string;
}

export interface Wanted {
  schema: string;
  functions: string[];
}

export const BEGIN =
  "# Tollgate: what `npm run adopt` put here, and takes out again with --remove.";
const END = "# Tollgate ends here.";
const DEFAULT_SCHEMAS = ["public", "graphql_public"];

const known = z.looseObject({
  api: z.looseObject({ schemas: z.array(z.string()).optional() }).optional(),
  functions: z.record(z.string(), z.looseObject({})).optional(),
});

export function parseConfig(text: string): z.infer<typeof known> {
  try {
    return known.parse(parse(text.replace(/^\uFEFF/, "")));
  } catch (error) {
    throw new OperatorError(
      `supabase/config.toml of the project cannot be read: ${firstLine(error)}`,
    );
  }
}

/** The edits that put it in, in the order in which they are made. */
export function editsFor(text: string, wanted: Wanted): Edit[] {
  const before = parseConfig(text);
  const schemas = before.api?.schemas ?? DEFAULT_SCHEMAS;
  const block: string[] = [];
  const edits: Edit[] = [];
  if (!schemas.includes(wanted.schema)) {
    const edit = schemasEdit(text, schemas, wanted.schema);
    if (edit) edits.push(edit);
    else block.push("[api]", schemasLine([...schemas, wanted.schema]), "");
  }
  for (const name of wanted.functions) {
    block.push(`[functions.${name}]`, "verify_jwt = false");
    block.push(`import_map = "./functions/${SHARED}/deno.json"`, "");
  }
  edits.push({ from: "", to: ["", BEGIN, "", ...block, END, ""].join("\n") });
  check(before, applyEdits(text, edits), wanted, schemas);
  return edits;
}

/** Puts the schema into the list where it stands; null when there is no table [api] to put it in. */
function schemasEdit(text: string, schemas: string[], schema: string): Edit | null {
  const head = /^\uFEFF?\[api\][^\n]*$/m.exec(text);
  if (!head) return null;
  const rest = text.slice(head.index + head[0].length);
  const section = rest.slice(0, /^\[/m.exec(rest)?.index ?? rest.length);
  const list = /^schemas[ \t]*=[ \t]*\[[^\]]*\]/m.exec(section)?.[0];
  if (list === undefined) {
    const line = head[0].replace(/\r$/, "");
    return { from: line, to: `${line}\n${schemasLine([...schemas, schema])}` };
  }
  const inside = list.slice(0, -1);
  const elements = inside.trimEnd();
  const comma = /[[,]$/.test(elements) ? "" : ",";
  const space = inside.slice(elements.length);
  const gap = space.includes("\n") ? /\n[ \t]*(?=["'])/.exec(inside)?.[0] ?? " " : " ";
  const added = `${elements}${comma}${elements.endsWith("[") && gap === " " ? "" : gap}`;
  return { from: list, to: `${added}"${schema}"${space}]` };
}

function schemasLine(schemas: string[]): string {
  return `schemas = [${schemas.map((name) => JSON.stringify(name)).join(", ")}]`;
}

function check(
  before: z.infer<typeof known>,
  text: string,
  { schema, functions }: Wanted,
  schemas: string[],
): void {
  const expected = structuredClone(before);
  expected.api = {
    ...expected.api,
    ...(schemas.includes(schema) ? {} : { schemas: [...schemas, schema] }),
  };
  const map = `./functions/${SHARED}/deno.json`;
  const added = functions.map((name) => [name, { verify_jwt: false, import_map: map }]);
  expected.functions = { ...expected.functions, ...Object.fromEntries(added) };
  let result: unknown = null;
  try {
    result = parse(text.replace(/^\uFEFF/, ""));
  } catch {
    // Judged below like any other result that is not the expected one.
  }
  if (!isDeepStrictEqual(plain(result), plain(expected))) {
    throw new OperatorError(
      "supabase/config.toml of the project is written in a way that this command cannot add to. Write the tables as " +
        `[api] with schemas = […], and [functions.<name>]; or add "${schema}" to api.schemas yourself and try again.`,
    );
  }
}

/** smol-toml's objects have no prototype. */
function plain(value: unknown): unknown {
  return value === null ? null : JSON.parse(JSON.stringify(value));
}

export function applyEdits(text: string, edits: Edit[]): string {
  return edits.reduce((result, { from, to }) => {
    if (from === "") return result + to;
    // Not a string: that would give $& and the like a meaning.
    return result.replace(from, () => to);
  }, text);
}

/** The text without these edits, or null when they are not in it as they were made. */
export function undoEdits(text: string, edits: Edit[]): string | null {
  let result = text;
  for (const { from, to } of edits.toReversed()) {
    if (result.split(to).length !== 2) return null;
    result = result.replace(to, () => from);
  }
  return result;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
