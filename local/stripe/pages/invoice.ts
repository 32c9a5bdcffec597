/** `/i/:invoice`: what an invoice says, and paying it while it is open. */
import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { InvoiceView, PayOutcome } from "../hosted.ts";
import { challengePage } from "./challenge.ts";
import { cardFields, declined, filled, keepable, readCard, testCards } from "./fields.ts";
import { capital, money, plural, toneOf } from "./format.ts";
import { attempt, formOf, type Kit } from "./kit.ts";
import { badge, flashBox, formToken, type Html, layout, message } from "./layout.ts";
import type { Flash, Problem } from "./memory.ts";
import { time } from "./portal_view.ts";

type Answer = Response | Promise<Response>;
const pathOf = (id: string): string => `/i/${encodeURIComponent(id)}`;
const isPayable = (view: InvoiceView): boolean =>
  view.status === "open" && view.amount_remaining > 0;

export function mountInvoice(app: Hono, kit: Kit): void {
  const known = (run: (c: Context, view: InvoiceView) => Answer) => (c: Context) => {
    const view = kit.hosted.getInvoiceView(c.req.param("invoice") ?? "");
    return view ? run(c, view) : unknownPage(c);
  };
  const post =
    (run: (view: InvoiceView, form: URLSearchParams) => string) => async (c: Context) => {
      const form = await formOf(c);
      const act = known((_c, view) =>
        c.redirect(kit.once.run(c.req.path, form, () => run(view, form)), 303)
      );
      return await act(c);
    };
  app.get("/i/:invoice", known((c, view) => show(c, kit, view)));
  app.post("/i/:invoice", post((view, form) => pay(kit, view, form)));
  app.get("/i/:invoice/authenticate", known((c, view) => showChallenge(c, kit, view)));
  app.post("/i/:invoice/authenticate", post((view, form) => answer(kit, view, form)));
}

function show(c: Context, kit: Kit, view: InvoiceView): Answer {
  if (view.awaiting_authentication) return c.redirect(`${pathOf(view.id)}/authenticate`, 303);
  return c.html(invoicePage(view, kit.flash(c)));
}

function pay(kit: Kit, view: InvoiceView, form: URLSearchParams): string {
  const path = pathOf(view.id);
  if (!isPayable(view) || view.awaiting_authentication) return path;
  const values = filled(form);
  if (values) return kit.flashes.leave(path, { values });
  const again = (problems: Problem[]) =>
    kit.flashes.leave(path, { problems, values: keepable(form) });
  const card = readCard(form);
  if ("problems" in card) return again(card.problems);
  const tried = attempt(() => kit.hosted.payInvoice(view.id, card.card));
  if ("refused" in tried) return again([{ field: null, message: tried.refused.message }]);
  return after(kit, path, tried.value, again);
}

function answer(kit: Kit, view: InvoiceView, form: URLSearchParams): string {
  const path = pathOf(view.id);
  const said = form.get("answer");
  if (!view.awaiting_authentication || (said !== "complete" && said !== "fail")) return path;
  const again = (problems: Problem[]) => kit.flashes.leave(path, { problems });
  const tried = attempt(() =>
    kit.hosted.confirmInvoiceAuthentication(view.id, said === "complete")
  );
  if ("refused" in tried) return again([{ field: null, message: tried.refused.message }]);
  return after(kit, path, tried.value, again);
}

function after(
  kit: Kit,
  path: string,
  outcome: PayOutcome,
  again: (problems: Problem[]) => string,
): string {
  if (outcome.outcome === "declined") return again([declined(outcome)]);
  if (outcome.outcome === "requires_action") return `${path}/authenticate`;
  return kit.flashes.leave(path, { notice: "Thank you, this invoice is paid." });
}

function showChallenge(c: Context, kit: Kit, view: InvoiceView): Answer {
  const path = pathOf(view.id);
  if (!view.awaiting_authentication) return c.redirect(path, 303);
  return c.html(challengePage({
    action: `${path}/authenticate`,
    merchant: view.merchant_name,
    amount: money(view.amount_remaining, view.currency),
    flash: kit.flash(c),
  }));
}

function invoicePage(view: InvoiceView, flash: Flash): Html {
  const title = `Invoice ${view.number ?? "(draft)"}`;
  const payable = isPayable(view);
  const body = html`<section class="card invoice">
      <div class="row"><h1>${title}</h1>${
    badge(toneOf(view.status), capital(view.status ?? "draft"))
  }</div>
      ${flashBox(flash)}
      <dl class="pairs">
        <div><dt>From</dt><dd>${view.merchant_name}</dd></div>
        <div><dt>To</dt><dd>${view.customer_name ?? view.customer_email ?? "Customer"}
          ${
    view.customer_name && view.customer_email
      ? html`<span class="quiet block">${view.customer_email}</span>`
      : ""
  }</dd></div>
        <div><dt>Date</dt><dd>${time(view.created)}</dd></div>
      </dl>
      ${amounts(view)}
    </section>
    ${payable ? payment(view, flash) : ""}`;
  const header = html`<p class="merchant">${view.merchant_name}</p>`;
  return layout({ title, header, body, flash });
}

function amounts(view: InvoiceView): Html {
  const amount = (minor: number) =>
    minor < 0 ? `−${money(-minor, view.currency)}` : money(minor, view.currency);
  const row = (name: string, minor: number) =>
    html`
      <div>
        <dt>${name}</dt>
        <dd>${amount(minor)}</dd>
      </div>
    `;
  return html`<dl class="lines">
    ${
    view.lines.map((line) =>
      html`
        <div>
          <dt>${line.description}
                <span class="quiet">${line.quantity > 1
                  ? `${plural(line.quantity, "seat")}, `
                  : ""}${time(line.period_start)} to
                  ${time(line.period_end)}</span></dt>
          <dd>${amount(line.amount)}</dd>
        </div>
      `
    )
  }
    ${view.subtotal === view.total ? "" : row("Subtotal", view.subtotal)}
    ${view.discount > 0 ? row("Discount", -view.discount) : ""}
    ${view.taxes.map((tax) => row(tax.inclusive ? `${tax.name}, included` : tax.name, tax.amount))}
    ${row("Total", view.total)}
    ${view.amount_paid > 0 ? row("Paid", view.amount_paid) : ""}
    ${
    view.amount_remaining > 0
      ? html`
        <div class="total">
          <dt>Amount due</dt>
          <dd>${amount(view.amount_remaining)}</dd>
        </div>
      `
      : ""
  }
  </dl>`;
}

function payment(view: InvoiceView, flash: Flash): Html {
  return html`
    <section class="card" aria-labelledby="pay-title">
      <h2 id="pay-title">Settle this invoice</h2>
      <form id="pay" method="post" action="${pathOf(view.id)}" novalidate data-once>
          ${formToken()}
          ${cardFields(flash, view.customer_name)}
          <button class="button primary wide">Pay</button>
        </form>
    </section>
      ${testCards("pay")}
  `;
}

function unknownPage(c: Context): Answer {
  return c.html(
    message({
      title: "There is no such invoice",
      text: "The address may be cut off, or the sandbox was reset since it was made.",
    }),
    404,
  );
}
