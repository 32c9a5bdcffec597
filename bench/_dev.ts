import { startStack } from "../local/stack.ts";
const [dataDir = "", base = "0", bin] = Deno.args;
const n = Number(base);
const stack = await startStack({
  dataDir,
  web: false,
  functions: false,
  cron: false,
  ports: { web: n, api: n + 1, database: n + 2, stripe: n + 3 } as never,
  ...(bin ? { postgres: { binDir: bin, preload: "pg_cron" } } : {}),
});
console.log(stack.dbUrl);
await new Promise((r) => Deno.addSignalListener("SIGTERM", () => r(0)));
await stack.stop();
Deno.exit(0);
