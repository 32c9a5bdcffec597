/**
 * The process the Edge Functions run in. Started by local/functions.ts with nothing but their own environment and permissions;
 * serves /<name>/… on a free loopback port and says which on its first line of output.
 */

type Handler = (request: Request) => Response | Promise<Response>;
type Loaded = { handler: Handler } | { error: string };

const [folder = "", ...names] = Deno.args;

// Deno's own; the functions must see only what Supabase would give them.
for (const name of ["DENO_DIR", "NO_COLOR", "PATH", "DENO_NODE_SHIM_ACTIVE"]) Deno.env.delete(name);

const loaded = new Map<string, Loaded>(
  await Promise.all(names.map(async (name): Promise<[string, Loaded]> => [name, await load(name)])),
);

async function load(name: string): Promise<Loaded> {
  const url = new URL(`${name}/index.ts`, folder);
  try {
    const module: unknown = await import(url.href);
    const handler = handlerOf(module);
    return handler
      ? { handler }
      : { error: `${name}/index.ts has no \`export default { fetch }\`` };
  } catch (error) {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    console.error(`[${name}] could not be loaded: ${text}`);
    return { error: text };
  }
}

function handlerOf(module: unknown): Handler | null {
  if (typeof module !== "object" || module === null || !("default" in module)) return null;
  const exported = module.default;
  if (typeof exported !== "object" || exported === null || !("fetch" in exported)) return null;
  const { fetch } = exported;
  return isHandler(fetch) ? (request) => fetch.call(exported, request) : null;
}

function isHandler(value: unknown): value is Handler {
  return typeof value === "function";
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, {
    status,
    headers: { "access-control-allow-origin": "*" },
  });
}

// A promise nobody waits for must not take every other function down with it.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  console.error("unhandled rejection:", event.reason);
});

const server = Deno.serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => {
    const broken = [...loaded].filter(([, one]) => "error" in one).map(([name]) => name);
    console.log(JSON.stringify({ ready: port, broken }));
  },
}, async (request) => {
  const name = new URL(request.url).pathname.split("/")[1] ?? "";
  const entry = loaded.get(name);
  if (!entry) return failure(404, "NOT_FOUND", "Requested function was not found");
  if ("error" in entry) {
    return failure(503, "BOOT_ERROR", "Function failed to start (please check logs)");
  }
  try {
    return await entry.handler(request);
  } catch (error) {
    console.error(`[${name}]`, error);
    // As on the platform: a throw is a bare 500. CORS is the function's business, so a forgotten header shows here too.
    return Response.json({
      code: "WORKER_ERROR",
      message: "Function exited due to an error (please check logs)",
    }, {
      status: 500,
    });
  }
});

// Asked to make room for a newer version: what was begun is finished first.
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  Deno.exit(0);
});
