/** The portal's single tasks: cancel, change plan, add a card. */
import { html } from "hono/html";
import type {
  PlanChangePreview,
  PortalSubscriptionView,
  PortalView,
  PriceView,
} from "../hosted.ts";
import { cardFields, field, testCards } from "./fields.ts";
import { money, plural, priceText } from "./format.ts";
import { webUrl } from "./guard.ts";
import { flashBox, formToken, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";
import type { PortalPaths } from "./portal_paths.ts";
import { portalHeader, time } from "./portal_view.ts";

/** Stripe's words for https://docs.stripe.com/api/customer_portal/configurations (cancellation_reason.options). */
const REASONS: Record<string, string> = {
  too_expensive: "It is too expensive",
  missing_features: "It lacks something I need",
  switched_service: "I found something else",
  unused: "I do not use it enough",
  customer_service: "The support was not good",
  too_complex: "It is hard to use",
  low_quality: "The quality is not good",
  other: "Something else",
};

const header = (view: PortalView, paths: PortalPaths): Html =>
  portalHeader(view, { href: paths.overview, label: "Back to billing" });

/** Leaving a task undone: to the app in a flow, else to the overview. */
function leave(view: PortalView, paths: PortalPaths): string {
  return view.flow ? webUrl(view.return_url) ?? paths.overview : paths.overview;
}

export function cancelPage(
  view: PortalView,
  sub: PortalSubscriptionView,
  paths: PortalPaths,
  flash: Flash,
): Html {
  const name = sub.price?.product_name ?? "your subscription";
  const isOver = sub.status === "canceled" || sub.ends_at !== null;
  const title = isOver ? `${name} is canceled` : `Cancel ${name}?`;
  const body = html`<section class="card task">
    <h1>${title}</h1>
    ${flashBox(flash)}
    ${isOver ? alreadyOver(view, sub, paths) : cancelForm(view, sub, paths, flash)}
  </section>`;
  return layout({ title, width: "narrow", header: header(view, paths), body, flash });
}

function alreadyOver(view: PortalView, sub: PortalSubscriptionView, paths: PortalPaths): Html {
  return html`
    <p>${sub.ends_at !== null && sub.status !== "canceled"
      ? html`You can use it until ${time(sub.ends_at)}. It will not renew.`
      : "It has ended, and you will not be charged again."}</p>
    <p class="actions"><a class="button primary" href="${leave(view, paths)}">Done</a></p>
  `;
}

function cancelForm(
  view: PortalView,
  sub: PortalSubscriptionView,
  paths: PortalPaths,
  flash: Flash,
): Html {
  const { cancel_mode, cancellation_reasons: reasons } = view.features;
  const end = sub.status === "trialing"
    ? sub.trial_end ?? sub.current_period_end
    : sub.current_period_end;
  const values = flash.values ?? {};
  return html`
    <p>${cancel_mode === "immediately"
      ? html`It ends <strong>at once</strong>, and you will not be charged again.`
      : end === null
      ? "It ends with the period you have paid for."
      : html`You keep it until <strong>${
        time(end)
      }</strong>. It will not renew, and you can change your mind until then.`}</p>
    <form method="post" action="${paths.cancel(sub.id)}" data-once>
        ${formToken()}
        ${reasons.length > 0
          ? html`
            <fieldset
              class="choices"><legend>Why are you leaving? <span class="quiet">(optional)</span></legend>
                    ${reasons.map((reason) =>
                      html`<label class="choice slim"><input type="radio" name="feedback" value="${reason}"
          ${values.feedback === reason ? html`checked` : ""}><span>${
                        REASONS[reason] ?? reason
                      }</span></label>`
                    )}</fieldset>
            <div class="field"><label for="comment">Anything else? <span class="quiet">(optional)</span></label>
                    <textarea id="comment" name="comment" rows="3" maxlength="500">${values
                      .comment ?? ""}</textarea></div>
          `
          : ""}
        <div class="actions">
          <button class="button danger">Confirm cancellation</button>
          <a class="button" href="${leave(view, paths)}">Keep my plan</a>
        </div>
      </form>
  `;
}

export function choosePlanPage(
  view: PortalView,
  sub: PortalSubscriptionView,
  paths: PortalPaths,
  flash: Flash,
): Html {
  const title = "Change plan";
  const others = view.prices.some((price) => price.id !== sub.price?.id);
  const body = html`<section class="card task">
    <h1>${title}</h1>
    ${
    sub.price
      ? html`<p>You have ${sub.price.product_name} at ${priceText(sub.price, sub.quantity)}.</p>`
      : ""
  }
    ${flashBox(flash)}
    ${
    others
      ? html`
        <form method="post" action="${paths.plan(sub.id)}">
          <fieldset class="choices"><legend>Choose a plan</legend>
                ${[...view.prices].sort(byAmount).map((price) => planChoice(price, sub))}
              </fieldset>
          <div class="actions">
            <button class="button primary">Continue</button>
            <a class="button" href="${leave(view, paths)}">Keep my plan</a>
          </div>
        </form>
      `
      : html`<p class="empty">There is no other plan to change to.</p>`
  }
  </section>`;
  return layout({ title, width: "narrow", header: header(view, paths), body, flash });
}

function byAmount(a: PriceView, b: PriceView): number {
  return Number(a.interval === "year") - Number(b.interval === "year") ||
    a.unit_amount - b.unit_amount;
}

function planChoice(price: PriceView, sub: PortalSubscriptionView): Html {
  const isCurrent = price.id === sub.price?.id;
  return html`
    <label class="choice">
      <input type="radio" name="price" value="${price.id}" ${isCurrent
        ? html`disabled`
        : html`required`}>
      <span><strong>${price.product_name}</strong> ${priceText(price, sub.quantity)}
          ${isCurrent ? html`<span class="badge plain">Your plan</span>` : ""}
          ${price.product_description
            ? html`<span class="quiet block">${price.product_description}</span>`
            : ""}</span>
    </label>
  `;
}

export function confirmPlanPage(page: {
  view: PortalView;
  sub: PortalSubscriptionView;
  price: PriceView;
  input: { price: string; quantity: number };
  /** The promotion code that the preview counts. */
  code: string | null;
  preview: PlanChangePreview;
  paths: PortalPaths;
  flash: Flash;
}): Html {
  const { view, sub, price, input, code, preview, paths, flash } = page;
  const title = `Change to ${price.product_name}`;
  const due = preview.amount_due_now;
  const body = html`<section class="card task">
    <h1>${title}</h1>
    <p>${priceText(price, input.quantity)}${
    input.quantity > 1 ? ` for ${plural(input.quantity, "seat")}` : ""
  }</p>
    ${flashBox(flash)}
    <dl class="lines">
      ${
    preview.lines.map((line) =>
      html`
        <div>
          <dt>${line.description}</dt>
          <dd>${signed(line.amount, preview.currency)}</dd>
        </div>
      `
    )
  }
      <div class="total"><dt>${due < 0 ? "Credit for your next invoice" : "Due now"}</dt>
        <dd>${money(Math.abs(due), preview.currency)}</dd></div>
      <div><dt>Next payment on ${time(preview.next_payment_at)}</dt><dd>${
    money(preview.next_amount, preview.currency)
  }</dd></div>
    </dl>
    ${view.features.promotion_code ? promotion(paths.planCode(sub.id), price.id, code, flash) : ""}
    <form method="post" action="${paths.confirmPlan(sub.id)}" data-once>
      ${formToken()}
      <input type="hidden" name="price" value="${price.id}">
      ${code === null ? "" : html`<input type="hidden" name="promotion_code" value="${code}">`}
      <div class="actions">
        <button class="button primary">Confirm change</button>
        <a class="button" href="${
    view.flow?.type === "subscription_update_confirm" ? leave(view, paths) : paths.plan(sub.id)
  }">Go back</a>
      </div>
    </form>
  </section>`;
  return layout({ title, width: "narrow", header: header(view, paths), body, flash });
}

/** As on the Checkout page: a form of its own, which shows the page again with the discount. */
function promotion(action: string, price: string, code: string | null, flash: Flash): Html {
  const hidden = html`<input type="hidden" name="price" value="${price}">`;
  if (code !== null) {
    return html`
      <form class="promotion" method="post" action="${action}" data-once>
        ${hidden}
        <p>Promotion code <strong>${code.toUpperCase()}</strong></p>
        <button class="button" name="remove" value="1">Remove code</button>
      </form>
    `;
  }
  const input = { name: "promotion_code", label: "Promotion code", autocomplete: "off" };
  return html`<form class="promotion" method="post" action="${action}" novalidate data-once>
    ${hidden}
    ${field({ ...input, required: false, maxlength: 500 }, flash)}
    <button class="button">Apply</button>
  </form>`;
}

const signed = (amount: number, currency: string): string =>
  amount < 0 ? `−${money(-amount, currency)}` : money(amount, currency);

export function cardPage(view: PortalView, paths: PortalPaths, flash: Flash): Html {
  const title = "Add payment method";
  const body = html`<section class="card task">
    <h1>${title}</h1>
    <p>${view.merchant_name} will use this card for your next payments.</p>
    ${flashBox(flash)}
    <form id="save-card" method="post" action="${paths.newCard}" novalidate data-once>
      ${formToken()}
      ${cardFields(flash, view.customer.name)}
      <div class="actions">
        <button class="button primary">Save card</button>
        <a class="button" href="${leave(view, paths)}">Not now</a>
      </div>
    </form>
  </section>
  ${testCards("save-card")}`;
  return layout({ title, width: "narrow", header: header(view, paths), body, flash });
}
