import { createHash } from "node:crypto";
import { z } from "zod";
import { readProjectConfig } from "../../config.ts";
import { exists, fromFileUrl, messageOf, readTextIfAny } from "../../util.ts";
import { OperatorError } from "../project.ts";
import { list } from "./target.ts";

/** An Edge Function of the checkout, as config.toml declares it. Paths are absolute. */
export interface LocalFunction {
  slug: string;
  verifyJwt: boolean;
  entrypoint: string;
  importMap: string;
}

export interface FunctionsToDeploy {
  functions: LocalFunction[];
  /** Of every file that is uploaded and of every setting: equal means that nothing changed. */
  fingerprint: string;
}

const graph = z.object({
  modules: z.array(z.object({
    specifier: z.string(),
    kind: z.string().optional(),
    error: z.string().optional(),
    dependencies: z.array(z.object({
      specifier: z.string(),
      code: z.object({ error: z.string().optional() }).optional(),
    })).default([]),
  })),
});
type Module = z.infer<typeof graph>["modules"][number];

const importMap = z.object({ imports: z.record(z.string(), z.string()).default({}) });
const PINNED = /^npm:(@[^@/]+\/)?[^@/]+@\d+\.\d+\.\d+[^/]*(\/|$)/;
const AT_ONCE = 4;

/** The functions that config.toml switches on. Throws when it and the folders do not name the same ones. */
export async function readFunctions(root: string): Promise<LocalFunction[]> {
  const config = await readProjectConfig(`${root}/supabase`);
  const folders: string[] = [];
  for await (const { name } of Deno.readDir(`${root}/supabase/functions`)) {
    if (await exists(`${root}/supabase/functions/${name}/index.ts`)) folders.push(name);
  }
  const undeclared = folders.filter((name) => config.functions[name] === undefined);
  if (undeclared.length > 0) {
    throw new OperatorError(
      `Not in config.toml, where verify_jwt and the import map are: ${
        list(undeclared.toSorted())
      }.`,
    );
  }
  const functions = Object.entries(config.functions).filter(([, { enabled }]) => enabled)
    .map(([slug, declared]) => ({
      slug,
      verifyJwt: declared.verify_jwt,
      entrypoint: within(root, declared.entrypoint ?? `./functions/${slug}/index.ts`),
      importMap: within(root, declared.import_map ?? `./functions/${slug}/deno.json`),
    }))
    .toSorted((one, other) => one.slug < other.slug ? -1 : 1);
  for (const { slug, entrypoint, importMap } of functions) {
    for (const path of [entrypoint, importMap]) {
      if (!(await exists(path))) throw new OperatorError(`${path} of ${slug} is not there.`);
    }
  }
  return functions;
}

function within(root: string, path: string): string {
  return `${root}/supabase/${path.replace(/^\.\//, "")}`;
}

/** Follows every import of every function, as the bundler will. Throws for what it could not follow. */
export async function bundleable(
  root: string,
  functions: LocalFunction[],
): Promise<FunctionsToDeploy> {
  const files = new Set<string>();
  const problems: string[] = [];
  const queue = [...functions];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const modules = await modulesOf(root, next);
      problems.push(...await problemsIn(root, next, modules));
      for (const path of ownFiles(root, modules)) files.add(path);
      files.add(next.importMap);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (problems.length > 0) throw new OperatorError([...new Set(problems)].toSorted().join("\n"));
  return { functions, fingerprint: await fingerprintOf(root, functions, [...files]) };
}

async function modulesOf(root: string, { slug, entrypoint }: LocalFunction): Promise<Module[]> {
  const { success, stdout, stderr } = await deno(root, ["info", "--json", entrypoint]);
  if (!success) throw new OperatorError(`${slug}: ${stderr}`);
  return graph.parse(JSON.parse(stdout)).modules;
}

async function problemsIn(
  root: string,
  { slug, importMap: path }: LocalFunction,
  modules: Module[],
): Promise<string[]> {
  const { imports } = await readImportMap(path);
  const loose = Object.entries(imports)
    .filter(([, target]) => target.startsWith("npm:") && !PINNED.test(target))
    .map(([name]) => `${relative(root, path)}: ${name} has no exact version`);
  return modules.flatMap((module) => {
    if (module.error !== undefined) return [`${slug}: ${module.error.split("\n")[0]}`];
    if (!isOwn(module)) return [];
    const file = fromFileUrl(new URL(module.specifier));
    if (!file.startsWith(`${root}/supabase/`)) {
      return [`${slug}: ${file} is outside of supabase/ and is not uploaded`];
    }
    return module.dependencies.flatMap(({ specifier, code }) => {
      if (code === undefined) return [];
      const known = /^(\.{0,2}\/|node:|npm:|jsr:|https:)/.test(specifier) ||
        Object.keys(imports).some((name) =>
          name === specifier || (name.endsWith("/") && specifier.startsWith(name))
        );
      // Here Deno also takes package.json, and adds the paths below a package by itself. Supabase's bundler does neither
      // (github.com/supabase/edge-runtime/issues/591).
      if (!known) return [`${relative(root, file)}: ${specifier} is not in the import map`];
      return code.error === undefined ? [] : [`${relative(root, file)}: ${code.error}`];
    });
  }).concat(loose);
}

async function readImportMap(path: string): Promise<z.infer<typeof importMap>> {
  try {
    return importMap.parse(JSON.parse(await readTextIfAny(path) ?? "{}"));
  } catch (error) {
    throw new OperatorError(`${path}: ${messageOf(error)}`);
  }
}

/** Ours, and not a package's. */
function isOwn({ specifier, kind, error }: Module): boolean {
  return error === undefined && kind !== "external" && specifier.startsWith("file:") &&
    !specifier.includes("/node_modules/");
}

function ownFiles(root: string, modules: Module[]): string[] {
  return modules.filter(isOwn).map(({ specifier }) => fromFileUrl(new URL(specifier)))
    .filter((file) => file.startsWith(`${root}/`));
}

async function fingerprintOf(
  root: string,
  functions: LocalFunction[],
  files: string[],
): Promise<string> {
  const hash = createHash("sha256");
  for (const { slug, verifyJwt, entrypoint, importMap } of functions) {
    const [main, map] = [relative(root, entrypoint), relative(root, importMap)];
    hash.update(`${JSON.stringify([slug, verifyJwt, main, map])}\n`);
  }
  for (const file of files.toSorted()) {
    const digest = createHash("sha256").update(await Deno.readFile(file)).digest("hex");
    hash.update(`${digest}  ${relative(root, file)}\n`);
  }
  return hash.digest("hex");
}

function relative(root: string, path: string): string {
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
}

/** Sources that were found right in this process: the same ones are not looked at twice. */
const checked = new Set<string>();

/** The type checker over every function. Throws what it found. */
export async function checkTypes(
  root: string,
  { functions, fingerprint }: FunctionsToDeploy,
): Promise<void> {
  if (checked.has(fingerprint)) return;
  const { success, stderr } = await deno(root, [
    "check",
    ...functions.map(({ entrypoint }) => entrypoint),
  ]);
  if (!success) throw new OperatorError(stderr.split("\n").slice(0, 40).join("\n"));
  checked.add(fingerprint);
}

async function deno(root: string, args: string[]) {
  const result = await new Deno.Command(Deno.execPath(), {
    args: [args[0] ?? "", "--quiet", ...args.slice(1)],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return {
    success: result.success,
    stdout: text.decode(result.stdout),
    stderr: text.decode(result.stderr).trim(),
  };
}
