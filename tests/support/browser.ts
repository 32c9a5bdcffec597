import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Debian's Chromium, then what other systems call it; else the one that `npx playwright install chromium` keeps. */
const EXECUTABLES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Without them Chromium looks for services that are not there, many at a time, and refuses to run as root. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launchBrowser(): Promise<Browser> {
  const executablePath = EXECUTABLES.find((path) => existsSync(path));
  try {
    return await chromium.launch({ ...(executablePath && { executablePath }), args: FLAGS });
  } catch (error) {
    throw new Error(
      "No browser could be started. Install one: `apt-get install chromium` or `npx playwright install chromium`.",
      { cause: error },
    );
  }
}

/** A fresh visitor: no cookies, no storage. What goes wrong on their pages fails the test that owns them. */
export async function visitor(
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<{ context: BrowserContext; page: Page; problems: string[] }> {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is logged by the browser itself; refusals are what these tests are about.
    const ours = message.type() === "error" &&
      !message.text().startsWith("Failed to load resource");
    if (ours) problems.push(`console: ${message.text()}`);
  });
  return { context, page, problems };
}

/** Keeps a picture of the page as an artefact of the run. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("TEST_ARTIFACTS");
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}
