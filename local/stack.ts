import { type Api, startApi } from "./api.ts";
import { type ProjectConfig, readProjectConfig } from "./config.ts";
import { type CronWorker, startCron } from "./cron.ts";
import { type Functions, startFunctions } from "./functions.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startMailCatcher } from "./mail/catcher.ts";
import { migrate, writeVaultSecrets } from "./migrate.ts";
import { type NetWorker, startNet } from "./net.ts";
import { preparePlatform } from "./platform.ts";
import { requireKnownPlatform } from "./os_user.ts";
import { checkPorts, reservePorts } from "./ports.ts";
import { type Database, startPostgres } from "./postgres.ts";
import { setUpCatalogue, setUpEndpoints } from "./stripe_setup/local.ts";
import { stripeClient } from "./stripe_setup/mod.ts";
import { type Child, Supervisor } from "./supervisor.ts";
import { Tokens } from "./tokens.ts";
import type Stripe from "stripe";
import { exists, logFile, messageOf, StartError, within, writeAtomically } from "./util.ts";
import {
  DEFAULTS,
  JWT_SECRET,
  PUBLISHABLE_KEY,
  SANDBOX_KEY,
  SECRET_KEY,
  type Stack,
  type StackOptions,
} from "./stack_options.ts";
import { startSupabase, type Supabase } from "./supabase/platform.ts";
import { startWeb } from "./web.ts";
import { FUNCTIONS, ROOT } from "./paths.ts";

export { PUBLISHABLE_KEY, SANDBOX_KEY, SECRET_KEY, type Stack, type StackOptions };

/** Nothing is stopped before what uses it. */
const STOP_ORDER = [
  "announcement",
  "web",
  "gateway",
  "functions",
  "supabase",
  "mail",
  "workers",
  "api",
  "sandbox",
  "database",
  "supervisor",
] as const;
type Part = typeof STOP_ORDER[number];

/** Containers take their time. */
const PATIENCE_MS: Partial<Record<Part, number>> = { supabase: 120_000 };

type Sandbox = { url: string; stop: () => Promise<void> };

/** Brings the whole product up and resolves when every part answers. Whatever was started is stopped again when a part fails. */
export async function startStack(options: Partial<StackOptions> = {}): Promise<Stack> {
  requireKnownPlatform();
  const temporary = options.dataDir === undefined
    ? await Deno.makeTempDir({ prefix: "tollgate-" })
    : null;
  const dataDir = options.dataDir ?? temporary ?? "";
  // Whoever runs Postgres must be able to pass; what is secret in here has its own mode.
  await Deno.mkdir(dataDir, { recursive: true });
  if (temporary) await Deno.chmod(temporary, 0o755);
  const supervisor = await Supervisor.start(dataDir);
  const reserved = options.ports === undefined ? await reservePorts() : null;
  const builder = new StackBuilder({
    ...DEFAULTS,
    ...options,
    dataDir,
    ports: options.ports ?? reserved?.ports ?? DEFAULTS.ports,
    durable: options.durable ?? temporary === null,
  }, supervisor);
  builder.onStop("supervisor", async () => {
    await supervisor.close();
    reserved?.release();
    if (temporary) await Deno.remove(temporary, { recursive: true }).catch(() => {});
  });
  try {
    return await builder.build();
  } catch (error) {
    await builder.stop();
    throw error;
  }
}

class StackBuilder {
  readonly #options: StackOptions;
  readonly #supervisor: Supervisor;
  readonly #tokens = new Tokens(JWT_SECRET);
  readonly #stops: { part: Part; stop: () => Promise<void> }[] = [];
  readonly #failure = Promise.withResolvers<string>();
  #keys = { publishable: PUBLISHABLE_KEY, secret: SECRET_KEY };
  #stopping: Promise<void> | null = null;

  constructor(options: StackOptions, supervisor: Supervisor) {
    this.#options = options;
    this.#supervisor = supervisor;
  }

  onStop(part: Part, stop: () => Promise<void>): void {
    this.#stops.push({ part, stop });
  }

