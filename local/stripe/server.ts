/**
 * A stateful stand-in for Stripe on this machine: API, webhooks, clock and hosted pages on one loopback port.
 *
 *   deno run -A local/stripe/server.ts --port 12111 --data-dir .tollgate --secret-key sk_test_…
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { refusal } from "../loopback.ts";
import { Faults } from "./control/faults.ts";
import { Relay } from "./control/relay.ts";
import { mountControl } from "./control/routes.ts";
import { Api } from "./engine/api.ts";
import { Deliverer } from "./engine/deliver.ts";
import { Scheduler } from "./engine/scheduler.ts";
import { DEFAULTS, type Settings } from "./engine/settings.ts";
import { Store } from "./engine/store.ts";
import type { Hosted } from "./hosted.ts";
import { createHosted } from "./hosted_impl.ts";
import { mountPages, storeOperator } from "./pages/mod.ts";
import { rendering, routes } from "./resources/tables.ts";
import { mountSandbox } from "./sandbox.ts";

export interface SandboxOptions extends Partial<Omit<Settings, "publicUrl" | "secretKey">> {
  /** 0 takes any free port. */
  port: number;
  /** Holds `stripe.db`; made when missing. */
  dataDir: string;
  secretKey: string;
  /** Origin of the hosted pages when it is not the server's own. */
  publicUrl?: string;
}

export interface StripeSandbox {
  url: string;
  port: number;
  /** What a person does on the hosted pages, for tests that have no browser. */
  hosted: Hosted;
  stop(): Promise<void>;
}

/** Starts the sandbox. Async by contract: a caller must not depend on the start being immediate. */
export function startStripeSandbox(options: SandboxOptions): Promise<StripeSandbox> {
  // A refusal (a port that is taken) rejects, it does not throw.
  return Promise.try(() => start(options));
}

function start(options: SandboxOptions): StripeSandbox {
  mkdirSync(options.dataDir, { recursive: true });
  const store = new Store(join(options.dataDir, "stripe.db"));
  const { port: asked, dataDir: _dataDir, ...given } = options;
  const settings: Settings = { publicUrl: "", log: () => {}, ...DEFAULTS, ...given };

  const deliverer = new Deliverer(store, settings);
  const scheduler = new Scheduler(store, settings, () => deliverer.wake());
  const onCommit = () => {
    deliverer.wake();
    scheduler.wake();
  };
  const api = new Api(store, settings, routes, rendering, onCommit);

  const faults = new Faults(store);
  /** What each request may do to the connection it came by. */
  const doors = new WeakMap<Request, () => Promise<void>>();
  const app = new Hono();
  app.use(onlyOurselves);
  for (const path of ["/v1/*", "/v2/*"]) {
    app.all(path, ({ req: { raw } }) => {
      const drop = async () => await doors.get(raw)?.();
      return faults.serve(raw, drop, (request, asOf) => api.handle(request, asOf));
    });
  }
  const core = { store, settings, scheduler, onCommit };
  mountSandbox(app, core);
  mountControl(app, { store, settings, deliverer, faults, onCommit });
  const hosted = createHosted(store, settings, onCommit);
  mountPages(app, hosted, storeOperator(core));

  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request, { remoteAddr }) => {
      doors.set(request, () => relay.drop(remoteAddr.port));
      return app.fetch(request);
    },
  );
  const relay = open(asked, server);
  const { port } = relay;
  const url = `http://127.0.0.1:${port}`;
  if (settings.publicUrl === "") settings.publicUrl = url;
  onCommit();
  return {
    url,
    port,
    hosted,
    async stop() {
      await scheduler.stop();
      await deliverer.stop();
      await relay.stop();
      await server.shutdown();
      store.close();
    },
  };
}

/** A port that is taken must not leave a server behind. */
function open(port: number, server: Deno.HttpServer<Deno.NetAddr>): Relay {
  try {
    return new Relay(port, server.addr.port);
  } catch (error) {
    void server.shutdown();
    throw error;
  }
}

/**
 * A page on the internet that resolves to 127.0.0.1 (DNS rebinding) must not reach the sandbox, nor may another site's page post
 * to what has no key: its clock, its faults, its deliveries. The pages refuse by themselves, with a page.
 */
async function onlyOurselves(
  { req: { raw, path } }: { req: { raw: Request; path: string } },
  next: () => Promise<void>,
) {
  const refused = refusal(raw);
  const isControl = path.startsWith("/_sandbox/") && !path.startsWith("/_sandbox/ui/");
  if (refused && (refused.status === 421 || isControl)) {
    return new Response(refused.message, { status: refused.status });
  }
  await next();
}

function readFlags(args: string[]): SandboxOptions {
  const flag = (name: string, fallback: string) => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? fallback : args[at + 1] ?? fallback;
  };
  return {
    port: Number(flag("port", "12111")),
    dataDir: flag("data-dir", ".tollgate"),
    secretKey: flag("secret-key", "sk_test_tollgate_sandbox"),
    log: (line) => console.log(line),
  };
}

if (import.meta.main) {
  const sandbox = await startStripeSandbox(readFlags(Deno.args));
  console.log(`Stripe sandbox on ${sandbox.url}`);
  const stop = () => void sandbox.stop().then(() => Deno.exit(0));
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
}
