import assert from "node:assert/strict";
import { LOCAL, ROOT } from "./paths.ts";
import { reservePorts } from "./ports.ts";
import { connect } from "./postgres.ts";
import { canListen, identify } from "./process_table.ts";
import { eventually } from "./testing.ts";

type Recorded = { name: string; pid: number };
type Started = {
  process: Deno.ChildProcess;
  output: () => string;
  ended: Promise<Deno.CommandStatus>;
};

const READY = "Tollgate is ready";

/** As npm would: plain Node runs the bootstrap. */
function start(
  command: string,
  dataDir: string,
  base: number,
  env: Record<string, string> = {},
): Started {
  const process = new Deno.Command(Deno.env.get("TOLLGATE_NODE") ?? "node", {
    args: [`${LOCAL}/bootstrap.mjs`, command],
    cwd: "/",
    env: { TOLLGATE_DATA_DIR: dataDir, TOLLGATE_PORT_BASE: String(base), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) text += part;
  };
  const streams = Promise.all([collect(process.stdout), collect(process.stderr)]);
  return { process, output: () => text, ended: streams.then(() => process.status) };
}

async function ready(started: Started): Promise<void> {
  await eventually(() => Promise.resolve(started.output().includes(READY)), 40_000)
    .catch(() => assert.fail(started.output()));
}

async function recorded(dataDir: string): Promise<Recorded[]> {
  const main = Number(await Deno.readTextFile(`${dataDir}/run/lock`));
  const children: Recorded[] = JSON.parse(await Deno.readTextFile(`${dataDir}/run/processes.json`));
  return [{ name: "main", pid: main }, ...children];
}

async function allGone(processes: Recorded[]): Promise<void> {
  await eventually(async () => {
    const alive = await Promise.all(processes.map(({ pid }) => identify(pid)));
    return alive.every((one) => one === null);
  }, 9000);
}

Deno.test("npm start: its life and its deaths", async (t) => {
  const reserved = await reservePorts();
  const base = reserved.ports.web;
  const parent = await Deno.makeTempDir({ prefix: "tollgate life " });
  // As somebody's own folder: nobody else may even enter it.
  await Deno.chmod(parent, 0o700);
  const dataDir = `${parent}/data`;
  const dbUrl = `postgresql://postgres:postgres@127.0.0.1:${reserved.ports.database}/postgres`;
  // All of them, so that a failing step leaves nothing running.
  const started: Started[] = [];
  const begin = async (): Promise<Started> => {
    const one = start("start", dataDir, base);
    started.push(one);
    await ready(one);
    return one;
  };
  const last = (): Started => started.at(-1) ?? assert.fail("nothing was started");
  try {
    await t.step(
      "it starts from nothing, in a folder with a space that only its owner may enter",
      async () => {
        await begin();
        const described = JSON.parse(await Deno.readTextFile(`${dataDir}/stack.json`));
        assert.deepEqual(Object.keys(described).sort(), [
          "api_url",
          "db_url",
          "inbox_url",
          "publishable_key",
          "secret_key",
          "stripe_url",
          "web_url",
          "webhook_secret",
        ]);
        assert.equal(described.api_url, `http://127.0.0.1:${base + 1}`);
        const page = await fetch(described.web_url);
        assert.equal(page.status, 200);
        await page.body?.cancel();
        const sql = connect(dbUrl);
        await sql`create table public.kept as select 42 as answer`;
        await sql.end();
      },
    );

    await t.step("a second one on the same data says so and leaves the first alone", async () => {
      const second = start("start", dataDir, base + 8);
      assert.equal((await second.ended).code, 1);
      assert.match(second.output(), /already running on .*pid \d+/);
      assert.ok(await Deno.readTextFile(`${dataDir}/stack.json`));
    });

    await t.step("reset refuses while it runs", async () => {
      const refused = start("reset", dataDir, base);
      assert.equal((await refused.ended).code, 1);
      assert.match(refused.output(), /already running/);
    });

    await t.step("another start on its ports names who has them", async () => {
      const other = start("start", `${parent}/other`, base);
      assert.equal((await other.ended).code, 1);
      assert.match(
        other.output(),
        new RegExp(`Port ${base + 1} \\(api\\) is taken by pid \\d+ \\(.*main\\.ts`),
      );
      assert.match(other.output(), /TOLLGATE_PORT_BASE/);
    });

    await t.step("kill -9 of the main process leaves nothing behind", async () => {
      const processes = await recorded(dataDir);
      assert.deepEqual(processes.map(({ name }) => name).sort(), [
        "functions",
        "main",
        "postgres",
        "web",
      ]);
      Deno.kill(processes[0]?.pid ?? 0, "SIGKILL");
      await last().ended;
      await allGone(processes);
      assert.ok(Object.values(reserved.ports).every(canListen));
    });

    await t.step("the next start recovers, with the data as they were", async () => {
      await begin();
      const sql = connect(dbUrl);
      const [row] = await sql`select answer from public.kept`;
      await sql.end();
      assert.equal(row?.["answer"], 42);
    });

    await t.step("kill -9 of the process that started it ends everything too", async () => {
      const processes = await recorded(dataDir);
      last().process.kill("SIGKILL");
      await last().ended;
      await allGone(processes);
      await eventually(async () => !(await Deno.stat(`${dataDir}/stack.json`).catch(() => null)));
    });

    await t.step(
      "kill -9 of the main process and its reaper: the next start clears up and starts",
      async () => {
        await begin();
        const before = await recorded(dataDir);
        const reaper = await findReaper(before[0]?.pid ?? 0);
        Deno.kill(reaper, "SIGKILL");
        Deno.kill(before[0]?.pid ?? 0, "SIGKILL");
        await last().ended;
        await begin();
        await allGone(before);
      },
    );

    await t.step("Ctrl-C stops it cleanly", async () => {
      const processes = await recorded(dataDir);
      last().process.kill("SIGINT");
      const status = await last().ended;
      assert.equal(status?.code, 0, last().output());
      await allGone(processes);
      assert.equal(await Deno.stat(`${dataDir}/stack.json`).catch(() => null), null);
      const log = await Deno.readTextFile(`${dataDir}/logs/postgres.log`);
      assert.match(log.trimEnd().split("\n").at(-1) ?? "", /database system is shut down/);
    });

    await t.step("reset removes the data", async () => {
      const done = start("reset", dataDir, base);
      assert.equal((await done.ended).code, 0, done.output());
      assert.equal(await Deno.stat(dataDir).catch(() => null), null);
      const foreign = start("reset", parent, base);
      assert.equal((await foreign.ended).code, 1);
      assert.match(foreign.output(), /was not made by Tollgate/);
    });
  } finally {
    for (const one of started) {
      try {
        one.process.kill("SIGTERM");
      } catch {
        // Ended already, as it should.
      }
      await one.ended;
    }
    reserved.release();
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("settings that cannot be used are all named at once, with exit code 2", async () => {
  const wrong = start("start", "/nonexistent", 80, {
    STRIPE_SECRET_KEY: "sk_live_abc",
    TOLLGATE_DEBUG: "maybe",
  });
  assert.equal((await wrong.ended).code, 2);
  for (const name of ["TOLLGATE_PORT_BASE", "STRIPE_SECRET_KEY", "TOLLGATE_DEBUG"]) {
    assert.match(wrong.output(), new RegExp(`${name}: `));
  }
  assert.doesNotMatch(wrong.output(), /sk_live_abc/);
});

Deno.test("every setting is documented in .env.example", async () => {
  const example = await Deno.readTextFile(`${ROOT}/.env.example`);
  const code = await Deno.readTextFile(`${LOCAL}/env.ts`);
  const names = new Set(code.match(/^ {2}[A-Z][A-Z_]+(?=:)/gm)?.map((name) => name.trim()));
  assert.ok(names.size >= 6);
  for (const name of names) assert.match(example, new RegExp(`^#? ?${name}=`, "m"), name);
});

async function findReaper(parent: number): Promise<number> {
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const stat = await Deno.readTextFile(`/proc/${entry.name}/stat`).catch(() => "");
    const ppid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (ppid !== parent) continue;
    const command = await Deno.readTextFile(`/proc/${entry.name}/cmdline`).catch(() => "");
    if (command.includes("reaper.sh")) return Number(entry.name);
  }
  throw new Error("there is no reaper");
}
