/** Templates of the operator pages. */
import { html } from "hono/html";
import { capital, iso, moment, plural, toneOf } from "./format.ts";
import { badge, flashBox, type Html, layout } from "./layout.ts";
import type { Flash } from "./memory.ts";
import type {
  AttemptRow,
  ClockRow,
  CustomerRow,
  DeliveryRow,
  EndpointRow,
  EventRow,
} from "./operator.ts";

export const UI = "/_sandbox/ui";
const TABS = [
  ["events", "Events"],
  ["deliveries", "Deliveries"],
  ["clocks", "Time"],
  [
    "customers",
    "Customers",
  ],
  ["accounts", "Accounts"],
  ["payments", "Payments"],
] as const;
type Tab = typeof TABS[number][0];

export const when = (seconds: number): Html =>
  html`<time datetime="${iso(seconds)}">${moment(seconds)}</time>`;

export function operatorPage(tab: Tab, title: string, flash: Flash, content: Html): Html {
  const header = html`
    <a class="merchant" href="/">Sandbox</a>
    <nav class="tabs" aria-label="Sandbox">${TABS.map(([key, label]) =>
      html`<a href="${UI}/${key}" ${key === tab ? html`aria-current="page"` : ""}>${label}</a>`
    )}</nav>
  `;
  return layout({
    title,
    width: "wide",
    header,
    flash,
    body: html`<h1>${title}</h1>${flashBox(flash)}${content}`,
  });
}

export function table(
  label: string,
  columns: readonly string[],
  rows: Html[],
  empty: string,
): Html {
  if (rows.length === 0) return html`<p class="card empty">${empty}</p>`;
  return html`
    <div class="card table" role="region" aria-label="Table: ${label}" tabindex="0">
      <table>
        <thead>
          <tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  `;
}

export function indexPage(endpoints: EndpointRow[] | null): Html {
  const body = html`
    <h1>A payment sandbox of your own</h1>
        <p
      class="lead">This server speaks the wire format of Stripe's API, so that Tollgate can be tried, tested and broken
          without an account, without the internet and without money.</p>
        <div class="columns">
      <section class="card" aria-labelledby="what">
        <h2 id="what">What it has</h2>
        <ul class="bullets">
          <li>the API under <code>/v1</code>, for the official SDK and command line</li>
          <li>hosted pages for checkout, billing and invoices</li>
          <li>signed webhooks with retries and a delivery log</li>
          <li>clocks that bring a renewal forward</li>
        </ul>
      </section>
      <section class="card" aria-labelledby="look">
        <h2 id="look">Look inside</h2>
        <ul class="bullets">
          <li><a href="${UI}/events">Events</a>: everything that happened</li>
          <li><a href="${UI}/deliveries">Deliveries</a>: what your webhook was sent, and what it answered</li>
          <li><a href="${UI}/clocks">Time</a>: move it to the next invoice</li>
          <li><a href="${UI}/customers">Customers</a></li>
          <li><a href="${UI}/accounts">Accounts</a>: who gets a share, and whether they can</li>
          <li><a href="${UI}/payments">Payments</a>: and what a bank does with them</li>
        </ul>
      </section>
    </div>
        ${endpoints === null
          ? ""
          : html`<section aria-labelledby="hooks"><h2 id="hooks">Webhook endpoints</h2>${
            endpointList(endpoints)
          }</section>`}
        <p
      class="quiet">A development tool by the Tollgate project. It is not made, endorsed or operated by Stripe.</p>
  `;
  return layout({ title: "About", body });
}

function endpointList(endpoints: EndpointRow[]): Html {
  return table(
    "Webhook endpoints",
    ["Address", "Events", "Status"],
    endpoints.map((endpoint) =>
      html`
        <tr>
          <th scope="row"><code>${endpoint.url}</code></th>
          <td>${endpoint.enabled_events.includes("*")
            ? "all"
            : plural(endpoint.enabled_events.length, "type")}</td>
          <td>${badge(toneOf(endpoint.status), capital(endpoint.status))}</td>
        </tr>
      `
    ),
    "None yet: events are kept, but delivered to nobody.",
  );
}

