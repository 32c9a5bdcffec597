import { startApi } from "../../local/api.ts";
import { readProjectConfig } from "../../local/config.ts";
import type { Ports } from "../../local/env.ts";
import { type Functions, startFunctions } from "../../local/functions.ts";
import { startGateway } from "../../local/gateway.ts";
import { FUNCTIONS } from "../../local/paths.ts";
import { reservePorts } from "../../local/ports.ts";
import { JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY } from "../../local/stack_options.ts";
import { startTestDatabase } from "../../local/testing.ts";
import { Tokens } from "../../local/tokens.ts";
import { exists } from "../../local/util.ts";
import { ROOT } from "./run.ts";

/**
 * What is inside the containers that the official CLI starts, where there is no Docker: the embedded platform plays database, Auth,
 * REST, gateway and Edge Functions on the ports the CLI publishes. The CLI is the real one; `docker` is tests/support/docker.sh.
 */
export interface Containers {
  /** For the PATH, so that `docker` is found in it. */
  bin: string;
  /** Goes into the environment of whoever calls `docker`. */
  env: Record<string, string>;
  /** What `docker` was asked, in order. */
  calls: () => Promise<string[]>;
  running: () => Promise<string[]>;
  /** The settings a container was given. */
  settings: (name: string) => Promise<Record<string, string>>;
  stop: () => Promise<void>;
}

/** The address that stands for Docker's bridge: on Linux all of 127/8 is this machine. */
export const BRIDGE = "127.0.0.9";

export async function playContainers(ports: Ports): Promise<Containers> {
  const folder = await Deno.makeTempDir({ prefix: "tollgate-played-" });
  for (const name of ["bin", "calls", "up", "volumes", "settings", "home"]) {
    await Deno.mkdir(`${folder}/${name}`);
  }
  await Deno.writeTextFile(`${folder}/bridge`, `${BRIDGE}\n`);
  const keys = { PUBLISHABLE_KEY, SECRET_KEY };
  await Deno.writeTextFile(
    `${folder}/keys`,
    Object.entries(keys).map(([name, value]) => `${name}="${value}"\n`).join(""),
  );
  await Deno.copyFile(`${ROOT}tests/support/docker.sh`, `${folder}/bin/docker`);
  await Deno.chmod(`${folder}/bin/docker`, 0o755);
  const inside = await startInside(ports, folder);
  return {
    bin: `${folder}/bin`,
    env: { PLAYED: folder, HOME: `${folder}/home`, SUPABASE_HOME: `${folder}/home/.supabase` },
    calls: () => callsIn(`${folder}/calls`),
    running: async () => (await Array.fromAsync(Deno.readDir(`${folder}/up`))).map((e) => e.name),
    settings: (name) => settingsOf(folder, name),
    stop: async () => {
      await inside.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function callsIn(folder: string): Promise<string[]> {
  const files = await Promise.all(
    (await Array.fromAsync(Deno.readDir(folder))).map(async ({ name }) => ({
      text: (await Deno.readTextFile(`${folder}/${name}`)).trim(),
      at: (await Deno.stat(`${folder}/${name}`)).mtime?.getTime() ?? 0,
    })),
  );
  return files.sort((a, b) => a.at - b.at).map(({ text }) => text);
}

async function settingsOf(folder: string, name: string): Promise<Record<string, string>> {
  const lines = (await Deno.readTextFile(`${folder}/settings/${name}`)).split("\n");
  return Object.fromEntries(
    lines.filter((line) => line.includes("=")).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

async function startInside(ports: Ports, folder: string) {
  const reserved = await reservePorts();
  const config = await readProjectConfig();
  const one = await startTestDatabase({ port: ports.database });
  const tokens = new Tokens(JWT_SECRET);
  const functions = new PlayedFunctions(ports, folder, one);
  const api = await startApi({
    database: one.database,
    config,
    jwtSecret: JWT_SECRET,
    publishableKey: PUBLISHABLE_KEY,
    secretKey: SECRET_KEY,
    apiUrl: `http://127.0.0.1:${ports.api}`,
    siteUrl: `http://127.0.0.1:${ports.web}`,
    log: () => {},
  });
  await functions.prepare();
  const gateway = startGateway({
    port: reserved.ports.api,
    api,
    config,
    functions,
    tokens,
    log: () => {},
  });
  const kong = startKong(ports.api, reserved.ports.api);
  return {
    stop: async () => {
      await kong.shutdown();
      await gateway.stop();
      await functions.stop();
      await api.stop();
      await one.stop();
      reserved.release();
    },
  };
}

/** Kong has one address more, by which the CLI sees whether REST is ready. */
function startKong(port: number, behind: number): Deno.HttpServer {
  return Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/rest-admin/")) return new Response(null, { status: 200 });
    url.port = String(behind);
    return fetch(
      new Request(url, {
        method: request.method,
        headers: request.headers,
        body: request.body,
        redirect: "manual",
      }),
    );
  });
}

type TestDatabase = Awaited<ReturnType<typeof startTestDatabase>>;

/** Runs while its container does, with the settings the CLI gave it; names of Docker's network are this machine here. */
class PlayedFunctions implements Functions {
  readonly #ports: Ports;
  readonly #folder: string;
  readonly #database: TestDatabase;
  #names: string[] = [];
  #host: Promise<Functions> | null = null;

  constructor(ports: Ports, folder: string, database: TestDatabase) {
    this.#ports = ports;
    this.#folder = folder;
    this.#database = database;
  }

  async prepare(): Promise<void> {
    const entries = await Array.fromAsync(Deno.readDir(FUNCTIONS));
    this.#names = entries.filter((entry) => entry.isDirectory).map((entry) => entry.name);
  }

  names(): string[] {
    return this.#names;
  }

  async fetch(name: string, request: Request, signal: AbortSignal): Promise<Response> {
    const container = `supabase_edge_runtime_tollgate-${this.#ports.api}`;
    if (!(await exists(`${this.#folder}/up/${container}`))) {
      return new Response("name resolution failed", { status: 503 });
    }
    const host = await (this.#host ??= this.#start(container));
    return await host.fetch(name, request, signal);
  }

  async stop(): Promise<void> {
    await (await this.#host)?.stop();
  }

  async #start(container: string): Promise<Functions> {
    const given = await settingsOf(this.#folder, container);
    const here = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [
        name,
        value.replace("//host.docker.internal", "//127.0.0.1")
          .replace("//kong:8000", `//127.0.0.1:${this.#ports.api}`),
      ]),
    );
    const { api, stripe, smtp } = this.#ports;
    return await startFunctions({
      folder: FUNCTIONS,
      dataDir: `${this.#folder}/home`,
      watch: false,
      log: () => {},
      network: [api, stripe, smtp].map((port) => `127.0.0.1:${port}`),
      env: {
        ...here,
        // As the CLI's own main program hands them on.
        SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({
          default: given["SUPABASE_INTERNAL_PUBLISHABLE_KEY"],
        }),
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: given["SUPABASE_INTERNAL_SECRET_KEY"] }),
        SUPABASE_JWKS: new Tokens(JWT_SECRET).privateJwks,
      },
    }, this.#database.supervisor);
  }
}
