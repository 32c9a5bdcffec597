/**
 * Declarative request parameters. A `Param<T>` reads one decoded form value and gives a typed one or throws Stripe's
 * own error. `T` contains `undefined` unless the parameter is `required`; `null` means "unset by an empty string".
 */
import qs from "qs";
import { invalid } from "./errors.ts";

/** Forms have text, lists and hashes only; the JSON of `/v2` also has numbers, truth values and null. */
export type Raw =
  | string
  | number
  | boolean
  | null
  | Raw[]
  | { [key: string]: Raw }
  | undefined;

export interface Param<T> {
  read(raw: Raw, path: string): T;
}
export type Shape = Record<string, Param<unknown>>;
type Read<P> = P extends Param<infer T> ? T : never;
type OptionalKeys<S extends Shape> = {
  [K in keyof S]: undefined extends Read<S[K]> ? K : never;
}[keyof S];
export type Values<S extends Shape> =
  & { [K in Exclude<keyof S, OptionalKeys<S>>]: Read<S[K]> }
  & { [K in OptionalKeys<S>]?: Read<S[K]> };

export function decodeForm(text: string): { [key: string]: Raw } {
  const decoded: unknown = qs.parse(text, {
    depth: 12,
    arrayLimit: 1000,
    parameterLimit: 5000,
    plainObjects: true,
  });
  return isRecord(decoded) ? decoded : {};
}

export function isRecord(value: unknown): value is { [key: string]: Raw } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function param<T>(read: (raw: Exclude<Raw, undefined>, path: string) => T): Param<T | undefined> {
  return { read: (raw, path) => raw === undefined ? undefined : read(raw, path) };
}

function scalar(raw: Raw, path: string, kind: string): string {
  if (typeof raw !== "string") throw invalid(`Invalid ${kind}`, path);
  if (raw === "") {
    const why = "We assume empty values are an attempt to unset a parameter; however";
    throw invalid(
      `You passed an empty string for '${path}'. ${why} '${path}' cannot be unset. You should remove '${path}' from ` +
        "your request or supply a non-empty value.",
      path,
      "parameter_invalid_empty",
    );
  }
  return raw;
}

export function required<T>(inner: Param<T>): Param<Exclude<T, undefined>> {
  return {
    read(raw, path) {
      const value = inner.read(raw, path);
      if (!isPresent(value)) {
        throw invalid(`Missing required param: ${path}.`, path, "parameter_missing");
      }
      return value;
    },
  };
}
const isPresent = <T>(value: T): value is Exclude<T, undefined> => value !== undefined;

/** A parameter that an empty string sets to null. */
export function unset<T>(inner: Param<T>): Param<T | null> {
  return { read: (raw, path) => raw === "" ? null : inner.read(raw, path) };
}

export const str = (max = 5000): Param<string | undefined> =>
  param((raw, path) => {
    const value = scalar(raw, path, "string");
    if (value.length > max) {
      throw invalid(
        `Invalid string: must be at most ${max} characters`,
        path,
        "parameter_invalid_string_length",
      );
    }
    return value;
  });

export const int = (min = -99999999, max = 99999999999): Param<number | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "integer");
    if (!/^-?\d+$/.test(text)) {
      throw invalid(`Invalid integer: ${text}`, path, "parameter_invalid_integer");
    }
    const value = Number(text);
    if (value < min) {
      const floor = min === 0
        ? "Invalid non-negative integer"
        : `This value must be greater than or equal to ${min}.`;
      throw invalid(floor, path, "parameter_invalid_integer");
    }
    if (value > max) {
      throw invalid(
        `This value must be less than or equal to ${max}.`,
        path,
        "parameter_invalid_integer",
      );
    }
    return value;
  });

export const bool = (): Param<boolean | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "boolean");
    if (text !== "true" && text !== "false") throw invalid(`Invalid boolean: ${text}`, path);
    return text === "true";
  });

export const decimal = (): Param<string | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "decimal");
    if (!/^-?\d+(\.\d{1,12})?$/.test(text)) throw invalid(`Invalid decimal: ${text}`, path);
    return text;
  });

export const time = (): Param<number | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "timestamp");
    if (!/^\d{1,11}$/.test(text)) {
      throw invalid(
        "Invalid timestamp: must be an integer Unix timestamp in the past or future",
        path,
      );
    }
    return Number(text);
  });

export const oneOf = <const V extends string>(...values: V[]): Param<V | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "string");
    const found = values.find((value) => value === text);
    if (found === undefined) {
      throw invalid(`Invalid ${path}: must be one of ${values.join(", ")}`, path);
    }
    return found;
  });

/** A word such as `now`, or what `inner` reads. */
export const wordOr = <const W extends string, T>(word: W, inner: Param<T>): Param<T | W> => ({
  read: (raw, path) => raw === word ? word : inner.read(raw, path),
});

