/** The Checkout page itself. */
import { html } from "hono/html";
import type { CheckoutLineView, CheckoutView } from "../hosted.ts";
import { cardFields, field, select, testCards } from "./fields.ts";
import { cardExpiry, cardName, every, money, plural, priceText } from "./format.ts";
import { flashBox, formToken, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";

const FORM = "pay";
export const dueText = (view: CheckoutView): string => money(view.amount_total, view.currency);

export function checkoutPage(view: CheckoutView, path: string, flash: Flash): Html {
  const title = titleOf(view);
  const header = html`<p class="merchant">${view.merchant_name}</p>
    ${
    view.cancel_url
      ? html`<a class="back" href="${path}/back"><span aria-hidden="true">←</span> Back</a>`
      : ""
  }`;
  const body = html`
    <div class="checkout">
      <section class="summary" aria-labelledby="title">
          <h1 id="title">${title}</h1>
          ${view.mode === "setup" ? setupText(view) : summary(view)}
        </section>
      <div class="payment">
          <section class="card" aria-label="${view.mode === "setup"
            ? "Card details"
            : "Payment details"}">
            ${flashBox(flash)}
            ${billingAddress(view, path, flash)}
            <form id="${FORM}" method="post" action="${path}" novalidate data-once>
              ${formToken()}
              ${email(view, flash)}
              ${savedCards(view, flash)}
              <div class="new-card">${cardFields(flash, view.customer_name)}</div>
              ${bankDebit(view, flash)}
              <button class="button primary wide">${verb(view)}</button>
              ${consent(view)}
            </form>
            ${promotion(view, path, flash)}
          </section>
        </div>
      ${testCards(FORM)}
    </div>
  `;
  return layout({ title, width: "wide", header, body, flash });
}

function titleOf(view: CheckoutView): string {
  if (view.mode === "setup") return "Save a card";
  const what = view.lines.length === 1 ? view.lines[0]?.description ?? "" : "your order";
  return view.mode === "subscription" ? `Subscribe to ${what}` : `Pay for ${what}`;
}

/** Exact names: browser tests look for them. */
function verb(view: CheckoutView): string {
  return { subscription: "Subscribe", payment: "Pay", setup: "Save card" }[view.mode];
}

function setupText(view: CheckoutView): Html {
  return html`<p class="lead">${view.merchant_name} will keep it for later payments. Nothing is charged now.</p>`;
}

function summary(view: CheckoutView): Html {
  const recurring = view.lines.find((line) => line.interval !== null && !line.is_metered);
  const trial = view.trial_period_days;
  return html`
    <p class="amount">
          <span class="figure">${trial ? `${trial} days free` : dueText(view)}</span>
          ${recurring ? html`<span class="per">${headline(view, recurring)}</span>` : ""}
        </p>
    <dl class="lines">
          ${view.lines.map((line) => orderLine(view, line))}
          ${view.amount_discount > 0 || view.taxes === null || view.taxes.length > 0
            ? html`
              <div>
                <dt>Subtotal</dt>
                <dd>${money(view.amount_subtotal, view.currency)}</dd>
              </div>
              ${view.discounts.map((each) =>
                html`
                  <div>
                    <dt>Discount <span class="quiet">${each.code
                      ? `${each.name} (${each.code})`
                      : each.name}</span></dt>
                    <dd>−${money(each.amount, view.currency)}</dd>
                  </div>
                `
              )}
            `
            : ""}
          ${view.taxes === null
            ? html`
              <div>
                <dt>Tax</dt>
                <dd>Enter your address</dd>
              </div>
            `
            : view.taxes.map((tax) =>
              html`
                <div>
                  <dt>${tax.name}${tax.inclusive
                    ? html`
                      <span class="quiet">included</span>
                    `
                    : ""}</dt>
                  <dd>${money(tax.amount, view.currency)}</dd>
                </div>
              `
            )}
          <div class="total"><dt>Total due today</dt><dd>${dueText(view)}</dd></div>
        </dl>
  `;
}

function headline(view: CheckoutView, line: CheckoutLineView): string {
  if (view.trial_period_days) {
    return `then ${recurringText(view, line)}`;
  }
  return every(line.interval, line.interval_count);
}

function orderLine(view: CheckoutView, line: CheckoutLineView): Html {
  const each = priceText({ ...line, currency: view.currency });
  if (line.is_metered) {
    return html`
      <div>
        <dt>${line.description}<span class="quiet">${money(
          line.unit_amount,
          view.currency,
        )} for each, billed ${every(line.interval, line.interval_count)} by usage</span></dt>
        <dd>Billed later</dd>
      </div>
    `;
  }
  const detail = line.quantity > 1 ? `${line.quantity} × ${each}` : line.interval ? each : "";
  return html`
    <div>
      <dt>${line.description}${detail ? html`<span class="quiet">${detail}</span>` : ""}</dt>
      <dd>${money(line.amount, view.currency)}</dd>
    </div>
  `;
}

function email(view: CheckoutView, flash: Flash): Html {
  if (view.email_is_editable) {
    return field(
      { name: "email", label: "Email", type: "email", autocomplete: "email" },
      flash,
      view.email ?? "",
    );
  }
  return html`
    <div class="field email">
      <label for="email">Email</label>
      <input id="email" type="email" value="${view.email ??
        ""}" readonly aria-describedby="email-hint">
      <p class="hint" id="email-hint">From your account with ${view.merchant_name}.</p>
    </div>
  `;
}

/** A form of its own before the payment's: the total the person agrees to has its tax. */
function billingAddress(view: CheckoutView, path: string, flash: Flash): Html | "" {
  if (!view.collects_address) return "";
  const chosen = flash.values?.country ?? view.address?.country ?? "";
  const zip = { name: "postal_code", label: "Postal code", autocomplete: "postal-code" };
  return html`
    <form class="address" method="post" action="${path}/address" novalidate data-once>
      <fieldset>
          <legend>Billing address</legend>
          ${select(
            {
              name: "country",
              label: "Country",
              autocomplete: "country",
              options: [["", "Choose"], ...view.countries],
            },
            flash,
            chosen,
          )}
          ${field(
            { ...zip, required: false, maxlength: 20 },
            flash,
            view.address?.postal_code ?? "",
          )}
        </fieldset>
      <button class="button">Update total</button>
    </form>
  `;
}

/** A form of its own after the payment's, so that Enter in the card's fields pays. */
function promotion(view: CheckoutView, path: string, flash: Flash): Html | "" {
  if (!view.allow_promotion_codes) return "";
  const action = `${path}/promotion-code`;
  if (view.promotion_code !== null) {
    return html`
      <form class="promotion" method="post" action="${action}" data-once>
        <p>Promotion code <strong>${view.promotion_code}</strong></p>
        <button class="button" name="remove" value="1">Remove code</button>
      </form>
    `;
  }
  const input = { name: "promotion_code", label: "Promotion code", autocomplete: "off" };
  return html`<form class="promotion" method="post" action="${action}" novalidate data-once>
    ${field({ ...input, required: false, maxlength: 500 }, flash)}
    <button class="button">Apply</button>
  </form>`;
}

function savedCards(view: CheckoutView, flash: Flash): Html | "" {
  if (view.saved_cards.length === 0 && !view.bank_debit) return "";
  const chosen = flash.values?.method ?? "new";
  return html`<fieldset class="choices">
    <legend>How would you like to pay?</legend>
    ${
    view.saved_cards.map((card) =>
      html`
        <label class="choice">
          <input type="radio" name="method" value="${card.id}" ${chosen === card.id
            ? html`checked`
            : ""}>
          <span><strong>${cardName(card)}</strong> <span class="quiet">expires ${cardExpiry(
            card,
          )}</span></span>
        </label>
      `
    )
  }
    <label class="choice">
      <input type="radio" name="method" value="new" ${chosen === "new" ? html`checked` : ""}>
      <span><strong>${view.saved_cards.length > 0 ? "Another card" : "Card"}</strong></span>
    </label>
    ${
    view.bank_debit
      ? html`
        <label class="choice">
          <input type="radio" name="method" value="bank" ${chosen === "bank" ? html`checked` : ""}>
          <span><strong>${BANK_NAMES[
            view.bank_debit
          ]}</strong> <span class="quiet">takes a moment to be paid</span></span>
        </label>
      `
      : ""
  }
  </fieldset>`;
}

const BANK_NAMES = { sepa_debit: "SEPA direct debit", us_bank_account: "US bank account" };

/** Only used when it is chosen; the card's fields are ignored then. */
function bankDebit(view: CheckoutView, flash: Flash): Html | "" {
  if (!view.bank_debit) return "";
  const isSepa = view.bank_debit === "sepa_debit";
  const hint = isSepa
    ? "AT61 1904 3002 3457 3201 is paid, AT86 1904 3002 3547 3202 fails."
    : "000123456789 is paid, 000111111113 fails.";
  return html`<fieldset class="bank-debit">
    <legend>${BANK_NAMES[view.bank_debit]}</legend>
    ${
    field(
      {
        name: "bank_number",
        label: isSepa ? "IBAN" : "Account number",
        autocomplete: "off",
        required: false,
        hint,
      },
      flash,
    )
  }
  </fieldset>`;
}

/** What is paid each period, with a discount that lasts, and what comes after it. */
function recurringText(view: CheckoutView, line: CheckoutLineView): string {
  const price = (unit_amount: number) =>
    priceText({ ...line, unit_amount, currency: view.currency });
  const { lasting_discount: off } = line;
  if (!off) return price(line.amount);
  const reduced = price(line.amount - off.amount);
  return off.months === null
    ? reduced
    : `${reduced} for ${plural(off.months, "month")}, then ${price(line.amount)}`;
}

function consent(view: CheckoutView): Html | "" {
  const line = view.lines.find((each) => each.interval !== null && !each.is_metered);
  if (view.mode !== "subscription" || !line) return "";
  const price = recurringText(view, line);
  const start = view.trial_period_days ? `After ${view.trial_period_days} days you pay` : "You pay";
  return html`<p class="quiet consent">${start} ${price} until you cancel. You can cancel at any time.</p>`;
}
