/** The portal's overview. */
import { html } from "hono/html";
import type { CardView, PortalInvoiceView, PortalSubscriptionView, PortalView } from "../hosted.ts";
import {
  capital,
  cardExpiry,
  cardName,
  day,
  iso,
  money,
  priceText,
  shortDay,
  toneOf,
} from "./format.ts";
import { webUrl } from "./guard.ts";
import { badge, flashBox, formToken, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";
import type { PortalPaths } from "./portal_paths.ts";

export const time = (seconds: number): Html =>
  html`<time datetime="${iso(seconds)}">${day(seconds)}</time>`;

/** The way out: to the app while a flow runs or from the overview, else back to the overview. */
export function portalHeader(view: PortalView, back: { href: string; label: string } | null): Html {
  const out = webUrl(view.return_url);
  const away = out ? { href: out, label: `Return to ${view.merchant_name}` } : null;
  const link = view.flow ? away : back ?? away;
  return html`<p class="merchant">${view.merchant_name}</p>
    ${
    link
      ? html`<a class="back" href="${link.href}"><span aria-hidden="true">←</span> ${link.label}</a>`
      : ""
  }`;
}

export interface CardActions {
  setDefault: boolean;
  remove: boolean;
}

export function overviewPage(
  view: PortalView,
  paths: PortalPaths,
  flash: Flash,
  can: CardActions,
): Html {
  const title = "Plan and billing";
  const body = html`<h1>${title}</h1>
    ${view.headline ? html`<p class="lead">${view.headline}</p>` : ""}
    ${flashBox(flash)}
    <section aria-labelledby="plan-title">
      <h2 id="plan-title">${view.subscriptions.length > 1 ? "Your plans" : "Your plan"}</h2>
      ${
    view.subscriptions.length === 0
      ? html`<p class="card empty">You have no subscription at the moment.</p>`
      : view.subscriptions.map((sub) => subscription(view, sub, paths))
  }
    </section>
    ${view.features.payment_method_update ? paymentMethods(view, paths, can) : ""}
    ${customer(view)}
    ${view.features.invoice_history ? invoices(view.invoices) : ""}`;
  return layout({ title, header: portalHeader({ ...view, flow: null }, null), body, flash });
}

export function statusLine(sub: PortalSubscriptionView): Html | string {
  const price = sub.price ? priceText(sub.price, sub.quantity) : "";
  if (sub.status === "canceled") return "This subscription has ended.";
  if (sub.ends_at !== null) return html`Ends on ${time(sub.ends_at)}. It will not renew.`;
  if (sub.status === "past_due" || sub.status === "unpaid") {
    return "The last payment failed. Add a working card to keep your plan.";
  }
  if (sub.status === "incomplete") return "The first payment is not complete yet.";
  if (sub.status === "trialing" && sub.trial_end !== null) {
    return html`Free until ${time(sub.trial_end)}, then ${price}.`;
  }
  return sub.current_period_end === null ? "" : html`Renews on ${time(sub.current_period_end)}.`;
}

function subscription(view: PortalView, sub: PortalSubscriptionView, paths: PortalPaths): Html {
  const name = sub.price?.product_name ?? "Subscription";
  const isLive = sub.status !== "canceled";
  const isEnding = sub.ends_at !== null && isLive;
  const id = `name-${sub.id}`;
  const status = isEnding ? "Ending" : capital(sub.status);
  const { subscription_update: canChange, subscription_cancel: canCancel } = view.features;
  return html`<article class="card plan" aria-labelledby="${id}">
    <div class="row">
      <h3 id="${id}">${name}</h3>
      ${badge(isEnding ? "wait" : toneOf(sub.status), status)}
    </div>
    ${sub.price ? html`<p class="figure small">${priceText(sub.price, sub.quantity)}</p>` : ""}
    ${sub.quantity > 1 ? html`<p class="quiet">${sub.quantity} seats</p>` : ""}
    <p>${statusLine(sub)}</p>
    ${
    sub.default_card && isLive && !isEnding
      ? html`<p class="quiet">Paid with ${cardName(sub.default_card)}</p>`
      : ""
  }
    <div class="actions">
      ${
    isLive && !isEnding && canChange && view.prices.length > 0
      ? html`<a class="button primary" href="${
        paths.plan(sub.id)
      }" aria-describedby="${id}">Change plan</a>`
      : ""
  }
      ${
    isLive && !isEnding && canCancel
      ? html`<a class="button" href="${
        paths.cancel(sub.id)
      }" aria-describedby="${id}">Cancel subscription</a>`
      : ""
  }
      ${
    isEnding && canCancel
      ? html`<form method="post" action="${paths.resume(sub.id)}" data-once>${formToken()}
          <button class="button primary" aria-describedby="${id}">Resume subscription</button></form>`
      : ""
  }
    </div>
  </article>`;
}

function paymentMethods(view: PortalView, paths: PortalPaths, can: CardActions): Html {
  return html`
    <section aria-labelledby="cards-title">
      <h2 id="cards-title">Payment methods</h2>
      <div class="card">
          ${view.payment_methods.length === 0
            ? html`<p class="empty">No card is saved.</p>`
            : html`<ul class="rows">${
              view.payment_methods.map((card) => cardRow(card, paths, can))
            }</ul>`}
          <p class="actions"><a class="button" href="${paths.newCard}">Add payment method</a></p>
        </div>
    </section>
  `;
}

function cardRow(card: CardView, paths: PortalPaths, can: CardActions): Html {
  const name = cardName(card);
  const button = (action: "default" | "remove", label: string) =>
    html`<form method="post" action="${paths.card(card.id, action)}" data-once>${formToken()}
      <button class="link">${label}<span class="unseen"> ${name}</span></button></form>`;
  return html`
    <li class="row">
      <span><strong>${name}</strong> <span class="quiet">expires ${cardExpiry(card)}</span></span>
      <span class="row-end">
          ${card.is_default ? badge("plain", "Default") : ""}
          ${!card.is_default && can.setDefault ? button("default", "Make default") : ""}
          ${!card.is_default && can.remove ? button("remove", "Remove") : ""}
        </span>
    </li>
  `;
}

function customer(view: PortalView): Html | "" {
  const { name, email } = view.customer;
  if (!name && !email) return "";
  return html`
    <section aria-labelledby="customer-title">
      <h2 id="customer-title">Billing details</h2>
      <dl class="card pairs">
          ${name
            ? html`
              <div>
                <dt>Name</dt>
                <dd>${name}</dd>
              </div>
            `
            : ""}
          ${email
            ? html`
              <div>
                <dt>E-mail</dt>
                <dd>${email}</dd>
              </div>
            `
            : ""}
        </dl>
    </section>
  `;
}

function invoices(list: PortalInvoiceView[]): Html {
  if (list.length === 0) {
    return html`
      <section aria-labelledby="invoices-title">
        <h2 id="invoices-title">Invoices</h2>
        <p class="card empty">There are no invoices yet.</p>
      </section>
    `;
  }
  return html`
    <section aria-labelledby="invoices-title">
      <h2 id="invoices-title">Invoices</h2>
      <div class="card table" role="region" aria-label="Table of invoices" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">Date</th>
              <th scope="col" class="number">Amount</th>
              <th scope="col">Status</th>
            </tr>
          </thead>
          <tbody>${list.map(invoiceRow)}</tbody>
        </table>
      </div>
    </section>
  `;
}

function invoiceRow(invoice: PortalInvoiceView): Html {
  const number = invoice.number ?? "Draft";
  return html`
    <tr>
      <th scope="row">${invoice.hosted_invoice_url
        ? html`<a href="/i/${
          encodeURIComponent(invoice.id)
        }">${number}<span class="unseen"> invoice</span></a>`
        : number}<span class="quiet block">${invoice.description}</span></th>
      <td><time class="day" datetime="${iso(invoice.created)}">${shortDay(
        invoice.created,
      )}</time></td>
      <td class="number">${money(invoice.total, invoice.currency)}</td>
      <td>${badge(toneOf(invoice.status), capital(invoice.status ?? "draft"))}</td>
    </tr>
  `;
}
