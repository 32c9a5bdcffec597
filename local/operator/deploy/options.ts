import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../../paths.ts";
import { OperatorError } from "../project.ts";

export const USAGE =
  `npm run deploy -- [--dry-run | --yes] [--env-file <file>] [--project-ref <ref>] [--branch <name>]
                  [--db-url <url>] [--project-url <url>] [--workdir <folder>] [--before-stripe]

  --dry-run       checks everything, prints every step, changes nothing
  --yes           does not ask; needed where nobody can answer
  --env-file      the functions' secrets, e.g. .env.production; without it they come from the environment
  --project-ref   or SUPABASE_PROJECT_REF, or the linked project
  --branch        the preview branch of that project with this name
  --db-url        or SUPABASE_DB_URL: another way to the database than through the project's reference
  --project-url   where the functions are called, if not at https://<ref>.supabase.co
  --workdir       the folder with supabase/, if not this checkout
  --before-stripe STRIPE_WEBHOOK_SECRET may be missing: Stripe's side is made after the first deployment`;

export interface Options {
  dryRun: boolean;
  yes: boolean;
  envFile: string | null;
  projectRef: string | null;
  branch: string | null;
  dbUrl: string | null;
  projectUrl: string | null;
  beforeStripe: boolean;
  /** The folder that `supabase/` is in. */
  root: string;
}

const FLAGS = {
  "dry-run": { type: "boolean" },
  "yes": { type: "boolean" },
  "before-stripe": { type: "boolean" },
  "help": { type: "boolean" },
  "env-file": { type: "string" },
  "project-ref": { type: "string" },
  "branch": { type: "string" },
  "db-url": { type: "string" },
  "project-url": { type: "string" },
  "workdir": { type: "string" },
} as const;

/** Null when only help was asked for. */
export function readOptions(args: string[]): Options | null {
  const values = parse(args);
  if (values.help) return null;
  if (values["dry-run"] && values.yes) {
    throw new OperatorError("--dry-run and --yes contradict each other.");
  }
  const empty = Object.entries(values).find(([, value]) => value === "");
  if (empty) throw new OperatorError(`--${empty[0]} is empty.`);
  return {
    dryRun: values["dry-run"] ?? false,
    yes: values.yes ?? false,
    beforeStripe: values["before-stripe"] ?? false,
    envFile: values["env-file"] ?? null,
    projectRef: values["project-ref"] ?? null,
    branch: values.branch ?? null,
    dbUrl: values["db-url"] ?? null,
    projectUrl: values["project-url"] ?? null,
    root: absolute(values.workdir ?? ROOT),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: FLAGS, allowPositionals: false }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperatorError(`${reason}\n${USAGE}`);
  }
}

/** npm runs scripts in the folder of package.json and keeps the one it was called in. */
export function absolute(path: string): string {
  return isAbsolute(path) ? path : resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), path);
}
