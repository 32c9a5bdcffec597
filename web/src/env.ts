import * as z from "zod/mini";

const settings = z.object({
  VITE_SUPABASE_URL: z.url(
    "must be the address of the Supabase project, e.g. http://127.0.0.1:54321",
  ),
  VITE_SUPABASE_PUBLISHABLE_KEY: z.string().check(
    z.minLength(1, "must be the project's publishable key"),
    // The secret key bypasses Row Level Security; shipping it to a browser would open every table.
    z.refine((key) => !key.startsWith("sb_secret_"), "is a secret key: use the publishable one"),
  ),
  VITE_CONTACT_EMAIL: z._default(z.email("must be an e-mail address"), "sales@tollgate.example"),
});

export interface Env {
  supabaseUrl: string;
  publishableKey: string;
  contactEmail: string;
}

export interface SettingProblem {
  name: string;
  problem: string;
}

type EnvResult = { ok: true; env: Env } | { ok: false; problems: SettingProblem[] };

/** Validates the build's settings. Pure, so that the start page can show every problem at once. */
export function parseEnv(source: Record<string, unknown>): EnvResult {
  const result = settings.safeParse(source);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => {
      const name = String(issue.path[0] ?? "");
      return { name, problem: source[name] === undefined ? "is missing" : issue.message };
    });
    return { ok: false, problems };
  }
  return {
    ok: true,
    env: {
      supabaseUrl: result.data.VITE_SUPABASE_URL,
      publishableKey: result.data.VITE_SUPABASE_PUBLISHABLE_KEY,
      contactEmail: result.data.VITE_CONTACT_EMAIL,
    },
  };
}

/** The validated settings; main.tsx has refused to start the app without them. */
export function requireEnv(): Env {
  const result = parseEnv({ ...import.meta.env });
  if (!result.ok) throw new Error(`Settings: ${result.problems.map((p) => p.name).join(", ")}`);
  return result.env;
}