  get #urls() {
    const { web, api, database, stripe, inbox } = this.#options.ports;
    return {
      web: `http://127.0.0.1:${web}`,
      api: `http://127.0.0.1:${api}`,
      db: `postgresql://postgres:postgres@127.0.0.1:${database}/postgres`,
      stripe: this.#options.stripe
        ? this.#options.stripe.apiBase ?? "https://api.stripe.com"
        : `http://127.0.0.1:${stripe}`,
      inbox: `http://127.0.0.1:${inbox}`,
    };
  }

  get #siteUrl(): string {
    return this.#options.siteUrl || this.#urls.web;
  }

  async build(): Promise<Stack> {
    const { ports, web, stripe, supabase } = this.#options;
    await checkPorts({
      // The CLI's stack may run already, and says itself who else is in its way.
      ...(supabase ? {} : { api: ports.api, database: ports.database }),
      inbox: ports.inbox,
      smtp: ports.smtp,
      ...(web ? { web: ports.web } : {}),
      ...(stripe ? {} : { stripe: ports.stripe }),
    });
    const config = await readProjectConfig();
    if (supabase) return await this.#buildOnSupabase(config, supabase);
    // Chains that need nothing of each other: the database, Stripe with the functions, the web client, the mail catcher.
    const [database, { sandbox, webhookSecret, functions }] = await settled([
      this.#timed("Postgres", () => this.#database(config)),
      this.#stripeAndFunctions(),
      this.#timed("web client", () => this.#web()),
      this.#mail(),
    ]);
    const [api] = await settled([
      this.#timed("Auth and REST", () => this.#api(database, config)),
      this.#workers(database),
    ]);
    this.#gateway(api, config, functions);
    // After the gateway: what this creates is announced to our webhook at once.
    await this.#timed("catalogue in Stripe", () => this.#catalogue(database, sandbox));
    return await this.#announce(webhookSecret);
  }

  /** Auth, REST, database and functions by the official CLI; Stripe, e-mails and the web client are ours all the same. */
  async #buildOnSupabase(
    config: ProjectConfig,
    chosen: NonNullable<StackOptions["supabase"]>,
  ): Promise<Stack> {
    const { ports, dataDir, log } = this.#options;
    const [supabase, { sandbox, webhookSecret }] = await settled([
      this.#timed("Supabase (official CLI)", async () => {
        const started = await startSupabase({ ...chosen, ports, dataDir, config, log });
        this.onStop("supabase", () => started.stop());
        return started;
      }),
      this.#stripe(),
      this.#mail(),
    ]);
    this.#keys = { publishable: supabase.publishableKey, secret: supabase.secretKey };
    await settled([
      this.#timed("Edge Functions", () => this.#serveFunctions(supabase, webhookSecret)),
      this.#timed("web client", () => this.#web()),
    ]);
    await this.#timed("catalogue in Stripe", () => this.#catalogue(supabase.database, sandbox));
    return await this.#announce(webhookSecret);
  }

  /** From inside a container this machine has another name. */
  async #serveFunctions(supabase: Supabase, webhookSecret: string): Promise<void> {
    if (!this.#options.functions) return;
    const env = this.#functionEnvironment(webhookSecret);
    for (const name of ["STRIPE_API_BASE", "SMTP_URL"]) {
      if (env[name]) env[name] = env[name].replace("//127.0.0.1", `//${supabase.hostName}`);
    }
    await supabase.serveFunctions(env, this.#supervisor);
  }

  async stop(): Promise<void> {
    return await (this.#stopping ??= this.#stopAll());
  }

  async #stopAll(): Promise<void> {
    this.#stops.sort((a, b) => STOP_ORDER.indexOf(a.part) - STOP_ORDER.indexOf(b.part));
    for (const { part, stop } of this.#stops) {
      const done = stop().catch((error) => this.#options.log(`stop: ${part}: ${messageOf(error)}`));
      if (!(await within(PATIENCE_MS[part] ?? 15_000, done))) {
        this.#options.log(`stop: ${part} did not end in time`);
      }
    }
  }

  #fail(sentence: string): void {
    if (!this.#stopping) this.#failure.resolve(sentence);
  }

  async #timed<T>(name: string, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await work();
    this.#options.onProgress(name, performance.now() - begun);
    return result;
  }

  async #database(config: ProjectConfig): Promise<Database> {
    const { dataDir, ports, durable, postgres, log, migrations } = this.#options;
    const database = await this.#timed(
      "  server",
      () =>
        startPostgres({ dataDir, port: ports.database, durable, ...postgres }, this.#supervisor),
    );
    this.onStop("database", () => database.stop());
    void database.exited.then(() =>
      this.#fail("Postgres has ended; see logs/postgres.log in the data directory.")
    );
    const current = await this.#timed("  platform", () => preparePlatform(database, JWT_SECRET));
    if (!current) {
      log(
        "This data directory was made by an older local platform; `npm run reset` gives you the new one.",
      );
    }
    if (migrations) {
      await this.#timed("  migrations", () => migrate({ database, dataDir, config, log }));
    }
    await writeVaultSecrets(database, { project_url: this.#urls.api, secret_key: SECRET_KEY });
    return database;
  }

  async #sandbox(): Promise<Sandbox | null> {
    const { ports, dataDir, log, stripe } = this.#options;
    if (stripe || !(await exists(`${ROOT}/local/stripe/server.ts`))) return null;
    const { startStripeSandbox } = await import("./stripe/server.ts");
    const keep = await logFile(dataDir, "stripe");
    const sandbox = await startStripeSandbox({
      port: ports.stripe,
      dataDir,
      secretKey: SANDBOX_KEY,
      log: (line) => {
        keep(line);
        // What went well is for the file; a refusal or a failed delivery is for the eye.
        if (!/^stripe [23]\d\d /.test(line)) log(line);
      },
    });
    this.onStop("sandbox", () => sandbox.stop());
    return sandbox;
  }

  async #web(): Promise<Child | null> {
    const { web, ports, dataDir, log } = this.#options;
    if (!web) return null;
    const child = await startWeb({
      dataDir,
      port: ports.web,
      apiUrl: this.#urls.api,
      publishableKey: this.#keys.publishable,
      log,
    }, this.#supervisor);
    if (!child) return null;
    this.onStop("web", () => child.stop());
    void child.exited.then(() => {
      if (!this.#stopping) log("web: Vite has ended; start Tollgate again to have it back.");
    });
    return child;
  }

  async #mail(): Promise<void> {
    const { ports, log } = this.#options;
    const catcher = await startMailCatcher({ smtpPort: ports.smtp, inboxPort: ports.inbox, log });
    this.onStop("mail", () => catcher.stop());
  }

  async #api(database: Database, config: ProjectConfig): Promise<Api> {
    const api = await startApi({
      database,
      config,
      jwtSecret: JWT_SECRET,
      publishableKey: PUBLISHABLE_KEY,
      secretKey: SECRET_KEY,
      apiUrl: this.#urls.api,
      siteUrl: this.#siteUrl,
      log: this.#options.log,
    });
    this.onStop("api", () => api.stop());
    return api;
  }

  async #stripe() {
    const sandbox = await this.#timed("Stripe sandbox", () => this.#sandbox());
    return { sandbox, webhookSecret: await this.#webhook(sandbox) };
  }

  async #stripeAndFunctions() {
    const { sandbox, webhookSecret } = await this.#stripe();
    const functions = await this.#timed("Edge Functions", () => this.#functions(webhookSecret));
    return { sandbox, webhookSecret, functions };
  }

  #stripeClient(): Stripe {
    const { stripe } = this.#options;
    return stripeClient(
      stripe?.secretKey ?? SANDBOX_KEY,
      stripe ? stripe.apiBase : this.#urls.stripe,
    );
  }

  /**
   * The signing secrets of the endpoints that bring Stripe's events to us: first that of the ordinary events, then those of
   * connected accounts' and of thin ones. With real Stripe, which cannot reach this machine, they were given.
   */
  async #webhook(sandbox: Sandbox | null): Promise<string> {
    const { stripe, dataDir } = this.#options;
    if (stripe) return stripe.webhookSecret;
    if (!sandbox) return "";
    const url = `${this.#urls.api}/functions/v1/stripe-webhook`;
    return (await setUpEndpoints(this.#stripeClient(), url, dataDir)).join(",");
  }

  async #catalogue(database: Database, sandbox: Sandbox | null): Promise<void> {
    if (!this.#options.stripe && !sandbox) return;
    try {
      await setUpCatalogue(this.#stripeClient(), database);
    } catch (error) {
      if (!this.#options.stripe) throw error;
      throw new StartError(
        `Stripe (${this.#urls.stripe}) did not take the catalogue: ${messageOf(error)} ` +
          "Look at STRIPE_SECRET_KEY and STRIPE_API_BASE, or leave them out for the sandbox.",
      );
    }
  }

  async #workers(database: Database): Promise<void> {
    const { cron, postgres, log } = this.#options;
    const net: NetWorker = await startNet(database, log);
    this.onStop("workers", () => net.stop());
    // Where the real pg_cron is loaded, it does its own work.
    if (!cron || postgres.preload?.includes("pg_cron")) return;
    const worker: CronWorker = await startCron(database, log);
    this.onStop("workers", () => worker.stop());
  }

  async #functions(webhookSecret: string): Promise<Functions | null> {
    const { functions, dataDir, watch, log, stripe, ports } = this.#options;
    if (!functions) return null;
    const started = await startFunctions({
      folder: FUNCTIONS,
      dataDir,
      watch,
      log,
      env: this.#functionEnvironment(webhookSecret),
      network: [
        `127.0.0.1:${ports.api}`,
        `127.0.0.1:${ports.database}`,
        stripe ? hostAndPort(this.#urls.stripe) : `127.0.0.1:${ports.stripe}`,
        `127.0.0.1:${ports.smtp}`,
      ],
    }, this.#supervisor);
    this.onStop("functions", () => started.stop());
    return started;
  }

  /** What Supabase gives every function, and this product's own secrets. */
  #functionEnvironment(webhookSecret: string): Record<string, string> {
    const { stripe, ports } = this.#options;
    return {
      SUPABASE_URL: this.#urls.api,
      SUPABASE_DB_URL: this.#urls.db,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: PUBLISHABLE_KEY }),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
      SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE_KEY,
      SUPABASE_SECRET_KEY: SECRET_KEY,
      SUPABASE_JWKS: this.#tokens.privateJwks,
      STRIPE_SECRET_KEY: stripe?.secretKey ?? SANDBOX_KEY,
      STRIPE_WEBHOOK_SECRET: webhookSecret,
      ...(stripe && !stripe.apiBase ? {} : { STRIPE_API_BASE: this.#urls.stripe }),
      SITE_URL: this.#siteUrl,
      // The same pages by the machine's other name.
      ALLOWED_ORIGINS: this.#siteUrl.replace("127.0.0.1", "localhost"),
      SMTP_URL: `smtp://127.0.0.1:${ports.smtp}`,
      EMAIL_FROM: "Tollgate <notices@tollgate.test>",
    };
  }

  #gateway(api: Api, config: ProjectConfig, functions: Functions | null): Gateway {
    const gateway = startGateway({
      port: this.#options.ports.api,
      api,
      config,
      functions,
      tokens: this.#tokens,
      log: this.#options.log,
    });
    this.onStop("gateway", () => gateway.stop());
    return gateway;
  }

  async #announce(webhookSecret: string): Promise<Stack> {
    const { dataDir } = this.#options;
    const path = `${dataDir}/stack.json`;
    const described = {
      web_url: this.#urls.web,
      api_url: this.#urls.api,
      db_url: this.#urls.db,
      stripe_url: this.#urls.stripe,
      inbox_url: this.#urls.inbox,
      publishable_key: this.#keys.publishable,
      secret_key: this.#keys.secret,
      webhook_secret: webhookSecret.split(",")[0] ?? "",
    };
    await writeAtomically(path, `${JSON.stringify(described, null, 2)}\n`);
    this.onStop("announcement", () => Deno.remove(path).catch(() => {}));
    return {
      webUrl: described.web_url,
      apiUrl: described.api_url,
      dbUrl: described.db_url,
      stripeUrl: described.stripe_url,
      inboxUrl: described.inbox_url,
      publishableKey: this.#keys.publishable,
      secretKey: this.#keys.secret,
      webhookSecret: described.webhook_secret,
      dataDir,
      failed: this.#failure.promise,
      stop: () => this.stop(),
    };
  }
}

/**
 * Like Promise.all, but waits for every part before it reports the first failure: a part that finishes late would otherwise start
 * something after everything has been stopped.
 */
async function settled<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}

function hostAndPort(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === "http:" ? 80 : 443)}`;
}
