/**
 * The pages a person clicks through: Checkout, the Billing Portal, hosted invoices, and the developer's view of the
 * sandbox. Rendered here, no client framework, and they work without the script.
 */
import type { Hono } from "hono";
import { readFileSync } from "node:fs";
import type { Hosted } from "../hosted.ts";
import { mountCheckout } from "./checkout.ts";
import { guard } from "./guard.ts";
import { mountInvoice } from "./invoice.ts";
import { Kit } from "./kit.ts";
import { ASSETS, message } from "./layout.ts";
import type { Operator } from "./operator.ts";
import { mountOnboarding } from "./onboarding.ts";
import { mountOperator } from "./operator_pages.ts";
import { mountPortal } from "./portal.ts";
import { mountReceipt } from "./receipt.ts";

export type { Operator } from "./operator.ts";
export { storeOperator } from "./operator_store.ts";

const PAGES = [
  "/",
  "/c/pay/*",
  "/p/session/*",
  "/i/*",
  "/receipts/*",
  "/setup/*",
  "/_sandbox",
  "/_sandbox/ui/*",
];

/** Registers the pages' routes and nothing else; every other path stays the caller's. */
export function mountPages(app: Hono, hosted: Hosted, operator?: Operator): void {
  const kit = new Kit(hosted);
  const door = guard((title, text) => message({ title, text }));
  for (const path of PAGES) app.use(path, door);
  mountCheckout(app, kit);
  mountPortal(app, kit);
  mountInvoice(app, kit);
  mountReceipt(app, kit);
  mountOnboarding(app, kit);
  mountOperator(app, kit, operator);
  mountAssets(app);
}

const TYPES = {
  "pages.css": "text/css; charset=utf-8",
  "pages.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
  "inter.woff2": "font/woff2",
} as const;
const INTER = "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2";

function mountAssets(app: Hono): void {
  for (const [name, type] of Object.entries(TYPES)) {
    app.get(`${ASSETS}/${name}`, (c) => {
      const url = name === "inter.woff2"
        ? import.meta.resolve(INTER)
        : new URL(`assets/${name}`, import.meta.url);
      return c.body(new Uint8Array(readFileSync(new URL(url))), 200, {
        "content-type": type,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
      });
    });
  }
}
