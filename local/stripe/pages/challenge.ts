/** The sandbox's stand-in for a bank's 3-D Secure page. */
import { html } from "hono/html";
import { flashBox, formToken, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";

export function challengePage(options: {
  action: string;
  merchant: string;
  amount: string | null;
  flash: Flash;
}): Html {
  const body = html`<section class="card message">
    <span class="mark wait" aria-hidden="true">?</span>
    <h1>Your bank wants to know it is you</h1>
    <p>${
    options.amount
      ? html`${options.merchant} asks for <strong>${options.amount}</strong>.`
      : html`${options.merchant} wants to save your card.`
  } At a real bank you would now confirm in your banking app. Here you decide how it ends.</p>
    ${flashBox(options.flash)}
    <form method="post" action="${options.action}" class="actions column">
      ${formToken()}
      <button class="button primary" name="answer" value="complete">Complete authentication</button>
      <button class="button" name="answer" value="fail">Fail authentication</button>
    </form>
  </section>`;
  return layout({ title: "Authentication", width: "narrow", body, flash: options.flash });
}
