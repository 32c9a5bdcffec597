/** The frame around every page. */
import { html } from "hono/html";
import type { Flash } from "./memory.ts";

export type Html = ReturnType<typeof html>;
export const ASSETS = "/_sandbox/assets";

export interface Page {
  title: string;
  /** `narrow` for a single task, `wide` for tables. */
  width?: "narrow" | "medium" | "wide";
  /** Above the heading, e.g. the way back. */
  header?: Html;
  body: Html;
  flash?: Flash;
}

export function layout(page: Page): Html {
  const title = `${page.flash?.problems?.length ? "Error: " : ""}${page.title}`;
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="robots" content="noindex">
        <title>${title} · Tollgate sandbox</title>
        <link rel="icon" href="${ASSETS}/icon.svg" type="image/svg+xml">
        <link rel="stylesheet" href="${ASSETS}/pages.css">
        <script src="${ASSETS}/pages.js" defer></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        <aside class="sandbox" aria-label="Sandbox">
          <p><strong>Tollgate sandbox</strong> <span>– not Stripe, no real money moves</span></p>
        </aside>
        <div class="page ${page.width ?? "medium"}">
        ${page.header ? html`<header class="top">${page.header}</header>` : ""}
        <main id="main" tabindex="-1">${page.body}</main>
        <footer class="foot">
          <p>A stand-in for hosted payment pages on your own machine. Use test cards only. <a href="/">About this sandbox</a></p>
        </footer>
      </div>
      </body>
    </html>
  `;
}

/** A page that only says one thing. `links` are ways on. */
export function message(page: {
  title: string;
  text: string | Html;
  icon?: "stop" | "done" | "wait";
  links?: { href: string; label: string; primary?: boolean }[];
}): Html {
  const icon = page.icon ?? "stop";
  const links = page.links ?? [];
  const body = html`<section class="card message">
    <span class="mark ${icon}" aria-hidden="true">${
    { stop: "!", done: "✓", wait: "…" }[icon]
  }</span>
    <h1>${page.title}</h1>
    <p>${page.text}</p>
    ${
    links.length > 0
      ? html`<p class="actions">${
        links.map((link) =>
          html`<a class="button ${
            link.primary ? "primary" : ""
          }" href="${link.href}">${link.label}</a>`
        )
      }</p>`
      : ""
  }
  </section>`;
  return layout({ title: page.title, width: "narrow", body });
}

/** Good news (polite) and problems (assertive and focused, so that a screen reader hears them after the reload). */
export function flashBox(flash: Flash): Html | "" {
  const problems = flash.problems ?? [];
  // Several fields say themselves what is wrong with them; the box would only repeat it all.
  const isMany = problems.length > 1 && problems.every((problem) => problem.field);
  const messages = isMany
    ? ["Please check the fields marked below."]
    : problems.map((problem) => problem.message);
  if (problems.length > 0) {
    return html`<div class="flash bad" role="alert" tabindex="-1" ${
      problems.some((problem) => problem.field) ? "" : html`autofocus`
    }>
      ${messages.map((text) => html`<p>${text}</p>`)}
    </div>`;
  }
  return flash.notice
    ? html`
      <div class="flash good" role="status">
        <p>${flash.notice}</p>
      </div>
    `
    : "";
}

/** Hidden input that makes a form's submission recognisable (see `Once`). */
export const formToken = (): Html =>
  html`<input type="hidden" name="form_token" value="${crypto.randomUUID()}">`;

export const badge = (tone: string, text: string): Html =>
  html`<span class="badge ${tone}">${text}</span>`;