export function eventsPage(events: EventRow[], hasMore: boolean, flash: Flash): Html {
  const rows = events.map((event) =>
    html`
      <tr>
        <th scope="row"><a href="${UI}/events/${event.id}">${event.type}</a></th>
        <td><code>${event.object_id ?? ""}</code></td>
        <td>${when(event.created)}</td>
      </tr>
    `
  );
  const last = events.at(-1);
  const more = hasMore && last
    ? html`
      <p
        class="actions"><a class="button" href="${UI}/events?before=${last.id}">Older events</a></p>
    `
    : "";
  const list = table("Events", ["Event", "Object", "When"], rows, "Nothing has happened yet.");
  return operatorPage("events", "Events", flash, html`${list}${more}`);
}

export function eventPage(
  id: string,
  event: unknown,
  deliveries: { delivery: DeliveryRow; attempts: AttemptRow[] }[],
  flash: Flash,
): Html {
  const content = html`
    <section aria-labelledby="sent"><h2 id="sent">Deliveries</h2>
        ${deliveries.length === 0
          ? html`<p class="card empty">No endpoint asked for this event.</p>`
          : ""}
        ${deliveries.map(({ delivery, attempts }) =>
          html`
            <article class="card">
              <div class="row"><h3><code>${delivery.endpoint_url}</code></h3>${badge(
                toneOf(delivery.state),
                capital(delivery.state),
              )}</div>
              <ul class="rows">${attempts.map(attemptRow)}</ul>
              <div class="actions">${resend(delivery)}</div>
            </article>
          `
        )}</section>
    <section aria-labelledby="json">
      <h2 id="json">As the API answers it</h2>
      <pre class="card" tabindex="0" role="region" aria-label="JSON"><code>${JSON.stringify(
        event,
        null,
        2,
      )}</code></pre>
    </section>
  `;
  return operatorPage("events", deliveries[0]?.delivery.event_type ?? id, flash, content);
}

function attemptRow(attempt: AttemptRow): Html {
  const result = attempt.status === null ? attempt.error ?? "no answer" : `HTTP ${attempt.status}`;
  return html`<li><p>${
    when(attempt.at)
  }: <strong>${result}</strong> <span class="quiet">after ${attempt.milliseconds} ms</span></p>
    ${
    attempt.body
      ? html`
        <details>
          <summary>Answer</summary>
          <pre>${attempt.body.slice(0, 4000)}</pre>
        </details>
      `
      : ""
  }</li>`;
}

function resend(delivery: DeliveryRow): Html {
  return html`<form method="post" action="${UI}/deliveries/${
    encodeURIComponent(delivery.id)
  }/resend">
    <button class="button small">Resend<span class="unseen"> ${delivery.event_type}</span></button></form>`;
}

/** Retries keep real time, whatever the sandbox's clock says. */
function soon(at: number): string {
  const seconds = at - Math.floor(Date.now() / 1000);
  return seconds <= 0 ? "now" : `in ${seconds} s`;
}

export function deliveriesPage(
  deliveries: DeliveryRow[],
  endpoints: EndpointRow[],
  flash: Flash,
): Html {
  const rows = deliveries.map((delivery) =>
    html`
      <tr>
        <th scope="row"><a href="${UI}/events/${delivery.event_id}">${delivery.event_type}</a>
              <span class="quiet block"><code>${delivery.endpoint_url}</code></span></th>
        <td>${badge(toneOf(delivery.state), capital(delivery.state))}</td>
        <td>${delivery.last_status ?? delivery.last_error ?? "–"}
              <span class="quiet block">${plural(delivery.attempts, "attempt")}</span></td>
        <td>${when(delivery.created)}
              ${delivery.next_at
                ? html`<span class="quiet block">next try ${soon(delivery.next_at)}</span>`
                : ""}</td>
        <td>${resend(delivery)}</td>
      </tr>
    `
  );
  const columns = ["Event", "State", "Answer", "When", "Again"];
  return operatorPage(
    "deliveries",
    "Deliveries",
    flash,
    html`${table("Deliveries", columns, rows, "Nothing was delivered yet.")}
      <section aria-labelledby="hooks"><h2 id="hooks">Endpoints</h2>${
      endpointList(endpoints)
    }</section>`,
  );
}

