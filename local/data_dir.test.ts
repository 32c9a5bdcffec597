import assert from "node:assert/strict";
import { reset } from "./reset.ts";
import { Supervisor } from "./supervisor.ts";
import { Terminal } from "./terminal.ts";
import { exists, StartError } from "./util.ts";

Deno.test("a folder with somebody's files is neither used nor removed", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/thesis.txt`, "years of work");
  await assert.rejects(() => Supervisor.start(folder), StartError);
  await assert.rejects(() => reset(folder, new Terminal()), StartError);
  assert.equal(await Deno.readTextFile(`${folder}/thesis.txt`), "years of work");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a new folder becomes ours, and reset removes it", async () => {
  const folder = `${await Deno.makeTempDir()}/data`;
  await (await Supervisor.start(folder)).close();
  await reset(folder, new Terminal());
  assert.equal(await exists(folder), false);
});
