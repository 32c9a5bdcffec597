import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  compareVersions,
  cutChangelog,
  cutRelease,
  migrationsUpTo,
  presentMigrations,
  readChangelog,
  readReleases,
  type Release,
  releaseFaults,
  writeChangelog,
} from "../../local/releases.ts";
import { ROOT } from "../support/run.ts";

const CHANGELOG = readFileSync(`${ROOT}CHANGELOG.md`, "utf8");
const DAY = "2026-12-01";

const SOME: Release[] = [
  { version: "1.0.0", date: DAY, migrations: { "1_a.sql": "aa", "3_b.sql": "bb" } },
  { version: "1.1.0", date: DAY, migrations: { "4_c.sql": "cc" } },
];
const PRESENT = { "1_a.sql": "aa", "3_b.sql": "bb", "4_c.sql": "cc" };

Deno.test("no released migration was edited, removed or overtaken", async () => {
  assert.deepEqual(releaseFaults(await readReleases(), await presentMigrations()), []);
});

Deno.test("an edited, a removed and an overtaking migration are each found", () => {
  assert.deepEqual(releaseFaults(SOME, PRESENT), []);
  assert.deepEqual(releaseFaults(SOME, { ...PRESENT, "5_d.sql": "dd" }), []);
  assert.deepEqual(releaseFaults(SOME, { ...PRESENT, "3_b.sql": "b2" }), [
    "3_b.sql of 1.0.0 was edited.",
  ]);
  assert.deepEqual(releaseFaults(SOME, { "1_a.sql": "aa", "4_c.sql": "cc" }), [
    "3_b.sql of 1.0.0 is gone.",
  ]);
  assert.match(releaseFaults(SOME, { ...PRESENT, "2_x.sql": "xx" }).join(), /^2_x.sql stands/);
});

Deno.test("package.json, its lock, the changelog and the list of releases name one version and one day", async () => {
  const releases = await readReleases();
  const { sections } = readChangelog(CHANGELOG);
  const newest = releases.at(-1);
  assert.equal(sections[0]?.version, "Unreleased");
  assert.equal(sections[1]?.version, newest?.version);
  for (const name of ["package.json", "package-lock.json"]) {
    const file = JSON.parse(readFileSync(`${ROOT}${name}`, "utf8"));
    assert.equal(file.version, newest?.version, name);
    assert.equal(file.packages?.[""].version ?? file.version, newest?.version, name);
  }
  for (const { version, date } of releases) {
    assert.equal(sections.find((section) => section.version === version)?.date, date, version);
  }
});

Deno.test("CHANGELOG.md keeps its form: versions descend, none is empty, and writing it gives it back", () => {
  const { head, sections } = readChangelog(CHANGELOG);
  const released = sections.slice(1);
  assert.ok(released.length >= 2);
  for (const [index, { version, groups }] of released.entries()) {
    assert.ok(Object.keys(groups).length > 0, version);
    const older = released[index + 1];
    if (older) assert.ok(compareVersions(version, older.version) > 0, version);
  }
  assert.equal(writeChangelog(head, sections), CHANGELOG);
  assert.throws(() => readChangelog("# x\n\n## 1.0.0\n"), /is no/);
  assert.throws(
    () => readChangelog("## [1.0.0] - 2026-01-01\n\n### New\n\n- x\n"),
    /heading "New"/,
  );
});

Deno.test("a release takes the migrations nobody had, and is refused when it is not newer or history was changed", () => {
  const present = { ...PRESENT, "5_d.sql": "dd" };
  const cut = cutRelease(SOME, present, "1.2.0", DAY);
  assert.deepEqual(cut.at(-1), { version: "1.2.0", date: DAY, migrations: { "5_d.sql": "dd" } });
  assert.deepEqual(migrationsUpTo(cut, "1.1.0"), ["1_a.sql", "3_b.sql", "4_c.sql"]);
  for (const version of ["1.0.0", "1.0.9", "0.9.0"]) {
    assert.throws(() => cutRelease(SOME, present, version, DAY), /not newer than 1\.1\.0/);
  }
  assert.throws(() => cutRelease(SOME, present, "1.2", DAY), /not a version/);
  assert.throws(() => cutRelease(SOME, { ...present, "1_a.sql": "?" }, "1.2.0", DAY), /was edited/);
});

Deno.test("the newest release can be cut again: its own migrations may still change, earlier ones may not", () => {
  const again = cutRelease(SOME, { ...PRESENT, "4_c.sql": "c2", "5_d.sql": "dd" }, "1.1.0", DAY);
  assert.deepEqual(again.map(({ version }) => version), ["1.0.0", "1.1.0"]);
  assert.deepEqual(again.at(-1)?.migrations, { "4_c.sql": "c2", "5_d.sql": "dd" });
  assert.throws(
    () => cutRelease(SOME, { ...PRESENT, "3_b.sql": "b2" }, "1.1.0", DAY),
    /3_b.sql of 1.0.0 was edited/,
  );
});

Deno.test("what stands under Unreleased becomes the section of the version, and joins it when it is cut again", () => {
  const text =
    "# Changelog\n\n## [Unreleased]\n\n### Fixed\n\n- A.\n\n## [1.0.0] - 2026-01-01\n\n" +
    "### Added\n\n- Z.\n";
  const once = cutChangelog(text, "1.1.0", DAY);
  assert.equal(
    once,
    "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2026-12-01\n\n### Fixed\n\n- A.\n\n" +
      "## [1.0.0] - 2026-01-01\n\n### Added\n\n- Z.\n",
  );
  const more = once.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- B.\n");
  assert.match(cutChangelog(more, "1.1.0", DAY), /### Fixed\n\n- A\.\n- B\.\n\n## \[1\.0\.0\]/);
  assert.throws(() => cutChangelog(once, "1.2.0", DAY), /Nothing stands under Unreleased/);
});
