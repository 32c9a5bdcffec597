import { z } from "zod";
import { readTextIfAny } from "../../util.ts";
import { OperatorError } from "../project.ts";
import type { Cli } from "./cli.ts";
import type { Options } from "./options.ts";
import type { Access } from "./settings.ts";

/** Where it goes: a project, or the preview branch of one, which is a project of its own with a reference of its own. */
export interface Target {
  ref: string;
  name: string;
  preview: boolean;
  /** Where its functions are called, without a slash at the end. */
  url: string;
}

const REF = /^[a-z]{20}$/;
const projects = z.array(z.object({ ref: z.string(), name: z.string(), status: z.string() }));
const branches = z.array(z.object({
  name: z.string(),
  project_ref: z.string(),
  is_default: z.boolean(),
  status: z.string(),
}));
const BRANCH_BUSY = ["CREATING_PROJECT", "RUNNING_MIGRATIONS"];

/** Finds the project, or the branch of it, and whether it can be worked on. Asks only. */
export async function findTarget(cli: Cli, options: Options, access: Access): Promise<Target> {
  const ref = await projectRef(options, access);
  if (options.branch !== null) return await findBranch(cli, ref, options.branch, options);
  const found = projects.parse(await cli.json(["projects", "list"])).find((one) => one.ref === ref);
  if (found === undefined) return await previewProject(cli, ref, options, access);
  if (found.status !== "ACTIVE_HEALTHY") {
    throw new OperatorError(`${found.name} (${ref}) is ${found.status}: it must be up.`);
  }
  return { ref, name: found.name, preview: false, url: urlOf(ref, options, access.projectUrl) };
}

async function projectRef({ projectRef, root }: Options, access: Access): Promise<string> {
  const linked = await readTextIfAny(`${root}/supabase/.temp/project-ref`);
  const ref = projectRef ?? access.projectRef ?? linked?.trim();
  if (!ref) {
    throw new OperatorError(
      "Which project? --project-ref, SUPABASE_PROJECT_REF, or `npx supabase link`.",
    );
  }
  if (!REF.test(ref)) {
    throw new OperatorError(`${ref} is no project reference: those are twenty small letters.`);
  }
  return ref;
}

async function findBranch(
  cli: Cli,
  parent: string,
  name: string,
  options: Options,
): Promise<Target> {
  const all = branches.parse(await cli.json(["branches", "list", `--remote=${parent}`]));
  const branch = all.find((one) => one.name === name);
  if (branch === undefined) {
    const names = all.filter((one) => !one.is_default).map((one) => one.name);
    throw new OperatorError(`${parent} has no branch ${name}; it has ${list(names)}.`);
  }
  if (branch.is_default) {
    throw new OperatorError(`${name} is production itself: leave --branch out.`);
  }
  if (BRANCH_BUSY.includes(branch.status)) {
    throw new OperatorError(`Supabase is still making branch ${name} (${branch.status}).`);
  }
  const ref = branch.project_ref;
  return { ref, name: `branch ${name} of ${parent}`, preview: true, url: urlOf(ref, options) };
}

/** A preview branch is not in the list of projects, but can be asked for by its reference. */
async function previewProject(
  cli: Cli,
  ref: string,
  options: Options,
  access: Access,
): Promise<Target> {
  try {
    await cli.run(["branches", "get", ref, `--remote=${ref}`]);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    throw new OperatorError(`There is no project ${ref}, or the access token does not see it.`);
  }
  const url = urlOf(ref, options, access.projectUrl);
  return { ref, name: "a preview branch", preview: true, url };
}

/** A branch is looked up under the settings of its parent, whose address is not its own. */
function urlOf(ref: string, { projectUrl }: Options, ofSettings?: string): string {
  const url = projectUrl ?? ofSettings ?? `https://${ref}.supabase.co`;
  if (!URL.canParse(url)) throw new OperatorError("--project-url (or SUPABASE_URL) is no URL.");
  const other = otherProject(url, ref);
  if (other !== null) {
    throw new OperatorError(
      projectUrl === null
        ? `SUPABASE_URL belongs to project ${other}, not to ${ref}: unset it, or say --project-url.`
        : `--project-url belongs to project ${other}, not to ${ref}.`,
    );
  }
  return url.replace(/\/+$/, "");
}

/** Which other project an address is of, if it says so. The jobs would call it, and a key that came with it is that one's. */
export function otherProject(url: string, ref: string): string | null {
  const host = URL.canParse(url) ? new URL(url).hostname : "";
  const found = /^([a-z]{20})\.supabase\.co$/.exec(host)?.[1];
  return found === undefined || found === ref ? null : found;
}

export function list(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.join(", ");
}
