/** Routes of the hosted pages. This stub says what is to come; the real pages replace it. */
import type { Hono } from "hono";
import type { Hosted } from "../hosted.ts";

export function mountPages(app: Hono, hosted: Hosted): void {
  app.get("/c/pay/:session", (c) => {
    const view = hosted.getCheckoutView(c.req.param("session"));
    return view ? c.json(view) : c.text("No such checkout session", 404);
  });
  app.get("/p/session/:session", (c) => {
    const view = hosted.getPortalView(c.req.param("session"));
    return view ? c.json(view) : c.text("No such portal session", 404);
  });
  app.get("/i/:invoice", (c) => {
    const view = hosted.getInvoiceView(c.req.param("invoice"));
    return view ? c.json(view) : c.text("No such invoice", 404);
  });
}
