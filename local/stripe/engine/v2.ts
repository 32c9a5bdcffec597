/**
 * What is different about `/v2`: JSON bodies, `include` instead of `expand`, pages by URL, and errors with a code of
 * their own. https://docs.stripe.com/api-v2-overview
 */
import { invalid, StripeError } from "./errors.ts";
import type { Param, Raw } from "./params.ts";
import { arr, int, isRecord, str } from "./params.ts";
import type { ListQuery, Store } from "./store.ts";
import type { Kind, Objects } from "./types.ts";

export const isV2 = (path: string) => path.startsWith("/v2/");

export function v2Error(status: number, code: string, message: string): StripeError {
  return new StripeError(status, { code, message });
}

/** Stripe's sentence about a field that cannot be read, with the field in front. */
export function invalidField(path: string, why: string): StripeError {
  const field = path.replaceAll(/\[([^\]\d][^\]]*)\]/g, ".$1");
  return v2Error(
    400,
    "invalid_fields",
    `Some fields in the request were invalid: '${field}: ${why}'`,
  );
}

const WHY: Record<string, string> = {
  parameter_missing: "Field is required.",
  parameter_unknown: "Unknown field.",
};

/** The tables of parameters are those of `/v1`; what they refuse is said in the words of `/v2`. */
export function toV2(error: StripeError): StripeError {
  const { type, code, param, message } = error.body;
  if (type !== "invalid_request_error") return error;
  if (error.status === 404) return v2Error(404, "not_found", message);
  if (error.status !== 400 || param === undefined) return error;
  return invalidField(param, WHY[code ?? ""] ?? message);
}

export function decodeJson(text: string): { [key: string]: Raw } {
  if (text === "") return {};
  const body = parse(text);
  if (!isRecord(body)) throw v2Error(400, "invalid_fields", "The request body must be JSON.");
  return body;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const word = <const V extends string>(...values: V[]): Param<V | undefined> => ({
  read(raw, path) {
    if (raw === undefined) return undefined;
    const found = values.find((value) => value === raw);
    if (found === undefined) {
      const valid = [...values].sort().join(", ");
      throw invalidField(path, `Unrecognized enum value '${raw}', valid values are: ${valid}.`);
    }
    return found;
  },
});

/** RFC 3339 text, read as milliseconds since 1970. */
export const instant = (): Param<number | undefined> => ({
  read(raw, path) {
    if (raw === undefined) return undefined;
    const isText = typeof raw === "string" &&
      /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(raw);
    const read = isText ? Date.parse(raw) : NaN;
    if (Number.isNaN(read)) throw invalidField(path, "Must be an RFC 3339 timestamp.");
    return read;
  },
});

/** A hash of texts; a number is not one. */
export const texts = (): Param<Record<string, string> | undefined> => ({
  read(raw, path) {
    if (raw === undefined) return undefined;
    if (!isRecord(raw)) throw invalid("Invalid object", path);
    return Object.fromEntries(
      Object.entries(raw).map(([key, value]) => {
        if (typeof value !== "string") throw invalid("Invalid string", `${path}[${key}]`);
        return [key, value];
      }),
    );
  },
});

/** Keys given as null go away. Numbers become text, as the SDK's type promises. */
export const metadataV2 = (): Param<Record<string, string> | undefined> => ({
  read(raw, path) {
    if (raw === undefined) return undefined;
    if (!isRecord(raw)) throw invalidField(path, "Must be a map.");
    return Object.fromEntries(
      Object.entries(raw).map(([key, value]) => {
        if (value === null) return [key, ""];
        if (typeof value === "string" || typeof value === "number") return [key, String(value)];
        throw invalidField(`${path}[${key}]`, "Must be a string.");
      }),
    );
  },
});

export const iso = (ms: number) => new Date(ms).toISOString();

export const pageShape = { limit: int(1, 100), page: str() };
export const include = <const V extends string>(...values: V[]) => arr(word(...values));

export interface V2List<T> {
  data: T[];
  next_page_url: string | null;
  previous_page_url: string | null;
}

interface Cursor {
  after?: string;
  before?: string;
}

/** One page; its cursor travels in `page` and the other parameters travel along in the URL. */
export function v2Page<K extends Kind>(
  store: Store,
  kind: K,
  url: string,
  page: { limit?: number; page?: string },
  query: Pick<ListQuery, "where" | "anyOf" | "created">,
  account = "",
): V2List<Objects[K]> {
  const cursor = page.page === undefined ? {} : readCursor(page.page);
  const limit = page.limit ?? 20;
  const found = store.list(kind, { ...query, ...cursor, limit, account });
  if (!found) throw invalidField("page", "Invalid page token.");
  const [first, last] = [found.data[0], found.data.at(-1)];
  const link = (to: Cursor) => `${url}?page=${btoa(JSON.stringify(to))}&limit=${limit}`;
  const hasNext = cursor.before !== undefined ? found.data.length > 0 : found.hasMore;
  const hasPrevious = cursor.before !== undefined ? found.hasMore : cursor.after !== undefined;
  return {
    data: found.data,
    next_page_url: hasNext && last ? link({ after: last.id }) : null,
    previous_page_url: hasPrevious && first ? link({ before: first.id }) : null,
  };
}

function readCursor(token: string): Cursor {
  try {
    const cursor: unknown = JSON.parse(atob(token));
    if (isRecord(cursor)) {
      const { after, before } = cursor;
      if (typeof after === "string") return { after };
      if (typeof before === "string") return { before };
    }
  } catch {
    // Falls through to the refusal.
  }
  throw invalidField("page", "Invalid page token.");
}