export function clocksPage(now: number, clocks: ClockRow[], flash: Flash): Html {
  const content = html`
    <section class="card" aria-labelledby="world">
          <h2 id="world">The sandbox's own time</h2>
          <p>It is ${when(
            now,
          )} for every customer without a test clock. Moving it forward renews, retries and ends what is
            due on the way. It cannot go back.</p>
          ${advance(`${UI}/time`, now, "the sandbox")}
        </section>
    <section aria-labelledby="clocks"><h2 id="clocks">Test clocks</h2>
          ${clocks.length === 0
            ? html`
              <p
                class="card empty">No test clock was made. <code>POST /v1/test_helpers/test_clocks</code> makes one.</p>
            `
            : ""}
          ${clocks.map((clock) =>
            html`<article class="card">
        <div class="row"><h3>${clock.name ?? clock.id}</h3>${
              badge(toneOf(clock.status), capital(clock.status))
            }</div>
        <p>${when(clock.frozen_time)} for ${
              plural(clock.customers, "customer")
            } <span class="quiet"><code>${clock.id}</code></span></p>
        ${
              advance(
                `${UI}/clocks/${encodeURIComponent(clock.id)}`,
                clock.frozen_time,
                clock.name ?? clock.id,
              )
            }
      </article>`
          )}</section>
  `;
  return operatorPage("clocks", "Time", flash, content);
}

/** Shortcuts are whole months, because that is how far renewals are apart; a date can be typed as well. */
function advance(action: string, from: number, name: string): Html {
  const field = `to-${action.replaceAll(/\W/g, "-")}`;
  return html`
    <form method="post" action="${action}" class="inline">
      <div
        class="field"><label for="${field}">Move to (UTC)<span class="unseen"> for ${name}</span></label>
          <input id="${field}" type="datetime-local" name="to" value="${later(from, 1)}" min="${iso(
            from,
          ).slice(0, 16)}" required></div>
      <button class="button primary">Advance<span class="unseen"> ${name}</span></button>
    </form>
  `;
}

/** A month and a day on: past the next renewal. */
function later(from: number, months: number): string {
  const date = new Date(from * 1000);
  date.setUTCMonth(date.getUTCMonth() + months, date.getUTCDate() + 1);
  return date.toISOString().slice(0, 16);
}

export function customersPage(customers: CustomerRow[], flash: Flash): Html {
  const rows = customers.map((customer) =>
    html`
      <tr>
        <th scope="row">${customer.email ?? customer.name ?? "(no e-mail)"}
              <span class="quiet block"><code>${customer.id}</code></span></th>
        <td>${customer.subscriptions.length === 0
          ? "–"
          : customer.subscriptions.map((sub) =>
            html`<span class="block">${sub.product ?? sub.id} ${
              badge(toneOf(sub.status), capital(sub.status))
            }</span>`
          )}</td>
        <td>${customer.clock ? html`<code>${customer.clock}</code>` : "sandbox"}</td>
        <td>${when(customer.created)}</td>
      </tr>
    `
  );
  return operatorPage(
    "customers",
    "Customers",
    flash,
    table(
      "Customers",
      ["Customer", "Subscriptions", "Clock", "Since"],
      rows,
      "There are no customers yet.",
    ),
  );
}
