/**
 * Does it start here? `npm start` on ports of its own and an empty folder, one visitor who signs up and asks a function, then Ctrl-C.
 * Plain Node, for platforms on which the tests have not been run.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const parent = mkdtempSync(join(tmpdir(), "tollgate smoke "));
const dataDir = join(parent, "data");
const child = spawn(process.execPath, [join(root, "local", "bootstrap.mjs"), "start"], {
  cwd: root,
  env: {
    ...process.env,
    TOLLGATE_DATA_DIR: dataDir,
    TOLLGATE_PORT_BASE: process.env.TOLLGATE_PORT_BASE ?? "21000",
  },
  stdio: "inherit",
});
const ended = new Promise((resolve) => {
  child.on("exit", (code, signal) => resolve(signal ?? code));
  child.on("error", (error) => resolve(error.message));
});

try {
  const stack = await described();
  await visit(stack);
  child.kill("SIGINT");
  const outcome = await ended;
  if (outcome !== 0) throw new Error(`It ended with ${outcome} after Ctrl-C.`);
  console.log(`✓ It starts, serves and stops on ${process.platform}-${process.arch}.`);
} catch (error) {
  console.error(`✗ ${error.message}`);
  process.exitCode = 1;
} finally {
  child.kill("SIGTERM");
  await ended;
  rmSync(parent, { recursive: true, force: true });
}

async function described() {
  for (let waited = 0; waited < 300; waited += 1) {
    const over = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1000))]);
    if (over !== undefined) throw new Error(`It ended with ${over} while starting.`);
    try {
      return JSON.parse(readFileSync(join(dataDir, "stack.json"), "utf8"));
    } catch {
      // Not yet.
    }
  }
  throw new Error("It was not ready after five minutes.");
}

async function visit({ web_url, api_url, publishable_key }) {
  const page = await fetch(web_url);
  if (!page.ok) throw new Error(`The web client answers ${page.status}.`);
  const post = async (path, body, token) => {
    const response = await fetch(`${api_url}${path}`, {
      method: "POST",
      headers: {
        apikey: publishable_key,
        "content-type": "application/json",
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path} answers ${response.status}.`);
    return await response.json();
  };
  const credentials = {
    email: `smoke-${Date.now()}@example.com`,
    password: "a visitor's password",
  };
  const { access_token: token } = await post("/auth/v1/signup", credentials);
  const { url } = await post("/functions/v1/checkout", { lookup_key: "pro_monthly" }, token);
  const checkout = await fetch(url);
  if (!checkout.ok) throw new Error(`The checkout page answers ${checkout.status}.`);
}
