import { z } from "zod";
import { DEFAULT_PORTS, type Ports } from "../env.ts";
import { StartError } from "../util.ts";

/**
 * The official CLI has two ways to run a whole Supabase on one machine: containers, and since 3.x an experimental one with native
 * programs that it downloads. What we say to it in either, read from CLI 3.1.0's own help, documentation and program text.
 */
export type RuntimeName = "docker" | "native";

export type Runtime = {
  start: string[];
  status: string[];
  stop: string[];
  /** Stops, and removes the data. */
  discard: string[];
  /** Selects the runtime, whatever supabase/config.toml or the person's shell says. */
  env: Record<string, string>;
  /** By which name a function reaches a server on this machine. */
  hostName: string;
  /** Where pg_net, inside the database's container, reaches the API. */
  projectUrl: (apiUrl: string) => string;
};

/**
 * What the product does not use is not started. E-mails of ours are caught by our own inbox, on the port that the CLI's would take.
 * The functions are served by `functions serve`, which takes its own settings.
 */
const EXCLUDED = {
  docker: "edge-runtime,realtime,storage-api,imgproxy,mailpit,logflare,vector,supavisor",
  native: "realtime,storage,mail,analytics,pooler",
};

export const RUNTIMES: Record<RuntimeName, Runtime> = {
  docker: {
    start: ["start", "-x", EXCLUDED.docker],
    status: ["status", "-o", "json"],
    stop: ["stop"],
    discard: ["stop", "--no-backup"],
    env: { SUPABASE_EXPERIMENTAL_STACK: "0" },
    hostName: "host.docker.internal",
    projectUrl: () => "http://kong:8000",
  },
  native: {
    start: ["stack", "start", "--runtime", "native", "--eager", "-x", EXCLUDED.native],
    status: ["stack", "status", "--env", "--output-format", "text"],
    stop: ["stack", "stop"],
    discard: ["stack", "destroy", "--yes"],
    env: { SUPABASE_EXPERIMENTAL_STACK: "1" },
    hostName: "127.0.0.1",
    projectUrl: (apiUrl) => apiUrl,
  },
};

/** Of `--supabase`, `--supabase=docker` or `--supabase=native`; null when it was not given. Throws at anything else. */
export function runtimeFrom(flags: string[]): RuntimeName | null {
  let chosen: RuntimeName | null = null;
  for (const flag of flags) {
    const value = flag === "--supabase" ? "docker" : /^--supabase=(.+)$/.exec(flag)?.[1];
    if (value !== "docker" && value !== "native") {
      throw new StartError(
        `Unknown option "${flag}": --supabase (Docker) or --supabase=native is possible.`,
      );
    }
    chosen = value;
  }
  return chosen;
}

/**
 * The CLI lets variables named like the keys of config.toml win over them. On our usual ports config.toml is right as it is; a stack
 * elsewhere, such as that of a test, is another project to the CLI, with containers and data of its own.
 */
export function portSettings(ports: Ports): Record<string, string> {
  if (ports.api === DEFAULT_PORTS.api && ports.database === DEFAULT_PORTS.database) return {};
  return {
    SUPABASE_PROJECT_ID: `tollgate-${ports.api}`,
    SUPABASE_API_PORT: String(ports.api),
    SUPABASE_DB_PORT: String(ports.database),
    // Behind the six that are ours.
    SUPABASE_STUDIO_PORT: String(ports.smtp + 1),
    SUPABASE_EDGE_RUNTIME_INSPECTOR_PORT: String(ports.smtp + 2),
    SUPABASE_AUTH_SITE_URL: `http://127.0.0.1:${ports.web}`,
  };
}

export type Status = {
  apiUrl: string;
  dbUrl: string;
  publishableKey: string;
  secretKey: string;
};

const statusSchema = z.object({
  API_URL: z.url(),
  DB_URL: z.string().startsWith("postgres"),
  PUBLISHABLE_KEY: z.string().startsWith("sb_publishable_"),
  SECRET_KEY: z.string().startsWith("sb_secret_"),
});

/** What `status` printed, as JSON or as lines of NAME="value". */
export function parseStatus(text: string): Status {
  const result = statusSchema.safeParse(fieldsOf(text));
  if (!result.success) {
    throw new StartError(
      `The official CLI's status was not understood:\n${z.prettifyError(result.error)}`,
    );
  }
  const { API_URL, DB_URL, PUBLISHABLE_KEY, SECRET_KEY } = result.data;
  return {
    apiUrl: API_URL.replace("//localhost", "//127.0.0.1"),
    dbUrl: DB_URL.replace("@localhost", "@127.0.0.1"),
    publishableKey: PUBLISHABLE_KEY,
    secretKey: SECRET_KEY,
  };
}

function fieldsOf(text: string): unknown {
  const json = text.indexOf("{");
  if (json >= 0) {
    try {
      return JSON.parse(text.slice(json, text.lastIndexOf("}") + 1));
    } catch {
      return {};
    }
  }
  return Object.fromEntries(
    [...text.matchAll(/^\s*(?:export )?([A-Z0-9_]+)="?([^"\r\n]*)"?\s*$/gm)]
      .map(([, name, value]) => [name, value]),
  );
}
