/** The form itself. */
import { html } from "hono/html";
import type { OnboardingView } from "../hosted.ts";
import { field, select } from "./fields.ts";
import { flashBox, formToken, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";

const FORM = "onboarding";

/** https://docs.stripe.com/connect/testing#account-numbers */
export const TEST_BANKS = [
  { key: "us", number: "000123456789", what: "US account, payouts arrive" },
  { key: "iban", number: "DE89370400440532013000", what: "IBAN, payouts arrive" },
  { key: "fails", number: "000111111116", what: "US account, payouts fail" },
] as const;

export function onboardingPage(view: OnboardingView, path: string, flash: Flash): Html {
  const title = `Get paid by ${view.merchant_name}`;
  const header = html`<p class="merchant">${view.merchant_name}</p>`;
  const body = html`
    <div class="checkout">
      <section class="summary" aria-labelledby="title">
        <h1 id="title">${title}</h1>
        <p class="lead">Tell us who you are and where your money should go. Nothing leaves this machine.</p>
        ${view.missing.length > 0
          ? html`<p class="quiet">Still missing: ${view.missing.length}</p>`
          : html`<p class="quiet">Everything needed is known. You can change it here.</p>`}
      </section>
      <div class="payment">
        <section class="card" aria-label="Your details">
          ${flashBox(flash)}
          <form id="${FORM}" class="onboarding" method="post" action="${path}" novalidate data-once>
            ${formToken()}
            ${about(view, flash)}
            <fieldset>
              <legend>Bank account</legend>
              ${field(
                {
                  name: "bank",
                  label: "Account number or IBAN",
                  autocomplete: "off",
                  hint: view.bank_last4 === null
                    ? "A test number only."
                    : `Now: •••• ${view.bank_last4}`,
                },
                flash,
              )}
            </fieldset>
            <button class="button primary wide">Agree and submit</button>
            <p class="quiet consent">You agree to the sandbox's terms, of which there are none.</p>
          </form>
          <form method="post" action="${path}/leave" data-once>
            <button class="button wide">Finish later</button>
          </form>
        </section>
      </div>
      ${testBanks()}
    </div>
  `;
  return layout({ title, width: "wide", header, body, flash });
}

function about(view: OnboardingView, flash: Flash): Html {
  const chosen = flash.values?.entity_type ?? view.entity_type;
  const isCompany = view.entity_is_fixed && view.entity_type === "company";
  const isPerson = view.entity_is_fixed && view.entity_type === "individual";
  const text = (name: string, label: string, autocomplete: string, value: string) =>
    field({ name, label, autocomplete, required: view.entity_is_fixed }, flash, value);
  return html`<fieldset>
    <legend>About you</legend>
    ${
    view.country_is_fixed
      ? html`<p class="quiet">Country: ${
        view.countries.find(([code]) => code === view.country)?.[1] ?? view.country
      }</p>`
      : select(
        {
          name: "country",
          label: "Country",
          autocomplete: "country",
          options: [["", "Choose"], ...view.countries],
        },
        flash,
        flash.values?.country ?? view.country,
      )
  }
    ${
    view.entity_is_fixed ? "" : select(
      {
        name: "entity_type",
        label: "Type of business",
        autocomplete: "off",
        options: [["individual", "Individual"], ["company", "Company"]],
      },
      flash,
      chosen,
    )
  }
    ${isCompany ? "" : text("given_name", "First name", "given-name", view.given_name)}
    ${isCompany ? "" : text("surname", "Last name", "family-name", view.surname)}
    ${
    isPerson ? "" : text(
      "registered_name",
      view.entity_is_fixed ? "Registered name" : "Registered name (companies)",
      "organization",
      view.registered_name,
    )
  }
  </fieldset>`;
}

function testBanks(): Html {
  return html`
    <section class="helper" aria-labelledby="helper-title">
      <h2 id="helper-title">Test data</h2>
      <p class="quiet">Fills in a name and the bank account.</p>
      <p><button class="button" type="submit" form="${FORM}" name="fill" value="any">Use test data</button></p>
      <ul>${TEST_BANKS.map((bank) =>
        html`
          <li>
            <button type="submit" form="${FORM}" name="fill" value="${bank.key}">
              <span class="digits">${bank.number}</span> <span class="what">${bank.what}</span>
            </button>
          </li>
        `
      )}</ul>
    </section>
  `;
}
