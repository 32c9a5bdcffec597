/**
 * `npm run stripe:setup [-- --dry-run] [--live] [--webhook-url=<https://…>]`: puts the project's catalogue into the Stripe account
 * of `STRIPE_SECRET_KEY` (environment or `.env`; without it and `SUPABASE_URL` the running stack's sandbox), with the portal's configurations and everything that delivers events. Prints a
 * plan, then does it. Never deletes. Exit code 0: nothing to do, or done; 2: `--dry-run` found something to do; 1: refused.
 */
import { parseArgs } from "node:util";
import Stripe from "stripe";
import { z, ZodError } from "zod";
import {
  deliveryUrl,
  markShown,
  modeOf,
  type Plan,
  planSetup,
  readRows,
  SetupError,
  stripeClient,
} from "../stripe_setup/mod.ts";
import { SANDBOX_KEY } from "../stack_options.ts";
import { planText, secretsText } from "../stripe_setup/report.ts";
import { readSettings } from "../env.ts";
import { readTextIfAny } from "../util.ts";
import { OperatorError, operatorProject, runCommand, setting } from "./project.ts";

interface Options {
  dryRun: boolean;
  live: boolean;
  webhookUrl: string | undefined;
}

const running = z.object({ stripe_url: z.url() });

const UNREACHABLE =
  "! Stripe cannot reach a project on this machine: no endpoints. `stripe listen --forward-to` stands in for them,\n" +
  "  or say with --webhook-url where it can.";

await runCommand(async () => {
  const options = readOptions();
  const sandbox = options.live ? null : await sandboxOfRunningStack();
  const key = sandbox === null ? await secretKey(options.live) : SANDBOX_KEY;
  const project = await operatorProject();
  const apiBase = sandbox ?? await setting("STRIPE_API_BASE");
  if (apiBase !== undefined) checkApiBase(apiBase, options.live);
  const stripe = stripeClient(key, apiBase);
  const account = `${options.live ? "LIVE" : "test"} account of ${key.slice(0, 8)}…${
    key.slice(-4)
  }`;
  const at = apiBase === undefined ? "" : ` at ${apiBase}`;
  const where = sandbox === null
    ? `${account}${at}`
    : `the sandbox of the running stack${at}, since STRIPE_SECRET_KEY is not set`;
  console.log(`Stripe: ${where}\nCatalogue of ${project.url}\n`);
  return await understood(async (changing) => {
    const url = deliveryUrl({
      asked: options.webhookUrl,
      projectUrl: project.url,
      prefix: await setting("TOLLGATE_FUNCTIONS_PREFIX") ?? "",
      live: options.live,
      isSandbox: apiBase !== undefined,
    });
    const rows = await readRows(project);
    const endpoints = url === null ? undefined : { url, now: Date.now() / 1000 };
    const plan = await planSetup(stripe, rows, { ...(endpoints && { endpoints }) });
    console.log(planText(plan));
    if (url === null) console.log(UNREACHABLE);
    if (options.dryRun) return plan.changes.length > 0 ? 2 : 0;
    if (plan.changes.length > 0) changing();
    await apply(stripe, plan, project.url);
    return 0;
  });
});

async function apply(stripe: Stripe, plan: Plan, projectUrl: string): Promise<void> {
  if (plan.changes.length === 0) return;
  const { secrets } = await plan.apply();
  console.log(`\n✓ ${plan.changes.length} done.`);
  if (secrets.length === 0) return;
  // Of the environment alone: what .env has are this machine's own.
  const present = Deno.env.get("STRIPE_WEBHOOK_SECRET")?.trim() || undefined;
  console.log(secretsText(secrets, present, projectUrl));
  // Only now: whoever is killed before has not seen them, and the next run asks for them again.
  await markShown(stripe, secrets);
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        "dry-run": { type: "boolean", default: false },
        live: { type: "boolean", default: false },
        "webhook-url": { type: "string" },
      },
    });
    return {
      dryRun: values["dry-run"],
      live: values.live,
      webhookUrl: values["webhook-url"],
    };
  } catch (error) {
    throw new OperatorError(error instanceof Error ? error.message : String(error));
  }
}

/** Where the sandbox of `npm start` is, when neither Stripe nor a project was named and that stack has one; else null. */
async function sandboxOfRunningStack(): Promise<string | null> {
  const naming = ["STRIPE_SECRET_KEY", "STRIPE_API_BASE", "SUPABASE_URL", "SUPABASE_SECRET_KEY"];
  for (const name of naming) if (await setting(name) !== undefined) return null;
  const { dataDir } = await readSettings({ ...Deno.env.toObject(), STRIPE_WEBHOOK_SECRET: "" });
  const stack = await readTextIfAny(`${dataDir}/stack.json`) ??
    await readTextIfAny(`${dataDir}-supabase/stack.json`);
  if (stack === null) return null;
  const { stripe_url } = running.parse(JSON.parse(stack));
  // A stack on a Stripe account of somebody's own has no sandbox.
  return new URL(stripe_url).hostname === "127.0.0.1" ? stripe_url : null;
}

/** A live key must be meant, and so must a test key: nobody is to believe they have set up the account that takes money. */
async function secretKey(live: boolean): Promise<string> {
  const key = await setting("STRIPE_SECRET_KEY");
  if (key === undefined) {
    throw new OperatorError("STRIPE_SECRET_KEY is not set, in the environment or in .env.");
  }
  const mode = modeOf(key);
  if (mode === null) {
    throw new OperatorError("STRIPE_SECRET_KEY is no secret key of Stripe's (sk_… or rk_…).");
  }
  if (mode === "live" && !live) {
    throw new OperatorError("STRIPE_SECRET_KEY is a live key. Say --live if you mean it.");
  }
  if (mode === "test" && live) {
    throw new OperatorError("--live is for a live key; STRIPE_SECRET_KEY is one for tests.");
  }
  return key;
}

/** A setting left over from tests would send a live key elsewhere, and the account that takes money would stay as it was. */
function checkApiBase(apiBase: string, live: boolean): void {
  if (!URL.canParse(apiBase)) throw new OperatorError("STRIPE_API_BASE is no URL.");
  if (live) {
    throw new OperatorError(
      `STRIPE_API_BASE (${apiBase}) is not Stripe itself: unset it for --live.`,
    );
  }
}

/**
 * What Stripe, the project or the rows refuse is a sentence. Stripe's own words never have the key in them. The work says when it
 * begins to change something.
 */
async function understood<T>(work: (changing: () => void) => Promise<T>): Promise<T> {
  let isChanging = false;
  try {
    return await work(() => isChanging = true);
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) {
      const isReached = !(error instanceof Stripe.errors.StripeConnectionError);
      const what = isReached ? "Stripe refused" : "Stripe cannot be reached";
      const rest = isChanging
        ? "What was done stays; start again to go on."
        : "Nothing was changed.";
      throw new OperatorError(`${what}: ${error.message} ${rest}`);
    }
    if (error instanceof ZodError) {
      throw new OperatorError(
        `The project's catalogue is not as this version knows it: ${error.message}`,
      );
    }
    if (error instanceof SetupError || error instanceof Error) {
      throw new OperatorError(error.message);
    }
    throw error;
  }
}
