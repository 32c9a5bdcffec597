import { parseEnv } from "node:util";
import { z } from "zod";
import { readSettings } from "../env.ts";
import { ROOT } from "../paths.ts";
import { readTextIfAny } from "../util.ts";

/** The project that an operator's command works on. */
export interface Project {
  url: string;
  secretKey: string;
  /** What stands before the names of our functions, where a project took Tollgate in under other ones. */
  functionsPrefix?: string;
}

export class OperatorError extends Error {
  override name = "OperatorError";
}

const running = z.object({ api_url: z.string(), secret_key: z.string() });

/**
 * The project of `SUPABASE_URL` and `SUPABASE_SECRET_KEY` (environment or `.env`); without both, the one that `npm start`
 * runs at this moment. One of the two alone is refused: half of a production address must not mean the local project.
 */
export async function operatorProject(): Promise<Project> {
  const url = await setting("SUPABASE_URL");
  const secretKey = await setting("SUPABASE_SECRET_KEY");
  const functionsPrefix = await setting("TOLLGATE_FUNCTIONS_PREFIX") ?? "";
  if (url && secretKey) return { url: url.replace(/\/+$/, ""), secretKey, functionsPrefix };
  if (url || secretKey) {
    throw new OperatorError("Give both SUPABASE_URL and SUPABASE_SECRET_KEY, or neither.");
  }
  const { dataDir } = await readSettings({ ...Deno.env.toObject(), ...NOT_OURS });
  const stack = await readTextIfAny(`${dataDir}/stack.json`) ??
    await readTextIfAny(`${dataDir}-supabase/stack.json`);
  if (stack === null) {
    throw new OperatorError(
      "No project: `npm start` is not running, and SUPABASE_URL and SUPABASE_SECRET_KEY are not set.",
    );
  }
  const { api_url, secret_key } = running.parse(JSON.parse(stack));
  return { url: api_url, secretKey: secret_key };
}

/** Settings of `npm start` that are none of an operator's command's business, and must not be what it fails of. */
const NOT_OURS = { STRIPE_SECRET_KEY: "", STRIPE_WEBHOOK_SECRET: "", STRIPE_API_BASE: "" };

/** A setting of the environment, or else of `.env`. One that is left empty was not given. */
export async function setting(name: string): Promise<string | undefined> {
  const file = parseEnv(await readTextIfAny(`${ROOT}/.env`) ?? "");
  return (Deno.env.get(name) ?? file[name])?.trim() || undefined;
}

/** Calls one of our functions with the secret key. Throws what it refused. */
export async function callFunction(
  project: Project,
  name: string,
  body: unknown,
): Promise<unknown> {
  return await post(project, `functions/v1/${project.functionsPrefix ?? ""}${name}`, body);
}

/** Calls an RPC that only the secret key may. Throws what it refused. */
export async function callRpc(project: Project, name: string, args: unknown): Promise<unknown> {
  return await post(project, `rest/v1/rpc/${name}`, args);
}

async function post(project: Project, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${project.url}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", apikey: project.secretKey },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new OperatorError(`${project.url} cannot be reached.`);
  });
  const text = await response.text();
  if (response.ok) return text === "" ? null : JSON.parse(text);
  throw new OperatorError(`${path} answered ${response.status}: ${text.slice(0, 500)}`);
}

/** Runs a command and turns what an operator can do something about into one line and exit code 1. */
export async function runCommand(work: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await work());
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    console.error(`✗ ${error.message}`);
    Deno.exit(1);
  }
}
