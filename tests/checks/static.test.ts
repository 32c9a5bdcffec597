import { mustRun, npmBin, ROOT } from "../support/run.ts";

const CHECKED = ["supabase/functions", "local", "tests", "bench"];

Deno.test("deno fmt finds nothing to change", async () => {
  await mustRun(Deno.execPath(), ["fmt", "--check"]);
});

Deno.test("deno lint finds nothing", async () => {
  await mustRun(Deno.execPath(), ["lint"]);
});

Deno.test("every function, the platform, the tests and the benchmarks type-check", async () => {
  await mustRun(Deno.execPath(), ["check", ...CHECKED], { timeoutMs: 300_000 });
});

Deno.test("the web client type-checks and builds", async () => {
  await mustRun("node", [npmBin("tsc"), "-p", "web", "--noEmit"], { timeoutMs: 300_000 });
  const outDir = await Deno.makeTempDir({ prefix: "tollgate-web-" });
  try {
    await mustRun("node", [
      `${ROOT}node_modules/vite/bin/vite.js`,
      "build",
      "web",
      "--outDir",
      outDir,
    ], {
      timeoutMs: 300_000,
      env: {
        VITE_SUPABASE_URL: "http://127.0.0.1:54321",
        VITE_SUPABASE_PUBLISHABLE_KEY: "sb_publishable_build_only",
      },
    });
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
});
