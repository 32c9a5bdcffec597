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
  /** Where our RPCs are, when a project took Tollgate in: a schema of its own instead of `public`. */
  schema?: string;
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
  if (url && secretKey) {
    return {
      ...{ url: ourAddress(url), secretKey },
      functionsPrefix: await setting("TOLLGATE_FUNCTIONS_PREFIX") ?? "",
      schema: await setting("TOLLGATE_SCHEMA") ?? "public",
    };
  }
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

/** The secret key goes there, so nobody on the way may read it. */
function ourAddress(url: string): string {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  const isHere = ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
  if (protocol === "https:" || (protocol === "http:" && isHere)) return url.replace(/\/+$/, "");
  throw new OperatorError(`SUPABASE_URL must be an https address: ${url}`);
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
  return read(name, await send(project, functionPath(project, name), body));
}

/** What a function of ours says to a GET, whatever its status. */
export async function askFunction(
  project: Project,
  name: string,
): Promise<{ status: number; text: string }> {
  return await send(project, functionPath(project, name));
}

function functionPath({ functionsPrefix = "" }: Project, name: string): string {
  return `functions/v1/${functionsPrefix}${name}`;
}

/** Calls an RPC that only the secret key may. Throws what it refused. */
export async function callRpc(project: Project, name: string, args: unknown): Promise<unknown> {
  return read(name, await send(project, `rest/v1/rpc/${name}`, args));
}

function read(name: string, { status, text }: { status: number; text: string }): unknown {
  if (status < 300) return text === "" ? null : JSON.parse(text);
  throw new OperatorError(`${name} answered ${status}: ${text.slice(0, 500)}`);
}

async function send(
  { url, secretKey, schema = "public" }: Project,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}/${path}`, {
    headers: {
      apikey: secretKey,
      ...(body !== undefined && { "content-type": "application/json", "content-profile": schema }),
    },
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    // The key would go along to wherever it leads.
    redirect: "error",
  }).catch(() => {
    throw new OperatorError(`${url} cannot be reached, or leads elsewhere.`);
  });
  return { status: response.status, text: await response.text() };
}

/** Runs a command and turns what an operator can do something about into one line and exit code 1. */
export async function runCommand(work: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await work());
  } catch (error) {
    if (!(error instanceof OperatorError) && !isMistyped(error)) throw error;
    console.error(`✗ ${error.message}`);
    Deno.exit(1);
  }
}

/** `parseArgs` found an option that there is not, or one without its value. */
function isMistyped(error: unknown): error is TypeError {
  return error instanceof TypeError && "code" in error &&
    String(error.code).startsWith("ERR_PARSE_ARGS");
}
