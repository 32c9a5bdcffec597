import { cp, mkdir, symlink } from "node:fs/promises";
import postgres from "postgres";
import { startTestDatabase } from "../../local/testing.ts";
import { deploy } from "../../local/operator/deploy/run.ts";
import { readOptions } from "../../local/operator/deploy/options.ts";
import { OperatorError } from "../../local/operator/project.ts";
import { type ManagementApi, startManagementApi } from "./management_api.ts";
import { REF } from "./management_shapes.ts";
import { ROOT } from "./run.ts";

/** What the operator keeps in a file that git does not know. */
export const SECRETS = {
  STRIPE_SECRET_KEY: "sk_live_this_is_the_key_of_nobody",
  STRIPE_WEBHOOK_SECRET: "whsec_firstfirstfirst,whsec_second'second$HOME",
  SITE_URL: "https://chat.example.com",
  SMTP_URL: "smtps://user:p%40ssw0rd@smtp.example.com:465",
  EMAIL_FROM: "Tollgate <notices@example.com>",
};

/**
 * A checkout to deploy from (a copy, so that it can be broken), a Management API and the two databases behind it: of the project
 * and of its preview branch.
 */
export interface World {
  root: string;
  api: ManagementApi;
  main: postgres.Sql;
  branch: postgres.Sql;
  urls: { main: string; branch: string };
  envFile: string;
  /** Runs a deployment; never throws for what an operator is told. */
  run(...args: string[]): Promise<Run>;
  /** The same by the reference alone, without a URL of the database. */
  runByReference(...args: string[]): Promise<Run>;
  /** What a program of its own needs for the same. */
  flags(): string[];
  environment(): Record<string, string>;
  stop(): Promise<void>;
}

export interface Run {
  /** Everything that was printed, and the last error. */
  output: string;
  error: string | null;
}

export async function startWorld(): Promise<World> {
  const root = await copyCheckout();
  const database = await startTestDatabase();
  const branchUrl = await secondDatabase(database.database);
  const mainUrl = database.database.url;
  const api = await startManagementApi({ main: mainUrl, branch: branchUrl });
  const envFile = `${root}/.env.production`;
  await writeSecrets(envFile, SECRETS);
  const [main, branch] = [mainUrl, branchUrl].map((url) =>
    postgres(url, { max: 1, onnotice: () => {} })
  );
  if (!main || !branch) throw new Error("no connections");
  const runWith = (own: string[], args: string[]) => {
    const has = (flag: string) => args.some((one) => one.startsWith(flag));
    return runDeploy(environmentOf(api, root), [
      `--workdir=${root}`,
      ...(has("--dry-run") || has("--no-yes") ? [] : ["--yes"]),
      ...(has("--project-ref") ? [] : [`--project-ref=${REF}`]),
      ...(has("--env-file") ? [] : [`--env-file=${envFile}`]),
      ...(has("--project-url") ? [] : [`--project-url=${api.url}`]),
      ...(has("--db-url") ? [] : own),
      ...args.filter((one) => one !== "--no-yes"),
    ]);
  };
  return {
    root,
    api,
    main,
    branch,
    urls: { main: mainUrl, branch: branchUrl },
    envFile,
    run: (...args) => runWith([`--db-url=${mainUrl}?sslmode=disable`], args),
    runByReference: (...args) => runWith([], args),
    flags: () => [
      `--workdir=${root}`,
      `--project-ref=${REF}`,
      `--env-file=${envFile}`,
      `--project-url=${api.url}`,
      `--db-url=${mainUrl}?sslmode=disable`,
    ],
    environment: () => environmentOf(api, root),
    stop: async () => {
      await Promise.all([main.end(), branch.end(), api.stop()]);
      await database.stop();
      await Deno.remove(root, { recursive: true });
    },
  };
}

export async function writeSecrets(path: string, secrets: Record<string, string>): Promise<void> {
  const lines = Object.entries(secrets).map(([name, value]) => `${name}="${value}"\n`);
  await Deno.writeTextFile(path, lines.join(""), { mode: 0o600 });
}

/** What is deployed, and what is needed to check it. */
async function copyCheckout(): Promise<string> {
  // Symbolic links would make two names of one place.
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "tollgate-checkout-" }));
  await mkdir(`${root}/supabase`);
  await mkdir(`${root}/home`);
  for (const name of ["config.toml", "migrations", "functions", "seed.sql"]) {
    await cp(`${ROOT}supabase/${name}`, `${root}/supabase/${name}`, { recursive: true });
  }
  for (const name of ["deno.json", "package.json"]) {
    await cp(`${ROOT}${name}`, `${root}/${name}`);
  }
  await symlink(await Deno.realPath(`${ROOT}node_modules`), `${root}/node_modules`);
  return root;
}

/** A second cluster would take two seconds more; a copy of the empty database does not. */
async function secondDatabase(
  { adminUrl, url }: { adminUrl: string; url: string },
): Promise<string> {
  const admin = postgres(adminUrl.replace(/\/postgres$/, "/template1"), {
    max: 1,
    onnotice: () => {},
  });
  try {
    await admin`create database preview template postgres owner postgres`;
  } finally {
    await admin.end();
  }
  return url.replace(/\/postgres$/, "/preview");
}

/** Nothing of whoever runs the tests: no access token, no linked project. */
function environmentOf(api: ManagementApi, root: string): Record<string, string> {
  return {
    PATH: Deno.env.get("PATH") ?? "",
    HOME: `${root}/home`,
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
    SUPABASE_ACCESS_TOKEN: api.token,
    SUPABASE_PROFILE: api.profile,
    SUPABASE_NO_KEYRING: "1",
  };
}

async function runDeploy(environment: Record<string, string>, args: string[]): Promise<Run> {
  const lines: string[] = [];
  try {
    const options = readOptions(args);
    if (options === null) throw new Error("only help");
    await deploy(options, {
      environment,
      print: (line) => lines.push(line),
      confirm: null,
      health: { timeoutMs: 300, everyMs: 100 },
    });
    return { output: lines.join("\n"), error: null };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return { output: [...lines, error.message].join("\n"), error: error.message };
  }
}
