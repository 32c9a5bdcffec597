/**
 * `npm start -- --supabase`: the official CLI is the real one of node_modules, with its whole course of start, status, functions serve
 * and stop; Docker is played (see tests/support/containers.ts). What only real containers can show is listed in docs/local.md.
 */
import assert from "node:assert/strict";
import { reservePorts } from "../../local/ports.ts";
import { exists } from "../../local/util.ts";
import { BRIDGE, playContainers } from "../support/containers.ts";
import { mustRun, npmBin, ROOT } from "../support/run.ts";
import {
  checkDatabase,
  end,
  getThrough,
  npmRun,
  pathWith,
  ready,
  subscribe,
} from "../support/supabase_cli.ts";

const NATIVE_PARTS = ["realtime", "storage", "mail", "analytics", "pooler"];

Deno.test("without Docker `npm start -- --supabase` says what is missing, ends with 1 and starts nothing", async () => {
  const reserved = await reservePorts();
  const parent = await Deno.makeTempDir({ prefix: "tollgate no docker " });
  try {
    const none = npmRun(["start", "--supabase"], `${parent}/data`, reserved.ports, {
      PATH: `${parent}/nothing`,
    });
    assert.equal(await none.ended, 1, none.output());
    assert.match(none.output(), /no program `docker` on the PATH/);
    assert.match(none.output(), /npm start -- --supabase=native/);

    await Deno.mkdir(`${parent}/bin`);
    await Deno.writeTextFile(
      `${parent}/bin/docker`,
      "#!/bin/sh\necho 'Cannot connect to the Docker daemon. Is it running?' >&2\nexit 1\n",
      { mode: 0o755 },
    );
    const failing = npmRun(["start", "--supabase"], `${parent}/data`, reserved.ports, {
      PATH: pathWith(`${parent}/bin`),
    });
    assert.equal(await failing.ended, 1, failing.output());
    assert.match(failing.output(), /Docker does not answer: Cannot connect to the Docker daemon/);
    assert.doesNotMatch(none.output() + failing.output(), /\n\s+at /, "a sentence, no stack");
    assert.ok(!(await exists(`${parent}/data-supabase/stack.json`)));

    const unknown = npmRun(["start", "--supabse"], `${parent}/data`, reserved.ports, {});
    assert.equal(await unknown.ended, 1);
    assert.match(unknown.output(), /Unknown option "--supabse"/);
  } finally {
    reserved.release();
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("npm start -- --supabase, by the real CLI in played containers", async (t) => {
  const reserved = await reservePorts();
  const { ports } = reserved;
  const parent = await Deno.makeTempDir({ prefix: "tollgate cli " });
  const dataDir = `${parent}/data`;
  const containers = await playContainers(ports);
  const env = { ...containers.env, PATH: pathWith(containers.bin) };
  let started = npmRun(["start", "--supabase"], dataDir, ports, env);
  try {
    await ready(started);
    const name = (service: string) => `supabase_${service}_tollgate-${ports.api}`;

    await t.step(
      "the CLI starts what the product uses, on our ports, and nothing else",
      async () => {
        const running = (await containers.running()).sort();
        const wanted = ["auth", "db", "edge_runtime", "kong", "pg_meta", "rest", "studio"];
        assert.deepEqual(running, wanted.map(name));
        const calls = await containers.calls();
        const created = (service: string) =>
          calls.find((call) => call.startsWith(`create --name ${name(service)} `)) ?? "";
        assert.match(created("db"), new RegExp(`-p ${ports.database}:5432 `));
        assert.match(created("kong"), new RegExp(`-p ${ports.api}:8000 `));
      },
    );

    await t.step("its progress is shown, and none of its keys", () => {
      assert.match(started.output(), /supabase: Starting containers/);
      assert.doesNotMatch(started.output(), /sb_secret_|whsec_/);
    });

    await t.step(
      "the functions get our settings, with the machine's name inside a container",
      async () => {
        const settings = await containers.settings(name("edge_runtime"));
        assert.equal(settings["STRIPE_API_BASE"], `http://host.docker.internal:${ports.stripe}`);
        assert.equal(settings["SMTP_URL"], `smtp://host.docker.internal:${ports.smtp}`);
        assert.equal(settings["SITE_URL"], `http://127.0.0.1:${ports.web}`);
        assert.match(settings["STRIPE_WEBHOOK_SECRET"] ?? "", /^whsec_\w+(,whsec_\w+){3}$/);
        assert.equal(settings["EMAIL_FROM"], "Tollgate <notices@tollgate.test>");
        assert.equal(settings["SUPABASE_URL"], "http://kong:8000");
      },
    );

    await t.step("migrations and seed are in, and cron knows where the functions are", async () => {
      await checkDatabase(ports);
    });

    await t.step(
      "a container reaches the sandbox by the bridge's address, and by no other name",
      async () => {
        const port = ports.stripe;
        const path = "/v1/prices";
        const seen = await getThrough(BRIDGE, port, `host.docker.internal:${port}`, path);
        assert.match(seen, /^HTTP\/1\.1 401 /, "Stripe asks for a key");
        assert.match(
          await getThrough(BRIDGE, port, `evil.example:${port}`, path),
          /^HTTP\/1\.1 421 /,
        );
      },
    );

    await t.step("somebody signs up, pays in the sandbox and is on Pro", async () => {
      await subscribe(dataDir);
    });

    await t.step(
      "killed, it leaves the containers, and the next start goes on with them",
      async () => {
        const main = Number(await Deno.readTextFile(`${dataDir}-supabase/run/lock`));
        Deno.kill(main, "SIGKILL");
        await started.ended;
        assert.ok((await containers.running()).includes(name("db")));
        const before = await containers.calls();
        started = npmRun(["start", "--supabase"], dataDir, ports, env);
        await ready(started);
        const since = (await containers.calls()).slice(before.length);
        assert.deepEqual(
          since.filter((call) => call.startsWith(`create --name ${name("db")}`)),
          [],
        );
        await subscribe(dataDir);
      },
    );

    await t.step("an interrupt stops the containers and keeps their data", async () => {
      started.process.kill("SIGINT");
      assert.equal(await started.ended, 0, started.output());
      assert.deepEqual(await containers.running(), []);
      const calls = await containers.calls();
      assert.ok(!calls.some((call) => call.startsWith("volume prune")));
      assert.ok(!(await exists(`${dataDir}-supabase/run/functions.env`)), "secrets are not left");
      assert.ok(!(await exists(`${dataDir}-supabase/stack.json`)));
    });

    await t.step("npm run reset -- --supabase removes both, theirs and ours", async () => {
      const reset = npmRun(["reset", "--supabase"], dataDir, ports, env);
      assert.equal(await reset.ended, 0, reset.output());
      assert.ok((await containers.calls()).some((call) => call.startsWith("volume prune")));
      assert.ok(!(await exists(`${dataDir}-supabase`)));
    });
  } finally {
    await end(started);
    await containers.stop();
    reserved.release();
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("npm start -- --supabase=native says to the CLI what it says of itself, and needs no Docker", async () => {
  const reserved = await reservePorts();
  const { ports } = reserved;
  const parent = await Deno.makeTempDir({ prefix: "tollgate native " });
  const dataDir = `${parent}/data`;
  const containers = await playContainers(ports);
  const cli = `${parent}/supabase`;
  await Deno.copyFile(`${ROOT}tests/support/native_cli.sh`, cli);
  await Deno.chmod(cli, 0o755);
  const started = npmRun(["start", "--supabase=native"], dataDir, ports, {
    ...containers.env,
    TOLLGATE_SUPABASE_CLI: cli,
  });
  try {
    await ready(started);
    await checkDatabase(ports, `http://127.0.0.1:${ports.api}`);
    await subscribe(dataDir);
    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0, started.output());
    const { api, database } = ports;
    const before = `stack=1 project=tollgate-${api} api=${api} db=${database}`;
    const after = `--workdir ${ROOT.replace(/\/$/, "")}`;
    assert.deepEqual(
      await containers.calls(),
      [
        "stack start --runtime native --eager -x realtime,storage,mail,analytics,pooler",
        "stack status --env --output-format text",
        `functions serve --env-file ${dataDir}-supabase/run/functions.env`,
        "stack stop",
      ].map((call) => `${before} ${call} ${after}`),
    );
    assert.deepEqual(await containers.running(), [], "functions serve was ended");
  } finally {
    await end(started);
    await containers.stop();
    reserved.release();
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("the installed CLI knows every command, option and name that we give its native runtime", async () => {
  const home = await Deno.makeTempDir({ prefix: "tollgate cli " });
  try {
    const help = (command: string) =>
      mustRun(npmBin("supabase"), [...command.split(" "), "--help"], {
        env: { HOME: home, SUPABASE_EXPERIMENTAL_STACK: "1", SUPABASE_TELEMETRY_DISABLED: "1" },
      });
    const known: Record<string, string[]> = {
      "stack start": ["--runtime", "native", "--eager", "-x", ...NATIVE_PARTS],
      "stack status": ["--env", "--output-format", "text"],
      "stack stop": [],
      "stack destroy": ["--yes"],
      "functions serve": ["--env-file", "--workdir"],
    };
    for (const [command, words] of Object.entries(known)) {
      const text = await help(command);
      assert.match(text, new RegExp(`supabase ${command}`));
      assert.deepEqual(words.filter((word) => !text.includes(word)), [], command);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
