import assert from "node:assert/strict";
import { type Functions, startFunctions } from "./functions.ts";
import { Supervisor } from "./supervisor.ts";
import { eventually } from "./testing.ts";

const GOOD = (version: string) =>
  `export default { fetch: () => new Response(${JSON.stringify(version)}) };\n`;

Deno.test("the functions' process", async (t) => {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-fn " });
  const folder = `${dataDir}/functions`;
  const write = async (name: string, text: string) => {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${name}/index.ts`, text);
  };
  await write("hello", GOOD("one"));
  await write("_shared", "export {};\n");
  await write(
    "env",
    `export default { fetch: () => Response.json(Object.keys(Deno.env.toObject()).sort()) };\n`,
  );
  await write(
    "reach",
    `const tries = { file: () => Deno.readTextFile("/etc/hostname"), run: () => new Deno.Command("/bin/true").output(),
      net: () => fetch("http://127.0.0.1:2/") };
    export default { fetch: async () => Response.json(Object.fromEntries(await Promise.all(
      Object.entries(tries).map(async ([name, work]) => {
        try { await work(); return [name, "allowed"]; } catch (error) { return [name, error.name]; }
      })))) };\n`,
  );
  await write(
    "echo",
    `export default { fetch: async (request: Request) => Response.json({
      path: new URL(request.url).pathname + new URL(request.url).search, method: request.method,
      header: request.headers.get("x-a"), body: await request.text() }) };\n`,
  );
  await write("throws", `export default { fetch: () => { throw new Error("a bug"); } };\n`);
  await write(
    "dies",
    `export default { fetch: () => { setTimeout(() => Deno.exit(3), 0); return new Response("bye"); } };\n`,
  );
  const log: string[] = [];
  const supervisor = await Supervisor.start(`${dataDir}/data`);
  const functions = await startFunctions({
    folder,
    dataDir: `${dataDir}/data`,
    env: { ONLY: "this" },
    network: ["127.0.0.1:1"],
    watch: true,
    log: (line) => log.push(line),
  }, supervisor);
  try {
    await t.step("a folder with an underscore is no function", () => {
      assert.deepEqual(functions.names(), ["dies", "echo", "env", "hello", "reach", "throws"]);
    });

    await t.step("method, path, headers and body arrive as they were sent", async () => {
      const response = await call(functions, "echo", "/more?a=1", {
        method: "PUT",
        body: "text",
        headers: { "x-a": "b" },
      });
      assert.deepEqual(await response.json(), {
        path: "/echo/more?a=1",
        method: "PUT",
        header: "b",
        body: "text",
      });
    });

    await t.step("a function sees its own environment and nothing of ours", async () => {
      assert.deepEqual(await (await call(functions, "env")).json(), ["ONLY"]);
    });

    await t.step("files, programs and other addresses are out of its reach", async () => {
      assert.deepEqual(await (await call(functions, "reach")).json(), {
        file: "NotCapable",
        run: "NotCapable",
        net: "NotCapable",
      });
    });

    await t.step("a throw is a 500 and the others go on", async () => {
      const response = await call(functions, "throws");
      assert.equal(response.status, 500);
      assert.equal((await response.json()).code, "WORKER_ERROR");
      assert.equal(await text(functions, "hello"), "one");
    });

    await t.step(
      "a saved change is served, and requests in between wait instead of failing",
      async () => {
        await write("hello", GOOD("two"));
        const statuses = new Set<number>();
        await eventually(async () => {
          const response = await call(functions, "hello");
          statuses.add(response.status);
          return await response.text() === "two";
        });
        assert.deepEqual([...statuses], [200]);
      },
    );

    await t.step("a syntax error is shown and answered with 503, until the next save", async () => {
      await write("hello", "export default { fetch: ( => {} };\n");
      const broken = await eventually(async () => {
        const response = await call(functions, "hello");
        const body = await response.text();
        return response.status === 503 && body;
      });
      assert.equal(JSON.parse(broken).code, "BOOT_ERROR");
      assert.ok(log.some((line) => line.includes("hello")), log.join("\n"));
      assert.equal((await call(functions, "echo")).status, 200);
      await write("hello", GOOD("three"));
      await eventually(async () => await text(functions, "hello") === "three");
    });

    await t.step("a process that ends is started again", async () => {
      await text(functions, "dies").catch(() => "");
      await eventually(async () => await text(functions, "hello").catch(() => "") === "three");
      assert.ok(log.some((line) => line.includes("ended unexpectedly")));
    });
  } finally {
    await functions.stop();
    await supervisor.close();
    await Deno.remove(dataDir, { recursive: true });
  }
});

async function call(
  functions: Functions,
  name: string,
  rest = "",
  init: RequestInit = {},
): Promise<Response> {
  const request = new Request(`http://127.0.0.1/functions/v1/${name}${rest}`, init);
  return await functions.fetch(name, request, AbortSignal.timeout(10_000));
}

async function text(functions: Functions, name: string): Promise<string> {
  return await (await call(functions, name)).text();
}
