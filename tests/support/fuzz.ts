import fc from "fast-check";
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type postgres from "postgres";
import { z } from "zod";
import { ROOT } from "./run.ts";

/** Cases of the fuzz: what the schema of a function or the catalogue of the database says, and everything it does not say. */

export interface Case {
  door: string;
  path: string;
  as: "user" | "anon" | "secret";
  /** Which of the people, by number. */
  person: number;
  body: string;
}

type Schema = z.core.JSONSchema.BaseSchema;

/** Ids and words that exist, so that what is well-formed gets further than the door. */
export interface Known {
  ids: string[];
  words: string[];
}

const STRINGS = fc.constantFrom(
  "",
  " ",
  "\0",
  "'",
  "';--",
  "\ud800",
  "null",
  "__proto__",
  "../..",
  "//evil",
  "\r\nx: y",
  "%00",
  "*",
  "x".repeat(3_000),
  "2026-02-30",
  "infinity",
  "-infinity",
  "NaN",
  "cus_x",
  "evt_x",
);
const NUMBERS = fc.constantFrom(
  0,
  -0,
  -1,
  1,
  0.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  -(2 ** 53),
  1e19,
  1e308,
  5e-324,
);

/** Any JSON, with a liking for what breaks things. */
function junk(known: Known): fc.Arbitrary<unknown> {
  return fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    STRINGS,
    NUMBERS,
    fc.constantFrom<unknown>(null, true, [], {}, [[]], { "": null }, ["x"]),
    fc.constantFrom(...known.ids, ...known.words),
    fc.string({ unit: "binary", maxLength: 200 }),
  );
}

function fromSchema(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((one) => fromSchema(one as Schema, known)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case "object": {
      const properties = Object.entries(schema.properties ?? {})
        .map(([name, one]) => [name, fromSchema(one as Schema, known)]);
      return fc.record(Object.fromEntries(properties), required(schema));
    }
    case "integer":
    case "number":
      return fc.oneof(
        fc.integer({ min: clamp(schema.minimum), max: clamp(schema.maximum) }),
        fc.constantFrom(clamp(schema.minimum), clamp(schema.maximum)),
      );
    case "boolean":
      return fc.boolean();
    case "string":
      if (schema.format === "uuid") return fc.oneof(fc.constantFrom(...known.ids), fc.uuid());
      if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern));
      return fc.oneof(
        fc.constantFrom(...known.words),
        fc.string({
          unit: "binary",
          minLength: schema.minLength ?? 0,
          maxLength: schema.maxLength ?? 300,
        }),
      );
    default:
      return junk(known);
  }
}

/** fast-check wants the keys as a type; a schema has them as data. */
function required(schema: Schema): { requiredKeys: never[] } | undefined {
  return schema.required?.length === Object.keys(schema.properties ?? {}).length
    ? undefined
    : { requiredKeys: [] };
}

function clamp(bound: number | undefined): number {
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, bound ?? 2 ** 31 - 1));
}

/** A body as it should be, changed: a field more, a field less, another value. */
function changed(valid: fc.Arbitrary<unknown>, known: Known): fc.Arbitrary<unknown> {
  const other = junk(known);
  return fc.tuple(valid, fc.string({ maxLength: 8 }), other, fc.nat(2), fc.nat(9)).map(
    ([body, name, value, kind, at]) => {
      if (typeof body !== "object" || body === null) return value;
      const keys = Object.keys(body);
      const key = keys[at % Math.max(1, keys.length)] ?? name;
      if (kind === 0) return { ...body, [name]: value };
      if (kind === 1) return { ...body, [key]: value };
      return Object.fromEntries(Object.entries(body).filter(([one]) => one !== key));
    },
  );
}

const BROKEN = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom(
    "",
    "{",
    "[",
    "{}{}",
    "[".repeat(5_000),
    '{"a":'.repeat(2_000),
    "NaN",
    "\ufeff{}",
    '{"a":1e999}',
    "{'a':1}",
  ),
);

/** Every function that takes JSON, with its own schema. */
export async function functionCases(known: Known): Promise<fc.Arbitrary<Case>[]> {
  const names = readdirSync(`${ROOT}supabase/functions`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
    .map(({ name }) => name).filter((name) => !["stripe-webhook", "health"].includes(name));
  return await Promise.all(names.map(async (name) => {
    const url = pathToFileURL(`${ROOT}supabase/functions/${name}/index.ts`).href;
    const module: { default: { fetch: { body: z.ZodType } } } = await import(url);
    const schema = z.toJSONSchema(module.default.fetch.body, {
      io: "input",
      unrepresentable: "any",
    });
    const valid = fromSchema(schema, known);
    const body = fc.oneof(
      { weight: 2, arbitrary: valid.map((one) => JSON.stringify(one)) },
      { weight: 5, arbitrary: changed(valid, known).map((one) => JSON.stringify(one)) },
      { weight: 1, arbitrary: junk(known).map((one) => JSON.stringify(one)) },
      { weight: 1, arbitrary: BROKEN },
    );
    return fc.record({
      door: fc.constant(name),
      path: fc.constant(`/functions/v1/${name}`),
      as: fc.constantFrom<Case["as"]>("user", "user", "user", "secret", "anon"),
      person: fc.nat(1_000),
      body,
    });
  }));
}

function ofType(type: string, known: Known): fc.Arbitrary<unknown> {
  if (type === "uuid") return fc.oneof(fc.constantFrom(...known.ids), fc.uuid());
  if (/^(small|big)?int/.test(type)) {
    return fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.nat(100), NUMBERS);
  }
  if (type === "boolean") return fc.boolean();
  if (type === "date") {
    return fc.oneof(
      fc.date({ noInvalidDate: true }).map((d) => d.toISOString().slice(0, 10)),
      STRINGS,
    );
  }
  if (type.startsWith("timestamp")) {
    return fc.oneof(fc.date({ noInvalidDate: true }).map((d) => d.toISOString()), STRINGS);
  }
  if (type.startsWith("json")) {
    return fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.array(fc.dictionary(fc.constantFrom("id", "status", "items"), junk(known))),
    );
  }
  return fc.oneof(
    fc.constantFrom(...known.words),
    fc.string({ unit: "binary", maxLength: 100 }),
    STRINGS,
  );
}

/** Every RPC, with the arguments the catalogue names. */
export async function rpcCases(db: postgres.Sql, known: Known): Promise<fc.Arbitrary<Case>[]> {
  const rpcs = await db<{ name: string; names: string[]; types: string[]; needed: number }[]>`
    select p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as names,
      array(select format_type(t, null) from unnest(p.proargtypes) t) as types,
      p.pronargs - p.pronargdefaults as needed
    from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1`;
  return rpcs.map(({ name, names, types, needed }) => {
    const valid = fc.record(
      Object.fromEntries(names.map((arg, at) => [arg, ofType(types[at] ?? "", known)])),
      { requiredKeys: names.slice(0, needed) },
    );
    return fc.record({
      door: fc.constant(name),
      path: fc.constant(`/rest/v1/rpc/${name}`),
      as: fc.constantFrom<Case["as"]>("user", "user", "secret", "secret", "anon"),
      person: fc.nat(1_000),
      body: fc.oneof(
        { weight: 5, arbitrary: valid.map((one) => JSON.stringify(one)) },
        { weight: 4, arbitrary: changed(valid, known).map((one) => JSON.stringify(one)) },
        { weight: 1, arbitrary: BROKEN },
      ),
    });
  });
}
