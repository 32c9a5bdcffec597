import { exists } from "../../util.ts";

/** The text of a file to the byte: a byte order mark is kept, and what is not UTF-8 is refused. */
export async function readExact(path: string): Promise<string | null> {
  const bytes = await Deno.readFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  return bytes && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

export async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Paths below a folder, relative to it, in order; none when there is no such folder. */
export async function listFiles(folder: string, prefix = ""): Promise<string[]> {
  if (!(await exists(`${folder}/${prefix}`))) return [];
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
    if (entry.isDirectory) found.push(...await listFiles(folder, `${prefix}${entry.name}/`));
    else found.push(`${prefix}${entry.name}`);
  }
  return found.sort();
}

/** Names of folders in it. A link may be one, wherever it leads. */
export async function listFolders(folder: string): Promise<string[]> {
  if (!(await exists(folder))) return [];
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory || entry.isSymlink) found.push(entry.name);
  }
  return found.sort();
}

/** Those of these paths below a folder, and of the folders on the way, that are symbolic links, also ones that lead nowhere. */
export async function linksAmong(root: string, paths: string[]): Promise<string[]> {
  const steps = new Set(paths.flatMap((path) => {
    const parts = path.split("/");
    return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  }));
  const links: string[] = [];
  for (const step of [...steps].sort()) {
    // What is behind a link is not ours to look at.
    if (links.some((link) => step.startsWith(`${link}/`))) continue;
    if (await isLink(`${root}/${step}`)) links.push(step);
  }
  return links;
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isSymlink;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/** Folders that these files need and that are not there, the outermost first. */
export async function missingFolders(root: string, paths: string[]): Promise<string[]> {
  const needed = new Set(paths.flatMap((path) => {
    const parts = path.split("/").slice(0, -1);
    return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  }));
  const missing: string[] = [];
  for (const folder of [...needed].sort()) {
    if (!(await exists(`${root}/${folder}`))) missing.push(folder);
  }
  return missing;
}

/** Removes these folders as far as nothing is in them any more, the innermost first. */
export async function removeEmptyFolders(root: string, folders: string[]): Promise<void> {
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) {
    const path = `${root}/${folder}`;
    if (!(await exists(path))) continue;
    if ((await Array.fromAsync(Deno.readDir(path))).length === 0) await Deno.remove(path);
  }
}