export const currency = (): Param<string | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "currency").toLowerCase();
    if (!/^[a-z]{3}$/.test(text)) {
      throw invalid(
        `Invalid currency: ${text}. Stripe supports three-letter ISO currency codes.`,
        path,
      );
    }
    return text;
  });

export const url = (): Param<string | undefined> =>
  param((raw, path) => {
    const text = scalar(raw, path, "string");
    if (!/^https?:\/\/[^\s/]+/i.test(text)) {
      throw invalid("Not a valid URL", path, "url_invalid");
    }
    return text;
  });

export const obj = <S extends Shape>(shape: S): Param<Values<S> | undefined> =>
  param((raw, path) => {
    if (!isRecord(raw)) throw invalid("Invalid object", path);
    return readShape(shape, raw, path);
  });

export const arr = <T>(inner: Param<T>): Param<Exclude<T, undefined>[] | undefined> =>
  param((raw, path) => {
    if (typeof raw !== "object" || raw === null) throw invalid("Invalid array", path);
    const values = Array.isArray(raw) ? raw : indexed(raw, path);
    return values.map((value, i) => inner.read(value, `${path}[${i}]`)).filter(isPresent);
  });

/** A hash whose keys are free (currencies). */
export const record = <T>(
  inner: Param<T>,
): Param<Record<string, Exclude<T, undefined>> | undefined> =>
  param((raw, path) => {
    if (!isRecord(raw)) throw invalid("Invalid object", path);
    const out: Record<string, Exclude<T, undefined>> = {};
    for (const [key, value] of Object.entries(raw)) {
      const read = inner.read(value, `${path}[${key}]`);
      if (isPresent(read)) out[key.toLowerCase()] = read;
    }
    return out;
  });

function indexed(raw: { [key: string]: Raw }, path: string): Raw[] {
  const keys = Object.keys(raw);
  if (keys.some((key) => !/^\d+$/.test(key))) throw invalid("Invalid array", path);
  return keys.sort((a, b) => Number(a) - Number(b)).map((key) => raw[key]);
}

/** Stripe's merge: a key given as an empty string is removed, an empty string for the whole clears it. */
export type MetadataPatch = Record<string, string> | null;
export const metadata = (): Param<MetadataPatch | undefined> =>
  unset(param((raw, path) => {
    if (!isRecord(raw)) throw invalid("Invalid object", path);
    const out: Record<string, string> = {};
    for (const [key, value] of Object.entries(raw)) {
      if (typeof value !== "string") throw invalid("Invalid string", `${path}[${key}]`);
      if (key.length > 40) {
        throw invalid("Metadata keys can only be up to 40 characters", `${path}[${key}]`);
      }
      if (value.length > 500) {
        throw invalid("Metadata values can have up to 500 characters", `${path}[${key}]`);
      }
      out[key] = value;
    }
    return out;
  }));

export function mergeMetadata(
  old: Record<string, string> | null,
  patch: MetadataPatch | undefined,
): Record<string, string> {
  if (patch === null) return {};
  const merged = { ...old, ...patch };
  const kept = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ""));
  if (Object.keys(kept).length > 50) {
    throw invalid("You can only have up to 50 metadata keys", "metadata");
  }
  return kept;
}

export const address = () =>
  unset(obj({
    city: unset(str()),
    country: unset(str(2)),
    line1: unset(str()),
    line2: unset(str()),
    postal_code: unset(str()),
    state: unset(str()),
  }));

/** `created` and other times in lists: a timestamp or {gt, gte, lt, lte}. */
export const range = () =>
  param((raw, path) => {
    if (typeof raw === "string") {
      const exact = required(time()).read(raw, path);
      return { gte: exact, lte: exact, gt: undefined, lt: undefined };
    }
    return required(obj({ gt: time(), gte: time(), lt: time(), lte: time() })).read(raw, path);
  });

export function readShape<S extends Shape>(
  shape: S,
  raw: { [key: string]: Raw },
  path = "",
): Values<S> {
  const name = (key: string) => path === "" ? key : `${path}[${key}]`;
  const unknown = Object.keys(raw).filter((key) => !Object.hasOwn(shape, key)).map(name);
  const [first] = unknown;
  if (first !== undefined) {
    const noun = unknown.length > 1 ? "parameters" : "parameter";
    throw invalid(`Received unknown ${noun}: ${unknown.join(", ")}`, first, "parameter_unknown");
  }
  const read = Object.entries(shape).map(([key, p]) => [key, p.read(raw[key], name(key))]);
  // The one place where a table's type meets run time: keys and readers both come from `shape`, which TypeScript cannot follow.
  return Object.fromEntries(read) as Values<S>;
}

/** `value` where the parameter was given, else what was there. */
export function given<T>(value: T | undefined, old: T): T {
  return value === undefined ? old : value;
}
