import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const DECOY = "sb_secret_decoy";

interface Asked {
  path: string;
  schema: string | null;
}

/** What an operator's command says of a project, and what reaches the two servers: the project's, and where that one leads. */
async function runAgainst(
  answer: (request: Request, elsewhere: string) => Response,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; said: string; asked: Asked[]; followed: number }> {
  const asked: Asked[] = [];
  let followed = 0;
  const quietly = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  await using elsewhere = Deno.serve(quietly, () => {
    followed++;
    return new Response("{}");
  });
  await using project = Deno.serve(quietly, (request) => {
    const schema = request.headers.get("content-profile");
    asked.push({ path: new URL(request.url).pathname, schema });
    return answer(request, `http://127.0.0.1:${elsewhere.addr.port}/`);
  });
  const [script = "", ...rest] = args;
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(new URL(script, import.meta.url)), ...rest],
    env: {
      SUPABASE_URL: `http://127.0.0.1:${project.addr.port}`,
      SUPABASE_SECRET_KEY: DECOY,
      ...env,
    },
  }).output();
  const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  return { code, said, asked, followed };
}

const redirect = (_: Request, elsewhere: string) => Response.redirect(elsewhere, 307);
const nothing = () => new Response("{}", { status: 404 });

Deno.test("the secret key goes to the project, and to nobody it leads to", async () => {
  for (const args of [["health.ts"], ["rebuild.ts", "--dry-run"], ["usage_check.ts"]]) {
    const { code, said, asked, followed } = await runAgainst(redirect, args);
    assert.deepEqual([code, asked.length, followed], [1, 1, 0], said);
    assert.match(said, /✗ .* leads elsewhere/);
    assert.ok(!said.includes(DECOY));
  }
});

Deno.test("an address that others could listen on is refused", async () => {
  const { code, said } = await runAgainst(nothing, ["health.ts"], {
    SUPABASE_URL: "http://abcdefghijklmnopqrst.supabase.co",
  });
  assert.equal(code, 1);
  assert.match(said, /✗ SUPABASE_URL must be an https address/);
});

Deno.test("a project that took Tollgate in is asked by its prefix and in its schema", async () => {
  const env = { TOLLGATE_FUNCTIONS_PREFIX: "tollgate-", TOLLGATE_SCHEMA: "tollgate" };
  const health = await runAgainst(nothing, ["health.ts"], env);
  assert.equal(health.asked[0]?.path, "/functions/v1/tollgate-health");
  const restored = await runAgainst(nothing, ["restored.ts", "--since=2026-11-20T03:00:00Z"], env);
  assert.deepEqual(restored.asked[0], { path: "/rest/v1/rpc/hold_usage", schema: "tollgate" });
});

Deno.test("a mistyped command touches nothing and says what is wrong, without a stack trace", async () => {
  const mistyped = [
    ["restored.ts", "--since=2999-01-01T00:00:00Z"],
    ["restored.ts", "--since=2"],
    ["restored.ts", "--since=2026-11-20T03:00:00"],
    ["restored.ts", "--sinc=2026-11-20T03:00:00Z"],
    ["rebuild.ts", "--apply", "--dryrun"],
    ["usage_check.ts", "--bogus"],
    ["health.ts", "--al"],
  ];
  for (const args of mistyped) {
    const { code, said, asked } = await runAgainst(nothing, args);
    assert.deepEqual([code, asked.length], [1, 0], `${args}: ${said}`);
    assert.match(said, /^✗ /);
    assert.ok(!said.includes("    at "), said);
  }
});
