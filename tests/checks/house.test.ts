import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { ROOT } from "../support/run.ts";

/**
 * Who may import what: the table of docs/architecture.md. A room is named by the folder a file is in; an import is
 * either a path below the root or a package.
 */
interface Rule {
  room: string;
  may: RegExp[];
  /** Also what a type-only import may name. */
  mayType?: RegExp[];
}

const SHARED = "supabase/functions/_shared";
const RULES: Rule[] = [
  {
    room: `${SHARED}/domain/`,
    may: [/^supabase\/functions\/_shared\/domain\//],
    mayType: [/^stripe$/],
  },
  {
    room: `${SHARED}/billing/`,
    may: [
      /^supabase\/functions\/_shared\/(domain|billing)\//,
      /^supabase\/functions\/_shared\/(db|stripe|mail|env|log)\.ts$/,
    ],
    mayType: [/database\.types\.ts$/],
  },
  {
    room: `${SHARED}/chat/`,
    may: [
      /^supabase\/functions\/_shared\/(domain|chat)\//,
      /^supabase\/functions\/_shared\/db\.ts$/,
    ],
  },
  {
    room: `${SHARED}/db/`,
    may: [/^supabase\/functions\/_shared\/(domain|db)\//, /^(zod|@supabase\/.*)$/],
    mayType: [/database\.types\.ts$/],
  },
  { room: `${SHARED}/db.ts`, may: [/^supabase\/functions\/_shared\/db\//] },
  {
    room: "supabase/functions/*/index.ts",
    may: [/^zod$/, /^supabase\/functions\/_shared\/(http\.ts|(billing|chat|domain)\/)/],
  },
  { room: "supabase/", may: [/^supabase\//, /^(stripe|nodemailer|zod|@supabase\/.*)$/] },
  {
    room: "web/src/connection.ts",
    may: [/^web\/src\/(env\.ts|lib\/)/, /^@supabase\/supabase-js$/],
  },
  {
    room: "web/src/api/client.ts",
    may: [/^web\/src\/lib\//, /^(zod\/mini|@supabase\/supabase-js)$/],
    mayType: [/database\.types\.ts$/],
  },
  {
    room: "web/examples/",
    may: [
      /^web\/(examples\/|src\/tollgate\/index\.ts$)/,
      /^(?!stripe|local\/|tests\/|supabase\/|web\/).*$/,
    ],
  },
  { room: "web/src/api/", may: [/^web\/src\/(api|lib)\//, /^zod\/mini$/] },
  {
    room: "web/",
    may: [
      /^web\/(?!src\/api\/)/,
      /^web\/src\/api\/index\.ts$/,
      /^(?!@supabase|stripe|local\/|tests\/|supabase\/|web\/).*$/,
    ],
  },
];

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?[^;"']*?from\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']/gm;

Deno.test("every import keeps to the table in docs/architecture.md", () => {
  const broken: string[] = [];
  for (const file of sourceFiles("supabase/functions").concat(sourceFiles("web"))) {
    const rule = RULES.find(({ room }) => matches(file, room));
    if (rule === undefined || file.endsWith(".test.ts")) continue;
    for (const { target, typeOnly } of importsOf(file)) {
      const allowed = rule.may.concat(typeOnly ? rule.mayType ?? [] : []);
      if (!allowed.some((pattern) => pattern.test(target))) {
        broken.push(`${file} imports ${target}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("only one file of the web client talks to the network", () => {
  const talkers = sourceFiles("web/src")
    .filter((file) => !file.endsWith(".test.ts"))
    .filter((file) => /\bfetch\(|createClient\(|XMLHttpRequest|new WebSocket/.test(read(file)));
  assert.deepEqual(talkers, ["web/src/connection.ts"]);
});

Deno.test("what other apps import needs no router, no setting and no bundler of ours", () => {
  const reached = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const { target } of importsOf(file)) {
      if (target.startsWith("web/")) visit(target);
      else packages.add(target);
    }
  };
  visit("web/src/tollgate/index.ts");
  assert.ok(reached.size > 30);
  assert.ok(!packages.has("react-router"));
  assert.ok(!reached.has("web/src/env.ts") && !reached.has("web/src/connection.ts"));
  assert.deepEqual([...reached].filter((file) => read(file).includes("import.meta")), []);
});

Deno.test("production knows nothing of the local platform", () => {
  const leaks = sourceFiles("supabase/functions").concat(sourceFiles("web/src"))
    .filter((file) => /from\s+["'][^"']*\/(local|tests|bench)\//.test(read(file)));
  assert.deepEqual(leaks, []);
});

Deno.test("no type is silenced and no test is skipped or focused", () => {
  const silenced = ["supabase", "web", "local", "tests", "bench"].flatMap((folder) =>
    sourceFiles(folder)
  )
    .filter((file) => !file.endsWith("database.types.ts") && !file.endsWith("house.test.ts"))
    .filter((file) =>
      /@ts-(ignore|nocheck|expect-error)|deno-lint-ignore|^[^/*]*(: any\b|as any\b)|\bDeno\.test\.(only|ignore)\b/
        .test(read(file))
    );
  assert.deepEqual(silenced, []);
});

function matches(file: string, room: string): boolean {
  if (!room.includes("*")) return room.endsWith("/") ? file.startsWith(room) : file === room;
  return new RegExp(`^${room.replaceAll(".", "\\.").replace("*", "[^/_][^/]*")}$`).test(file);
}

function importsOf(file: string): { target: string; typeOnly: boolean }[] {
  return Array.from(read(file).matchAll(IMPORT), ([, type, from, bare]) => {
    const specifier = from ?? bare ?? "";
    const target = specifier.startsWith(".")
      ? normalize(join(dirname(file), specifier))
      : specifier;
    return { target, typeOnly: type !== undefined };
  });
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("node_modules/") && !file.includes("/dist/"));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}
