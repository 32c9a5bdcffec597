import { z } from "zod";
import { readTextIfAny } from "../../util.ts";

/** What is being deployed, for people to recognise. */
export interface Release {
  /** Of package.json. */
  version: string;
  /** Git's short name of the commit, with `+` when there is more than was committed; null without git. */
  commit: string | null;
}

export async function readRelease(root: string): Promise<Release> {
  const text = await readTextIfAny(`${root}/package.json`);
  const { version } = z.object({ version: z.string().default("0.0.0") })
    .parse(JSON.parse(text ?? "{}"));
  const commit = await git(root, ["rev-parse", "--short", "HEAD"]);
  if (commit === null) return { version, commit };
  const changes = await git(root, ["status", "--porcelain", "--", "supabase"]);
  return { version, commit: changes === "" ? commit : `${commit}+` };
}

async function git(root: string, args: string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["-C", root, ...args],
      stdout: "piped",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null;
  }
}
