import assert from "node:assert/strict";
import { DEFAULT_PORTS, portsFrom } from "../env.ts";
import { dotenv } from "./platform.ts";
import { parseStatus, portSettings, runtimeFrom } from "./runtime.ts";

const STATUS = {
  apiUrl: "http://127.0.0.1:54321",
  dbUrl: "postgresql://postgres:postgres@127.0.0.1:54322/postgres",
  publishableKey: "sb_publishable_x",
  secretKey: "sb_secret_y",
};

Deno.test("--supabase is Docker, =native the other one, and anything else is refused by its name", () => {
  assert.equal(runtimeFrom([]), null);
  assert.equal(runtimeFrom(["--supabase"]), "docker");
  assert.equal(runtimeFrom(["--supabase=docker"]), "docker");
  assert.equal(runtimeFrom(["--supabase=native"]), "native");
  for (const flag of ["--supabase=podman", "--supabase=", "--supa", "supabase"]) {
    assert.throws(() => runtimeFrom([flag]), { message: new RegExp(`"${flag}"`) });
  }
});

Deno.test("the status is read as JSON and as variables, whatever stands around it", () => {
  const json = JSON.stringify({
    API_URL: STATUS.apiUrl,
    DB_URL: STATUS.dbUrl,
    PUBLISHABLE_KEY: STATUS.publishableKey,
    SECRET_KEY: STATUS.secretKey,
    STUDIO_URL: "http://127.0.0.1:54323",
  });
  assert.deepEqual(parseStatus(`Stopped services: [supabase_vector_tollgate]\n${json}\n`), STATUS);
  const lines = 'A new version is there\nAPI_URL="http://localhost:54321"\n' +
    "DB_URL=postgresql://postgres:postgres@localhost:54322/postgres\r\n" +
    'export PUBLISHABLE_KEY="sb_publishable_x"\nSECRET_KEY="sb_secret_y"\n';
  assert.deepEqual(parseStatus(lines), STATUS);
});

Deno.test("a status without keys, such as that of a stack whose gateway does not run, is refused by what is missing", () => {
  assert.throws(() => parseStatus(JSON.stringify({ DB_URL: STATUS.dbUrl })), /API_URL/);
  assert.throws(() => parseStatus(""), /not understood/);
  assert.throws(() => parseStatus("{ broken"), /not understood/);
});

Deno.test("on the usual ports config.toml is left alone; elsewhere it is a project of its own", () => {
  assert.deepEqual(portSettings(DEFAULT_PORTS), {});
  const settings = portSettings(portsFrom(4000));
  assert.equal(settings["SUPABASE_PROJECT_ID"], "tollgate-4001");
  assert.equal(settings["SUPABASE_API_PORT"], "4001");
  assert.equal(settings["SUPABASE_DB_PORT"], "4002");
  const all = Object.values(settings).filter((value) => /^\d+$/.test(value)).map(Number);
  assert.deepEqual(all.filter((port) => port < 4000 || port > 4007), []);
  assert.equal(new Set(all).size, all.length);
});

Deno.test("the functions' settings are written so that nothing in a value has a meaning, without the CLI's own", () => {
  assert.equal(
    dotenv({ SUPABASE_URL: "http://x", EMAIL_FROM: 'A "B" <a@b.test>', PRICE: "$1" }),
    "EMAIL_FROM='A \"B\" <a@b.test>'\nPRICE='$1'\n",
  );
  assert.throws(() => dotenv({ SITE_URL: "it's" }), /SITE_URL has a quote/);
  assert.throws(() => dotenv({ SITE_URL: "a\nSTRIPE_SECRET_KEY=b" }), /line end/);
});
