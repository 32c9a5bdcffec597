/** Operator pages of marketplace money: connected accounts, and payments with their disputes. */
import { html } from "hono/html";
import { capital, money, plural, toneOf } from "./format.ts";
import { badge, type Html } from "./layout.ts";
import type { Flash } from "./memory.ts";
import type { AccountRow, PaymentRow } from "./operator.ts";
import { operatorPage, table, UI, when } from "./operator_view.ts";

const button = (action: string, name: string, value: string, label: string, what: string): Html =>
  html`<form method="post" action="${action}">
    <button class="button small" name="${name}" value="${value}">${label}<span class="unseen"> ${what}</span></button></form>`;

export function accountsPage(accounts: AccountRow[], flash: Flash): Html {
  const rows = accounts.map((account) =>
    html`
      <tr>
        <th scope="row">${account.name ?? account.email ?? "(no name)"}
          <span class="quiet block"><code>${account.id}</code></span></th>
        <td>${badge(toneOf(account.closed ? "canceled" : account.transfers), label(account))}
          ${account.missing > 0
            ? html`<span class="quiet block">${plural(account.missing, "requirement")} due</span>`
            : ""}</td>
        <td>${account.balances.map((each) =>
          html`<span class="block">${money(each.available, each.currency)}
            <span class="quiet">and ${money(each.pending, each.currency)} pending</span></span>`
        )}</td>
        <td>${plural(account.transfers_count, "transfer")}
          <span class="quiet block">${plural(account.payouts_count, "payout")}</span></td>
        <td>${account.closed ? "" : actions(account)}</td>
      </tr>
    `
  );
  const columns = ["Account", "Transfers", "Balance", "Money", "Change"];
  const list = table("Accounts", columns, rows, "There are no connected accounts yet.");
  return operatorPage("accounts", "Accounts", flash, list);
}

function label(account: AccountRow): string {
  if (account.closed) return "Closed";
  return account.transfers === "none" ? "Not requested" : capital(account.transfers);
}

function actions(account: AccountRow): Html | "" {
  const action = `${UI}/accounts/${encodeURIComponent(account.id)}`;
  if (account.transfers === "active") {
    return button(action, "transfers", "restricted", "Disable transfers", account.id);
  }
  if (account.transfers === "none") return "";
  const what = account.missing > 0 ? "Complete onboarding" : "Enable transfers";
  return button(action, "transfers", "active", what, account.id);
}

export function paymentsPage(payments: PaymentRow[], flash: Flash): Html {
  const rows = payments.map((payment) =>
    html`
      <tr>
        <th scope="row">${money(payment.amount, payment.currency)}
          <span class="quiet block"><code>${payment.id}</code></span></th>
        <td>${badge(toneOf(payment.status), capital(payment.status))}
          ${payment.refunded > 0
            ? html`<span class="quiet block">${
              money(payment.refunded, payment.currency)
            } refunded</span>`
            : ""}</td>
        <td>${payment.destination ? html`<code>${payment.destination}</code>` : "–"}
          ${payment.fee > 0
            ? html`<span class="quiet block">fee ${money(payment.fee, payment.currency)}</span>`
            : ""}</td>
        <td>${when(payment.created)}</td>
        <td>${dispute(payment)}</td>
      </tr>
    `
  );
  const columns = ["Payment", "Status", "Goes to", "When", "Dispute"];
  return operatorPage(
    "payments",
    "Payments",
    flash,
    table("Payments", columns, rows, "Nothing was paid yet."),
  );
}

function dispute(payment: PaymentRow): Html | "" {
  const open = `${UI}/payments/${encodeURIComponent(payment.id)}/dispute`;
  if (!payment.dispute) {
    return payment.status === "succeeded"
      ? button(open, "reason", "fraudulent", "Open a dispute", payment.id)
      : "";
  }
  const { id, status } = payment.dispute;
  const state = badge(toneOf(status), capital(status.replaceAll("_", " ")));
  if (["lost", "warning_closed", "won"].includes(status)) return state;
  const action = `${UI}/disputes/${encodeURIComponent(id)}`;
  return html`${state} ${button(action, "outcome", "won", "Win", id)} ${
    button(action, "outcome", "lost", "Lose", id)
  }`;
}
