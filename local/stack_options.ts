import { DEFAULT_PORTS, type Ports } from "./env.ts";
import type { RuntimeName } from "./supabase/runtime.ts";

/** The official CLI's own local keys, so that one .env fits `supabase start` and this. */
export const PUBLISHABLE_KEY = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
export const SECRET_KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";
export const JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";
export const SANDBOX_KEY = "sk_test_tollgate_sandbox";

export type StackOptions = {
  /** Kept between starts; without one a temporary folder is used and removed on stop. */
  dataDir: string;
  /** Without them four free ones are found. */
  ports: Ports;
  web: boolean;
  functions: boolean;
  /** Load functions again when a file changes. */
  watch: boolean;
  /** fsync: on for data somebody keeps. */
  durable: boolean;
  cron: boolean;
  migrations: boolean;
  /** Where Checkout and Portal return to; the web client's address unless told. */
  siteUrl: string;
  /** Real Stripe in test mode instead of the sandbox. */
  stripe: { secretKey: string; webhookSecret: string; apiBase: string | undefined } | null;
  /** A system's Postgres, e.g. {binDir: "/usr/lib/postgresql/15/bin", preload: "pg_cron"}. */
  postgres: { binDir?: string; preload?: string };
  /** The official CLI's stack instead of the embedded platform; with `discard` its data are removed on stop. */
  supabase: { runtime: RuntimeName; discard: boolean } | null;
  onProgress: (step: string, milliseconds: number) => void;
  log: (line: string) => void;
};

export type Stack = {
  webUrl: string;
  apiUrl: string;
  dbUrl: string;
  stripeUrl: string;
  /** Where caught e-mails are shown. */
  inboxUrl: string;
  publishableKey: string;
  secretKey: string;
  webhookSecret: string;
  dataDir: string;
  /** Resolves with a sentence when a part without which nothing works has ended by itself. */
  failed: Promise<string>;
  stop: () => Promise<void>;
};

export const DEFAULTS: Omit<StackOptions, "dataDir" | "durable"> = {
  ports: DEFAULT_PORTS,
  web: true,
  functions: true,
  watch: false,
  cron: true,
  migrations: true,
  siteUrl: "",
  stripe: null,
  postgres: {},
  supabase: null,
  onProgress: () => {},
  log: () => {},
};
