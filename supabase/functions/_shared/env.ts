import { z } from "zod";
import { AppError } from "./domain/errors.ts";
import { log } from "./log.ts";

/** This machine, also as a container on it calls it: the last name is Docker's, and `.internal` is nobody's on the internet. */
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "host.docker.internal"];

/** Whether what is sent there never leaves this machine. */
export function isThisMachine({ hostname }: URL): boolean {
  return LOOPBACK.includes(hostname);
}

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
    (url) => url.protocol === "https:" || isThisMachine(url),
    "must be https unless it is this machine",
  ).optional(),
  /** The web client's origin, to which Stripe's pages return. */
  SITE_URL: z.url({ protocol: /^https?$/ }),
});

/** Only for the function that sends e-mails: the others work without. */
const mailSchema = z.object({
  /** `smtps://user:password@host:465`; with `smtp://` TLS is begun on the way (STARTTLS) and insisted on. */
  SMTP_URL: z.url({ protocol: /^smtps?$/ }).transform((value) => new URL(value)),
  /** The sender, e.g. `Tollgate <notices@example.com>`; one address. */
  EMAIL_FROM: z.string().trim().regex(
    /^(?:[^<>@,;\p{Cc}]*<[^<>@\s,;]+@[^<>@\s,;]+>|[^<>@\s,;]+@[^<>@\s,;]+)$/u,
    "must be one address, like Tollgate <notices@example.com>",
  ),
});

/** Also for functions that need nothing of Stripe. */
const callerSchema = z.object({
  /**
   * The header in which the host puts the caller's address, and which no caller can set: on Supabase Cloudflare's, whereas
   * `x-forwarded-for` reaches a function as the caller wrote it (github.com/orgs/supabase/discussions/34647).
   */
  CLIENT_ADDRESS_HEADER: z.string().trim().regex(/^[A-Za-z0-9-]+$/, "must be the name of a header")
    .default("cf-connecting-ip"),
});

/** Which pages may read an answer: needed even where nothing else is set, so that a refusal can be read. */
const originSchema = z.object({
  SITE_URL: schema.shape.SITE_URL,
  /** More origins that a web client of ours is served from, separated by commas. */
  ALLOWED_ORIGINS: z.string().optional().transform((value) =>
    (value ?? "").split(",").map((origin) => origin.trim()).filter((origin) => origin !== "")
  ).pipe(z.array(z.url({ protocol: /^https?$/ }))),
});

type Settings = z.ZodObject<z.ZodRawShape, z.core.$strip>;

/** Every name that a function of ours reads; Supabase's own (`SUPABASE_*`) are not among them. */
export const SETTING_NAMES: readonly string[] = [
  ...new Set(
    [schema, originSchema, mailSchema, callerSchema].flatMap(({ shape }) => Object.keys(shape)),
  ),
];

/**
 * What the functions would refuse of these settings, `NAME: reason` each and never a value: a deployment asks before it sets
 * them. A mail server is optional, but half of one is a mistake.
 */
export function problemsWith(values: Readonly<Record<string, string | undefined>>): string[] {
  const mailed = Object.keys(mailSchema.shape).some((name) => values[name]);
  return [
    ...new Set(
      [schema, originSchema, callerSchema, ...(mailed ? [mailSchema] : [])]
        .flatMap((settings) => {
          const { error } = settings.safeParse(pick(settings, values));
          return error ? problemsOf(error) : [];
        }),
    ),
  ];
}

export type Env = z.infer<typeof schema>;
export type MailEnv = z.infer<typeof mailSchema>;

let cached: Env | undefined;
let cachedOrigins: ReadonlySet<string> | undefined;

/** The functions' own settings, validated once. Throws `not_configured`, whose log line names what is missing and never shows a value. */
export function env(): Env {
  return cached ??= read(schema);
}

/** Where e-mails go out, and from whom. Throws as `env()` does. */
export function mailEnv(): MailEnv {
  return read(mailSchema);
}

/** The header that says where a call comes from. Throws as `env()` does. */
export function addressHeader(): string {
  return read(callerSchema).CLIENT_ADDRESS_HEADER;
}

/** The origins of our own web clients. None where the settings are wrong: the log line of `env()` says what is. */
export function allowedOrigins(): ReadonlySet<string> {
  return cachedOrigins ??= readOrigins();
}

function readOrigins(): ReadonlySet<string> {
  try {
    const { SITE_URL, ALLOWED_ORIGINS } = read(originSchema);
    return new Set([SITE_URL, ...ALLOWED_ORIGINS].map((url) => new URL(url).origin));
  } catch (error) {
    const cause = error instanceof AppError && error.cause instanceof Error ? error.cause : null;
    log("error", "origins_not_configured", { cause: cause?.message });
    return new Set();
  }
}

function read<T>(settings: Settings & z.ZodType<T>): T {
  const names = Object.keys(settings.shape);
  const given = Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
  const result = settings.safeParse(pick(settings, given));
  if (result.success) return result.data;
  throw new AppError("not_configured", "This deployment is not configured.", {
    cause: new Error(problemsOf(result.error).join("; ")),
  });
}

/** An empty one was not given. */
function pick(settings: Settings, values: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(
    Object.keys(settings.shape).map((name) => [name, values[name] || undefined]),
  );
}

function problemsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}
