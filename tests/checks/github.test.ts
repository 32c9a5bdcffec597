/** What GitHub reads. No YAML library is among our packages; Deno's formatter parses YAML and fixes the indentation read here. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { reservePorts } from "../../local/ports.ts";
import { mustRun, ROOT, run } from "../support/run.ts";

const WORKFLOW = ".github/workflows/ci.yml";
const FILES = readdirSync(`${ROOT}.github`, { recursive: true, encoding: "utf8" })
  .map((name) => `.github/${name}`).filter((name) => /\.ya?ml$/.test(name));

function read(path: string): string {
  return readFileSync(`${ROOT}${path}`, "utf8");
}

/** The lines under a key, given by its path, without its indentation. */
function under(text: string, ...keys: string[]): string {
  let lines = text.split("\n").filter((line) => !/^\s*#/.test(line));
  for (const key of keys) {
    const at = lines.findIndex((line) => line === `${key}:` || line.startsWith(`${key}: `));
    assert.notEqual(at, -1, `${key} is missing`);
    const rest = lines.slice(at + 1);
    const end = rest.findIndex((line) => line !== "" && !line.startsWith("  "));
    lines = (end === -1 ? rest : rest.slice(0, end)).map((line) => line.slice(2));
  }
  return lines.join("\n");
}

Deno.test("every file for GitHub is valid YAML, and a broken one would be seen", async () => {
  assert.ok(FILES.length >= 5);
  await mustRun(Deno.execPath(), ["fmt", "--check", ...FILES]);
  const folder = await Deno.makeTempDir({ prefix: "tollgate-yaml-" });
  try {
    await Deno.writeTextFile(`${folder}/ci.yml`, read(WORKFLOW).replace("  push:", "   push: ["));
    const broken = await run(Deno.execPath(), ["fmt", "--check", `${folder}/ci.yml`]);
    assert.match(broken.stderr, /parse error/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the workflow runs .ci/run as root in Debian 12, on pushes and pull requests, with a token that may only read", () => {
  const text = read(WORKFLOW);
  assert.deepEqual(under(text, "on").match(/^\w+(?=:)/gm), [
    "push",
    "pull_request",
    "workflow_dispatch",
  ]);
  assert.equal(under(text, "permissions").trim(), "contents: read");
  const job = under(text, "jobs", "everything");
  assert.match(under(job, "steps"), /^ {2}run: \.ci\/run$|^- run: \.ci\/run$/m);
  assert.match(under(job, "container"), /^image: node:\d+-bookworm$/m);
  const matrix = under(job, "strategy", "matrix");
  assert.match(matrix, /- runner: ubuntu-24\.04\n {4}may_fail: false\n/);
  assert.ok(statSync(`${ROOT}.ci/run`).mode & 0o100, ".ci/run is executable");
});

Deno.test("every action is GitHub's own, pinned by a commit with its version beside it", () => {
  const used = [...read(WORKFLOW).matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, use]) => use ?? "");
  assert.ok(used.length >= 3);
  const loose = used.filter((use) => !/^actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(use));
  assert.deepEqual(loose, []);
  assert.match(read(".github/dependabot.yml"), /package-ecosystem: github-actions/);
  assert.match(read(".github/dependabot.yml"), /package-ecosystem: npm/);
});

Deno.test("issue forms have a name, a description and fields with ids of their own, and send holes elsewhere", () => {
  const forms = FILES.filter((name) => /ISSUE_TEMPLATE\/(?!config)/.test(name));
  assert.ok(forms.length >= 2);
  for (const form of forms) {
    const text = read(form);
    assert.match(text, /^name: \S/m, form);
    assert.match(text, /^description: \S/m, form);
    const fields = text.match(/^ {2}- type: (?!markdown)/gm) ?? [];
    const ids = [...text.matchAll(/^ {4}id: (\w+)$/gm)].map(([, id]) => id);
    assert.equal(new Set(ids).size, fields.length, form);
  }
  assert.match(read(".github/ISSUE_TEMPLATE/config.yml"), /^blank_issues_enabled: false$/m);
  assert.match(read(".github/ISSUE_TEMPLATE/bug.yml"), /SECURITY\.md/);
});

Deno.test("the licence is MIT, in LICENSE as in package.json", () => {
  assert.equal(JSON.parse(read("package.json")).license, "MIT");
  assert.match(read("LICENSE"), /^MIT License\n\nCopyright \(c\) \d{4} /);
  assert.match(read("LICENSE"), /THE SOFTWARE IS PROVIDED "AS IS"/);
});

Deno.test("the smoke run of other platforms starts, serves and stops here", async () => {
  const reserved = await reservePorts();
  try {
    const outcome = await mustRun("node", [".ci/smoke.mjs"], {
      env: { TOLLGATE_PORT_BASE: String(reserved.ports.web) },
      timeoutMs: 180_000,
    });
    assert.match(outcome, /✓ It starts, serves and stops on \w+-\w+\./);
  } finally {
    reserved.release();
  }
});
