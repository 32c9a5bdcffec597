import { parseEnv } from "node:util";
import { problemsWith, SETTING_NAMES } from "../../../supabase/functions/_shared/env.ts";
import { readTextIfAny } from "../../util.ts";
import { OperatorError } from "../project.ts";
import { absolute } from "./options.ts";

/** What the deployment itself needs, and never gives to the functions. */
export interface Access {
  accessToken: string | undefined;
  projectRef: string | undefined;
  dbUrl: string | undefined;
  dbPassword: string | undefined;
  projectUrl: string | undefined;
  secretKey: string | undefined;
}

export interface Settings {
  access: Access;
  /** The functions' secrets by name. */
  secrets: Record<string, string>;
  /** The file they came from; null: the environment. */
  envFile: string | null;
}

/** Those of the web client's build and of the local platform are no business of the functions. */
const NOT_FOR_FUNCTIONS = /^(SUPABASE|VITE|TOLLGATE)_/;
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/**
 * The access comes from the environment or from the file, the environment first. The functions' secrets come from the file
 * alone when there is one: a test key left over in somebody's shell must not reach production past it.
 */
export async function readSettings(
  envFile: string | null,
  environment: Readonly<Record<string, string>> = Deno.env.toObject(),
): Promise<Settings> {
  const file = envFile === null ? null : await readEnvFile(absolute(envFile));
  const given = (name: string) => environment[name]?.trim() || file?.[name]?.trim() || undefined;
  const access: Access = {
    accessToken: given("SUPABASE_ACCESS_TOKEN"),
    projectRef: given("SUPABASE_PROJECT_REF"),
    dbUrl: given("SUPABASE_DB_URL"),
    dbPassword: given("SUPABASE_DB_PASSWORD"),
    projectUrl: given("SUPABASE_URL"),
    secretKey: given("SUPABASE_SECRET_KEY"),
  };
  const names = file === null ? SETTING_NAMES : Object.keys(file);
  const source = file ?? environment;
  const secrets = Object.fromEntries(
    names.filter((name) => !NOT_FOR_FUNCTIONS.test(name))
      .map((name) => [name, source[name] ?? ""])
      // A line left empty, as in a copied example, is one that was not given.
      .filter(([, value]) => value?.trim() !== ""),
  );
  return { access, secrets, envFile };
}

async function readEnvFile(path: string): Promise<Record<string, string>> {
  const text = await readTextIfAny(path);
  if (text === null) throw new OperatorError(`${path} is not there.`);
  if (await isTracked(path)) {
    throw new OperatorError(
      `${path} is tracked by git: secrets in it are already in the history. Take it out and change them.`,
    );
  }
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseEnv(text))) values[name] = value ?? "";
  return values;
}

async function isTracked(path: string): Promise<boolean> {
  const [folder, name] = [path.replace(/[/\\][^/\\]*$/, ""), path.replace(/^.*[/\\]/, "")];
  try {
    const { success } = await new Deno.Command("git", {
      args: ["-C", folder, "ls-files", "--error-unmatch", "--", name],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    // Without git nothing is tracked here.
    return false;
  }
}

/** What is wrong with the functions' secrets, by name and never by value. */
export function problemsWithSecrets(
  secrets: Readonly<Record<string, string>>,
  { preview, beforeStripe }: { preview: boolean; beforeStripe: boolean },
): string[] {
  const mayBeMissing = beforeStripe && secrets["STRIPE_WEBHOOK_SECRET"] === undefined;
  const problems = problemsWith(secrets)
    .filter((problem) => !(mayBeMissing && problem.startsWith("STRIPE_WEBHOOK_SECRET:")))
    .map((problem) => inWords(problem, secrets));
  const live = /^(sk|rk)_live_/.test(secrets["STRIPE_SECRET_KEY"]?.trim() ?? "");
  if (preview && live) problems.push("STRIPE_SECRET_KEY: is a live key, and this is a preview");
  const origins = [secrets["SITE_URL"], ...(secrets["ALLOWED_ORIGINS"] ?? "").split(",")];
  for (const origin of origins) {
    const url = parseUrl(origin);
    if (url === null || url.protocol === "https:") continue;
    // Somebody who develops against a preview serves the web client from their own machine.
    if (preview && LOOPBACK.includes(url.hostname)) continue;
    problems.push(
      `${origin === secrets["SITE_URL"] ? "SITE_URL" : "ALLOWED_ORIGINS"}: must be https`,
    );
  }
  if (LOOPBACK.includes(parseUrl(secrets["STRIPE_API_BASE"])?.hostname ?? "")) {
    problems.push("STRIPE_API_BASE: is this machine, which the project cannot reach");
  }
  return [...new Set(problems)];
}

/** What was not given at all is missing, not of a wrong type. */
function inWords(problem: string, secrets: Readonly<Record<string, string>>): string {
  const name = /^\w+/.exec(problem)?.[0] ?? "";
  return secrets[name]?.trim() ? problem : `${name} is missing (environment or --env-file)`;
}

/** One line for people about what will be set; names only. */
export function describeSecrets({ secrets, envFile }: Settings): string {
  const names = Object.keys(secrets).toSorted();
  const mode = /^(sk|rk)_live_/.test(secrets["STRIPE_SECRET_KEY"]?.trim() ?? "")
    ? "live mode"
    : "test mode";
  return `${names.join(", ")} of ${envFile ?? "the environment"}; Stripe in ${mode}`;
}

function parseUrl(text: string | undefined): URL | null {
  return text !== undefined && URL.canParse(text.trim()) ? new URL(text.trim()) : null;
}
