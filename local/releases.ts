import { SUPABASE } from "./paths.ts";

/**
 * What was released: every release names the migrations that came with it and their hashes. A migration that somebody may have
 * applied is never edited, renamed or removed, and none is put in before it; `npm run release` adds to the list.
 */
export type Release = {
  version: string;
  /** The day, as in CHANGELOG.md. */
  date: string;
  /** File name → SHA-256 of those that came with this release. */
  migrations: Record<string, string>;
};

export const RELEASES_FILE = `${SUPABASE}/releases.json`;

export async function readReleases(): Promise<Release[]> {
  const releases: Release[] = JSON.parse(await Deno.readTextFile(RELEASES_FILE));
  return releases;
}

/** Every migration of this checkout, in the order they are applied. */
export async function presentMigrations(): Promise<Record<string, string>> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${SUPABASE}/migrations`)) {
    if (name.endsWith(".sql")) names.push(name);
  }
  const found: Record<string, string> = {};
  for (const name of names.sort()) {
    // A checkout on Windows may have other line ends; what they say is the same.
    const text = (await Deno.readTextFile(`${SUPABASE}/migrations/${name}`)).replaceAll("\r", "");
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    found[name] = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0"))
      .join("");
  }
  return found;
}

/** The migrations of a release and of all before it. */
export function migrationsUpTo(releases: Release[], version: string): string[] {
  const until = releases.findIndex((release) => release.version === version);
  if (until === -1) throw new Error(`There is no release ${version}.`);
  return releases.slice(0, until + 1).flatMap(({ migrations }) => Object.keys(migrations)).sort();
}

/** What would break the databases of those who have a release: a sentence each, none when all is well. */
export function releaseFaults(releases: Release[], present: Record<string, string>): string[] {
  const faults: string[] = [];
  const released = new Map<string, string>();
  for (const { version, migrations } of releases) {
    for (const [name, hash] of Object.entries(migrations)) {
      released.set(name, version);
      if (!(name in present)) faults.push(`${name} of ${version} is gone.`);
      else if (present[name] !== hash) faults.push(`${name} of ${version} was edited.`);
    }
  }
  const newest = [...released.keys()].sort().at(-1) ?? "";
  for (const name of Object.keys(present)) {
    if (!released.has(name) && name < newest) {
      faults.push(
        `${name} stands before ${newest}, which is released: \`supabase db push\` refuses it.`,
      );
    }
  }
  return faults;
}

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;

/** Negative when `a` is the older one. Versions are three numbers, without a suffix. */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [a, b].map((version) => {
    const parts = VERSION.exec(version)?.slice(1).map(Number);
    if (!parts) throw new Error(`"${version}" is not a version like 1.2.3.`);
    return parts;
  });
  for (let place = 0; place < 3; place++) {
    const difference = (first?.[place] ?? 0) - (second?.[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The list with one release more, or with the newest cut again. Refuses what is not newer, and anything releaseFaults() finds. */
export function cutRelease(
  releases: Release[],
  present: Record<string, string>,
  version: string,
  date: string,
): Release[] {
  const before = releases.at(-1)?.version === version ? releases.slice(0, -1) : releases;
  const last = before.at(-1);
  if (last && compareVersions(version, last.version) <= 0) {
    throw new Error(`${version} is not newer than ${last.version}.`);
  }
  const faults = releaseFaults(before, present);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const known = new Set(before.flatMap(({ migrations }) => Object.keys(migrations)));
  const migrations = Object.fromEntries(
    Object.entries(present).filter(([name]) => !known.has(name)),
  );
  return [...before, { version, date, migrations }];
}

const GROUPS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

export type Section = { version: string; date: string | null; groups: Record<string, string> };

/** CHANGELOG.md as https://keepachangelog.com/en/1.1.0/ describes it; throws at what it does not know. */
export function readChangelog(text: string): { head: string; sections: Section[] } {
  const [head = "", ...parts] = text.split(/^## /m);
  const sections = parts.map((part): Section => {
    const [title = "", ...rest] = part.split("\n");
    const match = /^\[(Unreleased|\d+\.\d+\.\d+)\](?: - (\d{4}-\d\d-\d\d))?$/.exec(title);
    const [, version = "", date] = match ?? [];
    if (!match || (version === "Unreleased") !== (date === undefined)) {
      throw new Error(`CHANGELOG.md: "${title}" is no "[1.2.3] - 2026-01-31" or "[Unreleased]".`);
    }
    return { version, date: date ?? null, groups: readGroups(version, rest.join("\n")) };
  });
  return { head, sections };
}

function readGroups(version: string, text: string): Record<string, string> {
  const [before = "", ...parts] = text.split(/^### /m);
  if (before.trim() !== "") throw new Error(`CHANGELOG.md: ${version} has lines before a heading.`);
  const groups: Record<string, string> = {};
  for (const part of parts) {
    const name = part.slice(0, part.indexOf("\n"));
    if (!GROUPS.includes(name) || name in groups) {
      throw new Error(`CHANGELOG.md: ${version} has an unknown or second heading "${name}".`);
    }
    groups[name] = part.slice(name.length).trim();
  }
  return groups;
}

export function writeChangelog(head: string, sections: Section[]): string {
  const written = sections.map(({ version, date, groups }) => {
    const title = `## [${version}]${date === null ? "" : ` - ${date}`}`;
    const texts = GROUPS.filter((name) => groups[name])
      .map((name) => `\n### ${name}\n\n${groups[name]}\n`);
    return `${title}\n${texts.join("")}`;
  });
  return `${head.trimEnd()}\n\n${written.join("\n")}`;
}

/** What stood under Unreleased goes under the version; when it is cut again, behind what it has. */
export function cutChangelog(text: string, version: string, date: string): string {
  const { head, sections } = readChangelog(text);
  const unreleased = sections.find((section) => section.version === "Unreleased")?.groups ?? {};
  const known = sections.find((section) => section.version === version)?.groups ?? {};
  const groups: Record<string, string> = {};
  for (const name of GROUPS) {
    const lines = [known[name], unreleased[name]].filter(Boolean).join("\n");
    if (lines) groups[name] = lines;
  }
  if (Object.keys(groups).length === 0) {
    throw new Error("Nothing stands under Unreleased in CHANGELOG.md.");
  }
  const others = sections.filter((section) => !["Unreleased", version].includes(section.version));
  return writeChangelog(head, [
    { version: "Unreleased", date: null, groups: {} },
    { version, date, groups },
    ...others,
  ]);
}
