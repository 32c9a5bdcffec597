import { z } from "zod";
import { OperatorError } from "../project.ts";
import { type Cli, cliEnvironment, createCli } from "./cli.ts";
import { checkSameProject, type Database, openDatabase, splitDatabaseUrl } from "./database.ts";
import { bundleable, checkTypes, type FunctionsToDeploy, readFunctions } from "./functions.ts";
import { type Migration, pendingMigrations, readHistory, readMigrations } from "./history.ts";
import type { Options } from "./options.ts";
import { type Proof, prove } from "./proof.ts";
import { type Redactor, redactor } from "./redact.ts";
import { readRelease } from "./release.ts";
import { createReport, type Report } from "./report.ts";
import { describeSecrets, problemsWithSecrets, readSettings, type Settings } from "./settings.ts";
import { type Check, runChecks, runSteps, type Step } from "./step.ts";
import { advisorsStep } from "./steps/advisors.ts";
import { functionsStep } from "./steps/functions.ts";
import { healthStep } from "./steps/health.ts";
import { jobsStep } from "./steps/jobs.ts";
import { pushStep } from "./steps/push.ts";
import { secretsStep } from "./steps/secrets.ts";
import { vaultStep } from "./steps/vault.ts";
import { findTarget, otherProject, type Target } from "./target.ts";

/** What surrounds a deployment; the tests have their own. */
export interface Surroundings {
  environment: Readonly<Record<string, string>>;
  print: (line: string) => void;
  /** Asks the person at the terminal; null where there is none. */
  confirm: ((question: string) => boolean) | null;
  health: { timeoutMs: number; everyMs: number };
}

/** What the checks found, for the steps to work with. */
interface Found {
  migrations: Migration[];
  pending: Migration[];
  database: Database;
  functions: FunctionsToDeploy;
  target: Target;
  proof: Proof;
}

/** Checks everything, then does what is still to be done. Throws an OperatorError for whatever a person can mend. */
export async function deploy(options: Options, surroundings: Surroundings): Promise<void> {
  const { dryRun, yes } = options;
  if (!dryRun && !yes && surroundings.confirm === null) {
    throw new OperatorError("Nobody can be asked here: say --yes, or --dry-run.");
  }
  const settings = await readSettings(options.envFile, surroundings.environment);
  const equipment = equip(options, settings, surroundings);
  const { report, cli } = equipment;
  const { version, commit } = await readRelease(options.root);
  report.title(`Tollgate ${version}${commit === null ? "" : ` (${commit})`}: checks`);
  const found: Partial<Found> = {};
  const [quick, slow] = checksOf(cli, options, settings, found);
  // What takes long is not begun for something that is refused anyway.
  const failed = await runChecks(quick, report) || await runChecks(slow, report);
  const { migrations, pending, database, functions, target, proof } = found;
  if (failed > 0 || !migrations || !pending || !database || !functions || !target || !proof) {
    throw new OperatorError(`${failed} of the checks failed. Nothing was changed.`);
  }
  confirm(options, target, surroundings, report);
  report.title(`${target.name} (${target.ref})${options.dryRun ? ", dry run" : ""}`);
  const secretKey = keyOf(equipment, options, settings, target);
  const steps: Step[] = [
    pushStep(cli, database, { migrations, pending }),
    secretsStep(cli, target.ref, settings.secrets),
    functionsStep(cli, database, target.ref, functions, { version, commit }),
    vaultStep(database, { project_url: target.url, secret_key: secretKey }),
    jobsStep(database, proof.jobs),
    advisorsStep(cli, database),
    healthStep(functions.functions.map(({ slug }) => slug), {
      url: target.url,
      secretKey,
      ...surroundings.health,
    }),
  ];
  await runSteps(steps, options.dryRun, report);
  report.line(options.dryRun ? "\nNothing was changed." : whatIsNext(settings));
}

function whatIsNext({ secrets }: Settings): string {
  return secrets["STRIPE_WEBHOOK_SECRET"] === undefined
    ? "\nDeployed; every function refuses to work until STRIPE_WEBHOOK_SECRET is set. Next: `npm run stripe:setup` shows it;\n" +
      "put it beside the others and run this again."
    : "\nDeployed. Next, when the catalogue changed: `npm run stripe:setup`; and the web client's build.";
}

interface Equipment {
  cli: Cli;
  report: Report;
  redact: Redactor;
}

function equip(
  options: Options,
  { access, secrets }: Settings,
  surroundings: Surroundings,
): Equipment {
  const redact = redactor([
    access.accessToken,
    access.dbPassword,
    access.secretKey,
    access.dbUrl,
    options.dbUrl ?? undefined,
    ...Object.entries(secrets).filter(([name]) => !PUBLIC.includes(name))
      .flatMap(([, value]) => [value, ...value.split(",").map((part) => part.trim())]),
  ]);
  const environment = cliEnvironment(surroundings.environment, {
    SUPABASE_ACCESS_TOKEN: access.accessToken,
    // The parent's password is of no use to a branch, and would be refused there.
    SUPABASE_DB_PASSWORD: options.branch === null ? access.dbPassword : undefined,
    SUPABASE_PROJECT_ID: undefined,
  });
  return {
    redact,
    report: createReport(redact, surroundings.print),
    cli: createCli(options.root, environment, redact),
  };
}

