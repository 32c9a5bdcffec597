/** What the tests of `npm start -- --supabase` do: start it as npm would, and look at what came of it. */
import assert from "node:assert/strict";
import postgres from "postgres";
import type { Ports } from "../../local/env.ts";
import { CARDS, mustLeave, pay } from "./hosted.ts";
import { mustRun, ROOT } from "./run.ts";

const READY = "Tollgate is ready";

/** By its full path, for a PATH with nothing in it. */
const NODE = (await mustRun("node", ["-p", "process.execPath"])).trim();

export interface Started {
  process: Deno.ChildProcess;
  output: () => string;
  ended: Promise<number>;
}

export function npmRun(args: string[], dataDir: string, ports: Ports, env: Record<string, string>) {
  const process = new Deno.Command(NODE, {
    args: [`${ROOT}local/bootstrap.mjs`, ...args],
    cwd: "/",
    env: {
      TOLLGATE_DATA_DIR: dataDir,
      TOLLGATE_PORT_BASE: String(ports.web),
      NO_COLOR: "1",
      ...env,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) text += part;
  };
  const streams = Promise.all([collect(process.stdout), collect(process.stderr)]);
  const ended = streams.then(() => process.status).then(({ code }) => code);
  return { process, output: () => text, ended } satisfies Started;
}

export async function ready({ output, ended }: Started): Promise<void> {
  let over = false;
  void ended.then(() => over = true);
  for (let waited = 0; waited < 120_000 && !over; waited += 100) {
    if (output().includes(READY)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(output());
}

export async function end(started: Started): Promise<void> {
  try {
    started.process.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await started.ended;
}

export function pathWith(folder: string): string {
  return `${folder}:${Deno.env.get("PATH") ?? ""}`;
}

/** A raw request, because `fetch` lets nobody choose the Host. */
export async function getThrough(address: string, port: number, host: string, path: string) {
  const connection = await Deno.connect({ hostname: address, port });
  try {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    return await new Response(connection.readable).text();
  } catch (error) {
    connection.close();
    throw error;
  }
}

export async function checkDatabase(ports: Ports, projectUrl = "http://kong:8000"): Promise<void> {
  const url = `postgresql://postgres:postgres@127.0.0.1:${ports.database}/postgres`;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql<{ migrations: number; demo: number; vault: Record<string, string> }[]>`
      select (select count(*)::int from supabase_migrations.schema_migrations) as migrations,
        (select count(*)::int from auth.users where email = 'demo@tollgate.test') as demo,
        (select jsonb_object_agg(name, decrypted_secret) from vault.decrypted_secrets) as vault`;
    const files = await Array.fromAsync(Deno.readDir(`${ROOT}supabase/migrations`));
    assert.equal(row?.migrations, files.length);
    assert.equal(row?.demo, 1);
    assert.equal(row?.vault["project_url"], projectUrl);
    assert.match(row?.vault["secret_key"] ?? "", /^sb_secret_/);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

export async function subscribe(dataDir: string): Promise<void> {
  const described = JSON.parse(await Deno.readTextFile(`${dataDir}-supabase/stack.json`));
  const { api_url, publishable_key, web_url, stripe_url } = described;
  const post = async (path: string, body: unknown, token?: string) => {
    const response = await fetch(`${api_url}${path}`, {
      method: "POST",
      headers: {
        apikey: publishable_key,
        "content-type": "application/json",
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return await response.json();
  };
  const email = `cli-${crypto.randomUUID()}@example.com`;
  const session = await post("/auth/v1/signup", { email, password: "a password, by the CLI" });
  const token: string = session.access_token;
  const { url } = await post("/functions/v1/checkout", { lookup_key: "pro_monthly" }, token);
  assert.ok(url.startsWith(stripe_url), "the page is on the address that the browser knows");
  const left = mustLeave(await pay(url, CARDS.success));
  assert.equal(left.origin, web_url);
  await post("/functions/v1/sync", {}, token);
  const mine = await post("/rest/v1/rpc/my_entitlements", {}, token);
  assert.equal(mine.plan.id, "pro");
  const page = await fetch(web_url);
  assert.match(await page.text(), /<div id="root">/);
}
