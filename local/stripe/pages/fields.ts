/** The card form: its inputs, the helper with test cards, and reading it back. */
import { html } from "hono/html";
import type { CardInput } from "../hosted.ts";
import type { Html } from "./layout.ts";
import type { Flash, Problem } from "./memory.ts";

export interface TestCard {
  key: string;
  number: string;
  what: string;
}
/** https://docs.stripe.com/testing#cards: the ones a person needs to see every branch of a billing integration. */
export const TEST_CARDS: readonly TestCard[] = [
  { key: "success", number: "4242 4242 4242 4242", what: "Succeeds" },
  { key: "declined", number: "4000 0000 0000 0002", what: "Is declined" },
  { key: "authentication", number: "4000 0025 0000 3155", what: "Asks for authentication" },
  { key: "later", number: "4000 0000 0000 0341", what: "Saves, fails when charged" },
];

/** Typed input that may be shown again: everything but the CVC (and what only the form itself needs). */
export function keepable(form: URLSearchParams): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of form) {
    if (!["cvc", "form_token", "fill"].includes(name)) kept[name] = value.slice(0, 500);
  }
  return kept;
}

/** The helper's buttons are ordinary submits, so they also work without the script: fill in and show the form again. */
export function filled(form: URLSearchParams, now = new Date()): Record<string, string> | null {
  const card = TEST_CARDS.find((each) => each.key === form.get("fill"));
  if (!card) return null;
  const year = String(now.getUTCFullYear() + 4).slice(-2);
  // The one CVC that is shown again: a made-up one that came from here.
  return {
    ...keepable(form),
    method: "new",
    number: card.number,
    expiry: `12 / ${year}`,
    cvc: "123",
  };
}

export function testCards(formId: string): Html {
  return html`
    <section class="helper" aria-labelledby="helper-title">
      <h2 id="helper-title">Test cards</h2>
      <p class="quiet">Choose one to fill it in. Any future expiry and any CVC will do.</p>
      <ul>${TEST_CARDS.map((card) =>
        html`
          <li>
            <button type="submit" form="${formId}" name="fill" value="${card.key}" data-fill="${card
              .number}">
                    <span class="digits">${card.number}</span> <span class="what">${card
                      .what}</span>
                  </button>
          </li>
        `
      )}</ul>
    </section>
  `;
}

interface FieldOptions {
  name: string;
  label: string;
  autocomplete: string;
  type?: "text" | "email";
  inputmode?: "numeric";
  placeholder?: string;
  maxlength?: number;
  required?: boolean;
  hint?: string;
}

/** A labelled input with its error beside it; the first wrong one gets the focus. */
export function field(options: FieldOptions, flash: Flash, fallback = ""): Html {
  const { name, label } = options;
  const problems = flash.problems ?? [];
  const problem = problems.find((each) => each.field === name);
  const first = problem !== undefined && problems.find((each) => each.field) === problem;
  const described = [options.hint ? `${name}-hint` : "", problem ? `${name}-error` : ""].join(" ")
    .trim();
  return html`<div class="field ${name}">
    <label for="${name}">${label}</label>
    <input id="${name}" name="${name}" type="${options.type ?? "text"}" value="${
    flash.values?.[name] ?? fallback
  }"
      autocomplete="${options.autocomplete}" spellcheck="false" maxlength="${
    options.maxlength ?? 200
  }"
      ${options.inputmode ? html`inputmode="${options.inputmode}"` : ""}
      ${options.placeholder ? html`placeholder="${options.placeholder}"` : ""}
      ${options.required === false ? "" : html`required`}
      ${described ? html`aria-describedby="${described}"` : ""}
      ${problem ? html`aria-invalid="true"` : ""} ${first ? html`autofocus` : ""}>
    ${options.hint ? html`<p class="hint" id="${name}-hint">${options.hint}</p>` : ""}
    ${problem ? html`<p class="wrong" id="${name}-error">${problem.message}</p>` : ""}
  </div>`;
}

export function select(
  options: Pick<FieldOptions, "name" | "label" | "autocomplete"> & {
    options: readonly (readonly [string, string])[];
  },
  flash: Flash,
  chosen: string,
): Html {
  const { name, label } = options;
  const problem = (flash.problems ?? []).find((each) => each.field === name);
  return html`<div class="field ${name}">
    <label for="${name}">${label}</label>
    <select id="${name}" name="${name}" autocomplete="${options.autocomplete}" required
      ${problem ? html`aria-invalid="true" aria-describedby="${name}-error" autofocus` : ""}>${
    options.options.map(([value, text]) =>
      html`<option value="${value}" ${value === chosen ? html`selected` : ""}>${text}</option>`
    )
  }</select>
    ${problem ? html`<p class="wrong" id="${name}-error">${problem.message}</p>` : ""}
  </div>`;
}

export function cardFields(flash: Flash, name: string | null): Html {
  const common = { inputmode: "numeric" as const };
  return html`<fieldset class="card-fields">
    <legend>Card</legend>
    ${
    field({
      ...common,
      name: "number",
      label: "Card number",
      autocomplete: "cc-number",
      placeholder: "1234 1234 1234 1234",
      maxlength: 24,
    }, flash)
  }
    ${
    field({
      ...common,
      name: "expiry",
      label: "Expiry",
      autocomplete: "cc-exp",
      placeholder: "MM / YY",
      maxlength: 9,
    }, flash)
  }
    ${
    field({
      ...common,
      name: "cvc",
      label: "CVC",
      autocomplete: "cc-csc",
      placeholder: "123",
      maxlength: 4,
    }, flash)
  }
    ${
    field(
      { name: "name", label: "Name on card", autocomplete: "cc-name", required: false },
      flash,
      name ?? "",
    )
  }
  </fieldset>`;
}

/** Reads the card; only its form is judged here, whether the card is good is the core's to say. */
export function readCard(form: URLSearchParams): { card: CardInput } | { problems: Problem[] } {
  const problems: Problem[] = [];
  const number = (form.get("number") ?? "").replaceAll(/[\s-]/g, "");
  if (!/^\d{12,19}$/.test(number)) {
    problems.push({
      field: "number",
      message: number ? "Check the card number." : "Enter the card number.",
    });
  }
  const expiry = /^\s*(\d{1,2})\s*[/-]?\s*(\d{2}|\d{4})\s*$/.exec(form.get("expiry") ?? "");
  const month = Number(expiry?.[1]);
  const year = Number(expiry?.[2]);
  if (!expiry || month < 1 || month > 12) {
    problems.push({
      field: "expiry",
      message: "Enter the expiry as month and year, for example 12 / 30.",
    });
  }
  const cvc = (form.get("cvc") ?? "").trim();
  if (!/^\d{3,4}$/.test(cvc)) {
    problems.push({ field: "cvc", message: "Enter the 3 or 4 digits of the CVC." });
  }
  if (problems.length > 0) return { problems };
  const name = (form.get("name") ?? "").trim();
  return {
    card: {
      number,
      exp_month: month,
      exp_year: year < 100 ? 2000 + year : year,
      cvc,
      ...(name ? { name } : {}),
    },
  };
}

const FIELD_OF: Record<string, string> = {
  number: "number",
  exp_month: "expiry",
  exp_year: "expiry",
  cvc: "cvc",
};
/** A declined card as a problem of the field the core names, or of the whole form. */
export function declined(outcome: { message: string; param?: string }): Problem {
  return { field: FIELD_OF[outcome.param ?? ""] ?? null, message: outcome.message };
}
