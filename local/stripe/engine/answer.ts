/** From stored objects to answers: `expand[]`, fields that appear only when expanded, and lists. */
import { invalid, missing } from "./errors.ts";
import type { Work } from "./work.ts";
import { type Kind, type Objects } from "./types.ts";
import { arr, int, type Param, range, type Shape, str, type Values } from "./params.ts";
import type { ListQuery, Scalar } from "./store.ts";

export interface ListOf<T> {
  object: "list";
  data: T[];
  has_more: boolean;
  url: string;
}
export function listOf<T>(data: T[], url: string, has_more = false): ListOf<T> {
  return { object: "list", data, has_more, url };
}

/** Per kind: fields holding an id that `expand[]` replaces by its object (dotted where nested). */
export type Expandable = Partial<Record<string, readonly string[]>>;
/** Per kind: fields absent from an answer until expanded. */
export type Includable = Partial<
  Record<string, Record<string, (work: Work, id: string) => unknown>>
>;

export interface Rendering {
  expandable: Expandable;
  includable: Includable;
}

type Node = Record<string, unknown>;
function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function expand(
  work: Work,
  tables: Rendering,
  answer: unknown,
  paths: readonly string[],
): unknown {
  if (paths.length === 0) return answer;
  const root: unknown = structuredClone(answer);
  for (const path of paths) {
    const steps = path.split(".");
    if (steps.filter((step) => step !== "data").length > 4) {
      throw invalid(`You cannot expand more than 4 levels of a property (${path}).`, "expand");
    }
    walk(work, { tables, path, kind: "", id: null, inside: "" }, root, steps);
  }
  return root;
}

/** Where a walk stands: `inside` is the dotted way from the nearest object (of `kind`, with `id`) down to the present hash. */
interface Place {
  tables: Rendering;
  path: string;
  kind: string;
  id: unknown;
  inside: string;
}

function walk(work: Work, from: Place, node: unknown, steps: string[]): void {
  if (Array.isArray(node)) return node.forEach((each) => walk(work, from, each, steps));
  const [step, ...rest] = steps;
  if (step === undefined || !isNode(node)) return;
  const place = typeof node.object === "string"
    ? { ...from, kind: node.object, id: node.id, inside: "" }
    : from;
  const field = place.inside + step;
  const isExpandable = place.tables.expandable[place.kind]?.includes(field) ?? false;
  const value = node[step];
  // A field that is there only sometimes, as a refund's `failure_balance_transaction`.
  if (value === undefined && isExpandable) return;
  if (value === undefined) {
    const include = place.tables.includable[place.kind]?.[field];
    if (!include || typeof place.id !== "string") throw notExpandable(place.path);
    node[step] = include(work, place.id);
  } else if (isExpandable) {
    node[step] = Array.isArray(value)
      ? value.map((id) => fetchById(work, id))
      : fetchById(work, value);
  } else if (
    value !== null &&
    (typeof value !== "object" || (rest.length === 0 && isNode(value) && !value.id))
  ) {
    throw notExpandable(place.path);
  }
  walk(work, { ...place, inside: `${field}.` }, node[step], rest);
}

function fetchById(work: Work, id: unknown): unknown {
  if (typeof id !== "string") return id;
  const found = work.store.sql("select data from objects where id = ?").get(id);
  if (found) return JSON.parse(String(found.data));
  const gone = work.store.sql("select kind from tombstones where id = ?").get(id);
  return gone ? { id, object: String(gone.kind), deleted: true } : id;
}

function notExpandable(path: string) {
  return invalid(`This property cannot be expanded (${path}).`, "expand");
}

/** A filter of a list: where it looks in the stored JSON, and how its value is read. */
export interface Filter {
  param: Param<string | number | boolean | null | undefined>;
  path: string;
}

export const pagination = {
  limit: int(1, 100),
  starting_after: str(),
  ending_before: str(),
  created: range(),
} satisfies Shape;

export function listPage<K extends Kind>(
  work: Work,
  kind: K,
  url: string,
  page: Values<typeof pagination>,
  query: Pick<ListQuery, "where" | "anyOf" | "above">,
): ListOf<Objects[K]> {
  if (page.starting_after !== undefined && page.ending_before !== undefined) {
    throw invalid(
      "You may only specify one of these parameters: ending_before, starting_after.",
      "ending_before",
    );
  }
  const found = work.store.list(kind, {
    ...query,
    account: work.account,
    created: page.created,
    after: page.starting_after,
    before: page.ending_before,
    limit: page.limit ?? 10,
  });
  const cursor = page.starting_after !== undefined ? "starting_after" : "ending_before";
  if (!found) throw missing(kind, page.starting_after ?? page.ending_before ?? "", cursor);
  return listOf(found.data, url, found.hasMore);
}

/** A list that is not a table of its own (lines of an invoice): the same cursors over an array. */
export function arrayPage<T extends { id: string }>(
  items: T[],
  url: string,
  page: { limit?: number; starting_after?: string; ending_before?: string },
): ListOf<T> {
  const size = page.limit ?? 10;
  const at = (id: string, param: string) => {
    const index = items.findIndex((item) => item.id === id);
    if (index < 0) throw missing("line item", id, param);
    return index;
  };
  if (page.ending_before !== undefined) {
    const end = at(page.ending_before, "ending_before");
    return listOf(items.slice(Math.max(0, end - size), end), url, end > size);
  }
  const start = page.starting_after === undefined
    ? 0
    : at(page.starting_after, "starting_after") + 1;
  return listOf(items.slice(start, start + size), url, items.length > start + size);
}

export const where = (values: Record<string, string | number | boolean | null | undefined>) => {
  const out: Record<string, Scalar> = {};
  for (const [path, value] of Object.entries(values)) {
    if (value !== undefined) out[path] = typeof value === "boolean" ? Number(value) : value;
  }
  return out;
};

export const expandParam = arr(str());
