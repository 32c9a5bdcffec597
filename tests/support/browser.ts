import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { customerOf, priceOf, quiet } from "./sandbox.ts";
import { eventually, type Person, signUp, stack, stripe } from "./stack.ts";

/** Debian's Chromium, then what other systems call it; else the one that `npx playwright install chromium` keeps. */
const EXECUTABLES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

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

/** By the rules of axe, on the page as it is now. */
export async function noAccessibilityFaults(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const faults = violations.map(({ id, nodes }) =>
    `${id}: ${nodes.map(({ html }) => html).join(" | ")}`
  );
  assert.deepEqual(faults, [], where);
}

export async function assertFits(page: Page, where: string): Promise<void> {
  // As text: the tests are checked as Deno's, which has no document.
  const [content = 0, window = 0]: number[] = await page.evaluate(
    "[document.documentElement.scrollWidth, innerWidth]",
  );
  assert.ok(content <= window, `${where} scrolls sideways: ${content} > ${window}`);
}

const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 360, height: 740 };

/** Each screen and each theme is looked at by axe once: contrast knows no size, and layout no colour. */
const VIEWS = [
  { as: "desktop-dark", size: DESKTOP, colorScheme: "dark", axe: false },
  { as: "phone-light", size: PHONE, colorScheme: "light", axe: false },
  { as: "phone-dark", size: PHONE, colorScheme: "dark", axe: true },
  { as: "desktop-light", size: DESKTOP, colorScheme: "light", axe: true },
] as const;

/** One view as everybody may see it: on a desktop and a phone, light and dark; accessible, nothing cut off, and kept. */
export async function everywhere(page: Page, name: string): Promise<void> {
  for (const { as, size, colorScheme, axe } of VIEWS) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    await settled(page);
    await assertFits(page, `${name}-${as}`);
    if (axe) await noAccessibilityFaults(page, `${name}-${as}`);
    await picture(page, `${name}-${as}`);
  }
}

/** Colours change by transitions, one within the other: what is measured before they end is neither light nor dark. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
  );
  await page.waitForFunction("document.getAnimations().length === 0");
}

/** Signs in with the form, and waits for the chat. */
export async function signInAs(page: Page, person: Person): Promise<void> {
  await page.goto(`${stack().web_url}/sign-in`);
  await page.getByLabel("E-mail").fill(person.email);
  await page.getByLabel("Password", { exact: true }).fill(person.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("textbox", { name: "Message" }).waitFor();
}

/** Fills in a hosted page of the sandbox and presses its button. */
export async function payWith(page: Page, card: string, button = "Subscribe"): Promise<void> {
  await page.getByLabel("Card number").fill(card);
  await page.getByLabel("Expiry").fill("12 / 40");
  await page.getByLabel("CVC").fill("123");
  await page.getByLabel("Name on card").fill("Ada Lovelace");
  await page.getByRole("button", { name: button }).click();
}

export interface Visit {
  page: Page;
  person: Person;
  /** The dialog in front of the page. */
  dialog: ReturnType<Page["getByRole"]>;
  go: (path: string) => Promise<void>;
}

/** A signed-in person in a browser of their own; what their pages throw or log as an error fails the test. */
export async function visit(name: string, person: Person, work: (visit: Visit) => Promise<void>) {
  const browser = await launchBrowser();
  const { page, problems } = await visitor(browser, { viewport: { width: 1280, height: 860 } });
  try {
    await signInAs(page, person);
    const go = async (path: string) => {
      await page.goto(`${stack().web_url}${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
    };
    await work({ page, person, go, dialog: page.getByRole("dialog") });
    assert.deepEqual(problems, []);
  } catch (error) {
    await picture(page, `failure-${name}`);
    throw error;
  } finally {
    await browser.close();
  }
}

/** Somebody who pays for this price, made as an operator would. */
export async function subscribed(
  name: string,
  lookupKey: string,
  options: { card?: string; clock?: string } = {},
) {
  const person = await signUp(name);
  const customer = await customerOf(person, options);
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf(lookupKey) }],
  });
  await eventually(
    async () => (await person.client.from("entitlements").select("source")).data,
    (rows) => rows?.[0]?.source === "subscription",
  );
  await quiet();
  return { person, customer, subscription };
}

/** From now on this customer's payments are refused. */
export async function breakCard(customer: string): Promise<void> {
  const card = await stripe().paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  await stripe().customers.update(customer, {
    invoice_settings: { default_payment_method: card.id },
  });
}
