/**
 * Holds what travels against the types of the installed SDK: every non-optional key is there, no key is invented, every
 * word of an enum is one Stripe knows. (The compiler checks the literals in the code; this checks the answers.)
 */
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import ts from "typescript";

const name = (kind: string) => `T_${kind.replaceAll(".", "_")}`;

/** A program of one line per kind, so that the checker resolves each type as an importing project would. */
function load(
  wanted: Record<string, string>,
): { checker: ts.TypeChecker; types: Map<string, ts.Type> } {
  const root = fileURLToPath(
    new URL("../../node_modules/stripe/esm/resources/", import.meta.url),
  );
  const lines = Object.entries(wanted).map(([kind, type]) =>
    `export type ${name(kind)} = Stripe.${type};`
  );
  const path = `${root}__shapes.ts`;
  const text = `import type { Stripe } from "../stripe.core.js";\n${
    lines.join("\n").replace("Stripe.EventBase", 'import("./Events.js").EventBase')
  }`;
  const options: ts.CompilerOptions = {
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
    lib: ["lib.es2022.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (file, version, ...rest) =>
    file === path
      ? ts.createSourceFile(file, text, version)
      : getSourceFile.call(host, file, version, ...rest);
  host.fileExists = (file) => file === path || fileExists.call(host, file);
  host.readFile = (file) => file === path ? text : readFile.call(host, file);
  const program = ts.createProgram([path], options, host);
  const checker = program.getTypeChecker();
  const types = new Map<string, ts.Type>();
  for (const statement of program.getSourceFile(path)?.statements ?? []) {
    if (ts.isTypeAliasDeclaration(statement)) {
      types.set(statement.name.text, checker.getTypeAtLocation(statement.name));
    }
  }
  return { checker, types };
}

class Checker {
  constructor(readonly checker: ts.TypeChecker) {}

  problems(value: unknown, type: ts.Type, path: string): string[] {
    if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.Void)) return [];
    if (type.isUnion()) return this.#union(value, type.types, path);
    if (type.flags & ts.TypeFlags.Null) return value === null ? [] : [`${path}: not null`];
    if (type.flags & ts.TypeFlags.Undefined) {
      return value === undefined ? [] : [`${path}: not absent`];
    }
    if (type.isStringLiteral() || type.isNumberLiteral()) {
      return value === type.value ? [] : [`${path}: ${JSON.stringify(value)} is not ${type.value}`];
    }
    if (type.flags & ts.TypeFlags.BooleanLike) {
      return typeof value === "boolean" ? [] : [`${path}: no boolean`];
    }
    if (type.flags & ts.TypeFlags.StringLike) {
      return typeof value === "string" ? [] : [`${path}: no string`];
    }
    if (type.flags & ts.TypeFlags.NumberLike) {
      return typeof value === "number" ? [] : [`${path}: no number`];
    }
    if (this.checker.typeToString(type) === "Decimal") {
      return typeof value === "string" ? [] : [`${path}: no decimal text`];
    }
    // `string & {}` opens an enum for later words; the sandbox must use the known ones.
    if (type.isIntersection()) return [`${path}: ${JSON.stringify(value)} is not a known word`];
    return this.#object(value, type, path);
  }

  #union(value: unknown, members: ts.Type[], path: string): string[] {
    const tries = members.map((member) => this.problems(value, member, path));
    const best = tries.sort((a, b) => a.length - b.length)[0] ?? [];
    if (best.length === 0 || typeof value !== "object" || value === null) return best;
    // Among object types, the one whose discriminator fits tells most.
    const objects = members.filter((member) => member.flags & ts.TypeFlags.Object);
    return objects.map((member) => this.problems(value, member, path)).sort((a, b) =>
      a.length - b.length
    )[0] ?? best;
  }

  #object(value: unknown, type: ts.Type, path: string): string[] {
    if (this.checker.isArrayType(type)) {
      if (!Array.isArray(value)) return [`${path}: no array`];
      const element = type.getNumberIndexType();
      return element
        ? value.flatMap((each, i) => this.problems(each, element, `${path}[${i}]`))
        : [];
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return [`${path}: no object`];
    }
    const given = new Map<string, unknown>(Object.entries(value));
    // Methods are the SDK's own and do not travel.
    const known = this.checker.getPropertiesOfType(type)
      .filter((each) => this.checker.getTypeOfSymbol(each).getCallSignatures().length === 0);
    const out: string[] = [];
    for (const property of known) {
      const there = given.has(property.name);
      if (!there && !(property.flags & ts.SymbolFlags.Optional)) {
        out.push(`${path}.${property.name}: missing`);
      }
      if (there) {
        out.push(
          ...this.problems(
            given.get(property.name),
            this.checker.getTypeOfSymbol(property),
            `${path}.${property.name}`,
          ),
        );
      }
    }
    const isOpen = this.checker.getIndexInfosOfType(type).length > 0;
    const extra = [...given.keys()].filter((key) =>
      !known.some((property) => property.name === key)
    );
    return isOpen || known.length === 0
      ? out
      : [...out, ...extra.map((key) => `${path}.${key}: Stripe has no such key`)];
  }
}

/** Looks at objects as they come, and knows in the end what was wrong and which kinds never came. */
export class Shapes {
  readonly problems = new Set<string>();
  #seen = new Set<string>();
  #types: Map<string, ts.Type>;
  #check: Checker;

  /** `wanted`: the SDK's type of each kind of object. */
  constructor(readonly wanted: Record<string, string>) {
    const { checker, types } = load(wanted);
    this.#types = types;
    this.#check = new Checker(checker);
  }

  look(value: unknown): void {
    if (typeof value !== "object" || value === null || !("object" in value)) return;
    const kind = String(value.object);
    const type = this.#types.get(name(kind));
    assert.ok(type && !(type.flags & ts.TypeFlags.Any), `the SDK's type of ${kind} is not found`);
    this.#seen.add(kind);
    for (const problem of this.#check.problems(value, type, kind)) this.problems.add(problem);
    if (kind === "event" && "data" in value) {
      this.look(new Map(Object.entries(value.data ?? {})).get("object"));
    }
  }

  /** Fails with everything that was wrong. */
  done(): void {
    assert.deepEqual([...this.problems], []);
    assert.deepEqual(Object.keys(this.wanted).filter((kind) => !this.#seen.has(kind)), []);
  }
}
