import { LOCAL } from "../paths.ts";
import { readTextIfAny, StartError } from "../util.ts";

/** Copies the stand-ins beside the extensions the Postgres binaries bring. Doing it twice, or twice at once, changes nothing. */
export async function installExtensions(extensionDir: string, names: string[]): Promise<void> {
  for await (const entry of Deno.readDir(`${LOCAL}/extensions`)) {
    const name = /^([a-z_]+?)(--[\d.]+\.sql|\.control)$/.exec(entry.name)?.[1];
    if (name === undefined || !names.includes(name)) continue;
    const wanted = await Deno.readTextFile(`${LOCAL}/extensions/${entry.name}`);
    await place(`${extensionDir}/${entry.name}`, wanted);
  }
}

async function place(path: string, text: string): Promise<void> {
  if (await readTextIfAny(path) === text) return;
  const temporary = `${path}.${Deno.pid}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await Deno.writeTextFile(temporary, text, { mode: 0o644 });
    await Deno.chmod(temporary, 0o644);
    await Deno.rename(temporary, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new StartError(
      `The Postgres binaries' folder is not writable: ${path}. Run Tollgate as the user who ran the installation.`,
    );
  }
}
