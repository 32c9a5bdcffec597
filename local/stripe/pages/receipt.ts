/** `/receipts/:charge`: what was paid, and what of it was given back. */
import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { ReceiptView } from "../hosted.ts";
import { capital, money } from "./format.ts";
import type { Kit } from "./kit.ts";
import { badge, type Html, layout, message } from "./layout.ts";
import { time } from "./portal_view.ts";

export function mountReceipt(app: Hono, kit: Kit): void {
  app.get("/receipts/:charge", (c) => {
    const view = kit.hosted.getReceiptView(c.req.param("charge") ?? "");
    return view ? c.html(receiptPage(view)) : unknownPage(c);
  });
}

function receiptPage(view: ReceiptView): Html {
  const { merchant_name, currency, amount, amount_refunded } = view;
  const title = `Receipt from ${merchant_name}`;
  const state = amount_refunded === 0
    ? badge("good", "Paid")
    : badge("plain", amount_refunded >= amount ? "Refunded" : "Partly refunded");
  const body = html`
    <section class="card invoice">
      <div class="row"><h1>${title}</h1>${state}</div>
      <dl class="pairs">
        <div>
          <dt>Number</dt>
          <dd>${view.id}</dd>
        </div>
        <div>
          <dt>Date</dt>
          <dd>${time(view.created)}</dd>
        </div>
        <div>
          <dt>Paid with</dt>
          <dd>${capital(view.paid_with.replaceAll("_", " "))}</dd>
        </div>
      </dl>
      <dl class="lines">
        <div><dt>${view.description ?? "Payment"}</dt><dd>${money(amount, currency)}</dd></div>
        ${amount_refunded === 0 ? "" : html`
          <div>
            <dt>Refunded</dt>
            <dd>−${money(amount_refunded, currency)}</dd>
          </div>
        `}
      </dl>
    </section>
  `;
  const header = html`<p class="merchant">${merchant_name}</p>`;
  return layout({ title, header, body });
}

function unknownPage(c: Context): Response | Promise<Response> {
  return c.html(
    message({
      title: "There is no such receipt",
      text: "The address may be cut off, or the sandbox was reset since it was made.",
    }),
    404,
  );
}
