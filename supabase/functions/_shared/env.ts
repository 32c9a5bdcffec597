import { z } from "zod";
import { AppError } from "./domain/errors.ts";

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

const schema = z.object({
  /** `sk_test_…`, `sk_live_…` or a restricted `rk_…` key. */
  STRIPE_SECRET_KEY: z.string().trim().regex(/^(sk|rk)_/, "must be a Stripe secret key"),
  /** One or more `whsec_…`, separated by commas: two are valid while a secret is being rotated. */
  STRIPE_WEBHOOK_SECRET: z.string().transform((value) =>
    value.split(",").map((secret) => secret.trim()).filter((secret) => secret !== "")
  ).pipe(z.array(z.string().startsWith("whsec_", "must start with whsec_")).min(1)),
  /** Another server that speaks Stripe's API; unset means Stripe itself. */
  STRIPE_API_BASE: z.url().transform((value) => new URL(value)).refine(
    // The secret key must never leave the machine in clear text.
    (url) => url.protocol === "https:" || LOOPBACK.includes(url.hostname),
    "must be https unless it is this machine",
  ).optional(),
  /** The web client's origin, to which Stripe's pages return. */
  SITE_URL: z.url({ protocol: /^https?$/ }),
});

export type Env = z.infer<typeof schema>;

let cached: Env | undefined;

/** The functions' own settings, validated once. Throws `not_configured`, whose log line names what is missing and never shows a value. */
export function env(): Env {
  if (cached !== undefined) return cached;
  const names = Object.keys(schema.shape);
  const result = schema.safeParse(Object.fromEntries(
    names.map((name) => [name, Deno.env.get(name) || undefined]),
  ));
  if (!result.success) {
    const problems = result.error.issues.map((issue) =>
      `${issue.path.join(".")}: ${issue.message}`
    );
    throw new AppError("not_configured", "This deployment is not configured.", {
      cause: new Error(problems.join("; ")),
    });
  }
  return cached = result.data;
}