/** No secrets, and of use to whoever reads an error. */
const PUBLIC = ["SITE_URL", "ALLOWED_ORIGINS", "CLIENT_ADDRESS_HEADER", "STRIPE_API_BASE"];

function checksOf(
  cli: Cli,
  options: Options,
  settings: Settings,
  found: Partial<Found>,
): [quick: Check[], slow: Check[]] {
  const { root } = options;
  const quick: Check[] = [
    {
      name: "secrets",
      look: () => Promise.resolve(lookAtSecrets(options, settings, options.branch !== null)),
    },
    {
      name: "project",
      look: async () => {
        found.target = await findTarget(cli, options, settings.access);
        return `${found.target.name} (${found.target.ref}), functions at ${found.target.url}`;
      },
    },
    {
      name: "migrations",
      look: async () => {
        found.migrations = await readMigrations(root);
        return `${found.migrations.length}, in order`;
      },
    },
    {
      name: "functions",
      look: async () => {
        found.functions = await bundleable(root, await readFunctions(root));
        return `${found.functions.functions.length}, every import can be followed`;
      },
    },
    {
      name: "history",
      look: async () => await lookAtHistory(cli, options, settings, found),
    },
  ];
  const slow: Check[] = [
    {
      name: "types",
      look: async () => {
        await checkTypes(root, found.functions ?? missing("functions"));
        return "the functions type-check";
      },
    },
    {
      name: "proof",
      look: async () => {
        found.proof = await prove(cli, found.migrations ?? missing("migrations"));
        return "the migrations apply to an empty database, and the advisors find nothing";
      },
    },
  ];
  return [quick, slow];
}

function lookAtSecrets(options: Options, settings: Settings, preview: boolean): string {
  const { beforeStripe } = options;
  const problems = problemsWithSecrets(settings.secrets, { preview, beforeStripe });
  if (problems.length > 0) throw new OperatorError(problems.join("\n"));
  return describeSecrets(settings);
}

async function lookAtHistory(
  cli: Cli,
  options: Options,
  settings: Settings,
  found: Partial<Found>,
): Promise<string> {
  const target = found.target ?? missing("project");
  // What was given as a reference may have turned out to be a preview.
  if (target.preview) lookAtSecrets(options, settings, true);
  const database = databaseOf(cli, options, settings, target);
  const history = await readHistory(database);
  const pending = pendingMigrations(found.migrations ?? missing("migrations"), history);
  Object.assign(found, { database, pending });
  return `${history.length} applied and unchanged, ${pending.length} to apply`;
}

function missing(check: string): never {
  throw new OperatorError(`not looked at: see ${check}`);
}

/** By its URL when one is given. Of a branch only a flag can: the settings are those of its parent. */
function databaseOf(cli: Cli, options: Options, { access }: Settings, target: Target): Database {
  const url = options.dbUrl ?? (options.branch === null ? access.dbUrl : undefined);
  if (url === undefined) return openDatabase(cli, target.ref, {});
  const { remote, env } = splitDatabaseUrl(url);
  checkSameProject(remote, target.ref);
  return openDatabase(cli, remote, env);
}

const keys = z.array(z.object({ type: z.string().nullish(), api_key: z.string().nullish() }));

/** The secret key for the Vault: the one that was given, or the project's own. */
function keyOf(
  { cli, redact }: Equipment,
  { branch }: Options,
  { access }: Settings,
  target: Target,
): () => Promise<string> {
  let known: Promise<string> | undefined;
  const find = async () => {
    // One that stands beside another project's address is that project's.
    const isTheirs = otherProject(access.projectUrl ?? "", target.ref) !== null;
    if (access.secretKey && branch === null && !isTheirs) return access.secretKey;
    const answer = await cli.json(["projects", "api-keys", "--reveal", `--remote=${target.ref}`]);
    const key = keys.parse(answer).find(({ type }) => type === "secret")?.api_key;
    if (!key?.startsWith("sb_secret_")) {
      throw new OperatorError(
        "The project shows no secret key (sb_secret_…): make one in its settings, API keys, or give SUPABASE_SECRET_KEY.",
      );
    }
    redact.learn(key);
    return key;
  };
  return () => known ??= find();
}

function confirm(
  { dryRun, yes }: Options,
  target: Target,
  { confirm }: Surroundings,
  report: Report,
): void {
  if (dryRun || yes) return;
  report.line("");
  if (!confirm?.(`Deploy to ${target.name} (${target.ref})?`)) {
    throw new OperatorError("Nothing was changed.");
  }
}
