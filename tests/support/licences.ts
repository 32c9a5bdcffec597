/**
 * `npm run licences` writes docs/licences.md from package-lock.json: every package that is installed, with its version and
 * licence. A test fails when the file is not what the lock says, or when a licence is not one of those below.
 */
import { readFileSync } from "node:fs";
import { ROOT } from "./run.ts";

export const LICENCES_FILE = `${ROOT}docs/licences.md`;

/** All of them allow to use, change and pass on; MPL asks for changes of its own files to be published. */
export const ALLOWED: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "MIT-0",
  "MPL-2.0",
  "OFL-1.1",
  "Unlicense",
];

export interface Installed {
  name: string;
  version: string;
  licence: string;
  /** Part of what is deployed, or only of development. */
  production: boolean;
}

interface Locked {
  version?: string;
  license?: string;
  dev?: boolean;
  devOptional?: boolean;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

/** What the lock file says is installed, by name and version. */
export function installed(): Installed[] {
  const lock: { packages: Record<string, Locked> } = JSON.parse(
    readFileSync(`${ROOT}package-lock.json`, "utf8"),
  );
  const entries = Object.entries(lock.packages).filter(([path, one]) => path !== "" && !one.link);
  // A binary for another platform has the licence of the package that it is an optional part of.
  const wholes = new Map(
    entries.flatMap(([, one]) =>
      Object.keys(one.optionalDependencies ?? {}).map((part) => [part, one.license] as const)
    ),
  );
  const all = entries.map(([path, one]) => {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const licence = one.license ?? wholes.get(name) ?? "unknown";
    const production = !one.dev && !one.devOptional;
    return { name, version: one.version ?? "", licence, production };
  });
  const byKey = new Map(all.map((one) => [`${one.name} ${one.version}`, one]));
  return [...byKey.entries()].sort(([a], [b]) => a < b ? -1 : 1).map(([, one]) => one);
}

/** docs/licences.md, before it is formatted. */
export function describe(packages: Installed[]): string {
  const counts = new Map<string, number>();
  for (const { licence } of packages) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  const table = (rows: Installed[]) => [
    "| package | version | licence |",
    "| --- | --- | --- |",
    ...rows.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`),
  ];
  return [
    "# Licences of dependencies",
    "",
    "Written by `npm run licences` from `package-lock.json`; a test fails when it is out of date.",
    "",
    [...counts].sort(([, a], [, b]) => b - a).map(([licence, n]) => `${licence}: ${n}`).join(", "),
    "",
    "## What functions and the web client are made of, and what those need",
    "",
    ...table(packages.filter(({ production }) => production)),
    "",
    "## What builds, tests and local runs need; the web client's bundle is built from some of it",
    "",
    ...table(packages.filter(({ production }) => !production)),
    "",
  ].join("\n");
}

/** The same, as it stands in the repository. */
export async function licencesFile(): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(describe(installed())));
  await input.close();
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) await Deno.writeTextFile(LICENCES_FILE, await licencesFile());
