import { parseEnv } from "node:util";
import { isAbsolute, resolve } from "node:path";
import { z } from "zod";
import { ROOT } from "./paths.ts";
import { readTextIfAny } from "./util.ts";

/** The settings a person may give, all documented in .env.example. */

const schema = z.object({
  TOLLGATE_PORT_BASE: z.coerce.number("must be a number").int("must be a whole number").min(
    1024,
    "must be a port from 1024 up",
  ).max(65530)
    .optional(),
  TOLLGATE_DATA_DIR: z.string().trim().min(1).default(".tollgate"),
  TOLLGATE_DEBUG: z.enum(["0", "1"]).default("0"),
  STRIPE_SECRET_KEY: z.string().trim()
    .refine((key) => !/^(sk|rk)_live_/.test(key), "is a live key: this stack is for tests only")
    .refine(
      (key) => /^(sk|rk)_test_\S+$/.test(key),
      "must be a Stripe test key (sk_test_… or rk_test_…)",
    )
    .optional(),
  STRIPE_WEBHOOK_SECRET: z.string().trim().startsWith("whsec_", "must start with whsec_")
    .optional(),
  STRIPE_API_BASE: z.url("must be a URL").optional(),
}).superRefine((settings, context) => {
  if (settings.STRIPE_SECRET_KEY && !settings.STRIPE_WEBHOOK_SECRET) {
    context.addIssue({
      code: "custom",
      path: ["STRIPE_WEBHOOK_SECRET"],
      message: "is needed with STRIPE_SECRET_KEY (`stripe listen --print-secret` shows it)",
    });
  }
  for (const name of ["STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE"] as const) {
    if (!settings[name] || settings.STRIPE_SECRET_KEY) continue;
    context.addIssue({
      code: "custom",
      path: [name],
      message: "does nothing without STRIPE_SECRET_KEY; leave all three out for the sandbox",
    });
  }
});

export type Ports = {
  web: number;
  api: number;
  database: number;
  stripe: number;
  /** The page that shows caught e-mails, and the mail server that catches them. */
  inbox: number;
  smtp: number;
};

export type Settings = {
  dataDir: string;
  ports: Ports;
  debug: boolean;
  /** Real Stripe (test mode) instead of the sandbox. */
  stripe: { secretKey: string; webhookSecret: string; apiBase: string | undefined } | null;
};

export const DEFAULT_PORTS: Ports = {
  web: 3000,
  api: 54321,
  database: 54322,
  stripe: 12111,
  inbox: 54324,
  smtp: 54325,
};

export function portsFrom(base: number): Ports {
  return {
    web: base,
    api: base + 1,
    database: base + 2,
    stripe: base + 3,
    inbox: base + 4,
    smtp: base + 5,
  };
}

export class SettingsError extends Error {
  override name = "SettingsError";
}

/** Reads `.env` under the environment, so that a variable set for one command wins. Throws one SettingsError naming everything wrong. */
export async function readSettings(
  environment: Record<string, string> = Deno.env.toObject(),
): Promise<Settings> {
  const file = parseEnv(await readTextIfAny(`${ROOT}/.env`) ?? "");
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = environment[name] ?? file[name];
    // A variable left empty, as in a copied .env.example, is one that was not given.
    if (value !== undefined && value.trim() !== "") given[name] = value;
  }
  const result = schema.safeParse(given);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
    throw new SettingsError(
      `These settings are not usable (see .env.example):\n${lines.join("\n")}`,
    );
  }
  return toSettings(result.data);
}

function toSettings(values: z.infer<typeof schema>): Settings {
  const directory = values.TOLLGATE_DATA_DIR;
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret } = values;
  return {
    dataDir: isAbsolute(directory) ? directory : resolve(ROOT, directory),
    ports: values.TOLLGATE_PORT_BASE === undefined
      ? DEFAULT_PORTS
      : portsFrom(values.TOLLGATE_PORT_BASE),
    debug: values.TOLLGATE_DEBUG === "1",
    stripe: secretKey && webhookSecret
      ? { secretKey, webhookSecret, apiBase: values.STRIPE_API_BASE }
      : null,
  };
}
