/**
 * `npm run release -- <version>`: writes a release down. What stands under "Unreleased" in CHANGELOG.md becomes its section,
 * package.json gets the version, and supabase/releases.json the hashes of the migrations that came with it, which no one may edit
 * from then on. The newest release may be cut again until its tag is there. Nothing is committed, tagged or published.
 */
import process from "node:process";
import { ROOT } from "../paths.ts";
import {
  compareVersions,
  cutChangelog,
  cutRelease,
  presentMigrations,
  readReleases,
  RELEASES_FILE,
} from "../releases.ts";
import { exists, messageOf, StartError, writeAtomically } from "../util.ts";

export async function release(version: string, date: string): Promise<string[]> {
  compareVersions(version, "0.0.0");
  if (await isTagged(version)) throw new StartError(`v${version} is tagged: it is out.`);
  const before = await readReleases();
  const releases = cutRelease(before, await presentMigrations(), version, date);
  const upgraded = releases.at(-2)?.version;
  if (upgraded && !(await exists(fixtureOf(upgraded)))) {
    throw new StartError(
      `supabase/tests/fixtures/release-${upgraded}.psql is missing: the upgrade from it could not be tested.`,
    );
  }
  const changelog = cutChangelog(await Deno.readTextFile(CHANGELOG), version, date);
  await write(RELEASES_FILE, `${JSON.stringify(releases, null, 2)}\n`);
  await write(CHANGELOG, changelog);
  for (const name of ["package.json", "package-lock.json"]) await setVersion(name, version);
  return Object.keys(releases.at(-1)?.migrations ?? {});
}

const CHANGELOG = `${ROOT}/CHANGELOG.md`;

/** The data a release is upgraded with; see tests/checks/upgrade.test.ts. */
export function fixtureOf(version: string): string {
  return `${ROOT}/supabase/tests/fixtures/release-${version}.psql`;
}

async function isTagged(version: string): Promise<boolean> {
  const { success } = await new Deno.Command("git", {
    args: ["rev-parse", "--quiet", "--verify", `refs/tags/v${version}`],
    cwd: ROOT,
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** Only the two places npm itself writes it to, so that the file stays as it is otherwise. */
async function setVersion(name: string, version: string): Promise<void> {
  const path = `${ROOT}/${name}`;
  const file = JSON.parse(await Deno.readTextFile(path));
  file.version = version;
  if (file.packages?.[""]) file.packages[""].version = version;
  await write(path, `${JSON.stringify(file, null, 2)}\n`);
}

async function write(path: string, text: string): Promise<void> {
  await writeAtomically(path, text, 0o644);
}

if (import.meta.main) {
  const [version] = process.argv.slice(2);
  try {
    if (!version) throw new StartError("Which version? `npm run release -- 1.2.3`");
    const migrations = await release(version, new Date().toISOString().slice(0, 10));
    console.log(
      `${version} is written down, with ${migrations.length} migrations. Look at the difference, run the tests, then:\n` +
        `  git commit -am "chore(release): ${version}" && git tag -a v${version} -m "Tollgate ${version}"`,
    );
  } catch (error) {
    console.error(`✗ ${messageOf(error)}`);
    process.exit(1);
  }
}
