/**
 * Billing credits: grants, their ledger, and what they take off metered lines when an invoice is finalized.
 * https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits
 */
import {
  type CreditGrant,
  type CreditTransaction,
  type Invoice,
  type InvoiceLine,
  newId,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "./amounts.ts";
import { discountOf } from "./discounts.ts";

type Credit = NonNullable<CreditTransaction["credit"]>;
type Debit = NonNullable<CreditTransaction["debit"]>;
type Entry =
  | { credit: Pick<Credit, "type" | "credits_application_invoice_voided">; amount: number }
  | { debit: Pick<Debit, "type" | "credits_applied">; amount: number };

/** One row of a grant's ledger. */
export function enter(work: Work, grant: CreditGrant, entry: Entry): CreditTransaction {
  const clock = grant.test_clock ?? "";
  const now = work.now(clock);
  const currency = grant.amount.monetary?.currency ?? "usd";
  const amount = { monetary: { currency, value: entry.amount }, type: "monetary" as const };
  const isCredit = "credit" in entry;
  const granted = isCredit && entry.credit.type === "credits_granted";
  const transaction: CreditTransaction = {
    id: newId("cbtxn_test_"),
    object: "billing.credit_balance_transaction",
    created: now,
    credit: isCredit ? { amount, ...entry.credit } : null,
    credit_grant: grant.id,
    debit: isCredit ? null : { amount, ...entry.debit },
    effective_at: granted ? grant.effective_at ?? now : now,
    livemode: false,
    test_clock: grant.test_clock,
    type: isCredit ? "credit" : "debit",
  };
  return work.create("billing.credit_balance_transaction", transaction, {}, {
    clock,
    event: "billing.credit_balance_transaction.created",
  });
}

export function ledger(work: Work, grant: string): CreditTransaction[] {
  return work.store.all("billing.credit_balance_transaction", { credit_grant: grant });
}

export function balanceOf(work: Work, grant: string): number {
  return ledger(work, grant).reduce(
    (sum, { credit, debit }) =>
      sum + (credit?.amount.monetary?.value ?? 0) - (debit?.amount.monetary?.value ?? 0),
    0,
  );
}

/** What is left goes: by time, by request or because the grant is void. */
export function writeOff(
  work: Work,
  grant: CreditGrant,
  type: "credits_expired" | "credits_voided",
): void {
  const amount = balanceOf(work, grant.id);
  if (amount > 0) enter(work, grant, { debit: { type, credits_applied: null }, amount });
}

/** The time of a grant is over. */
export function endGrant(work: Work, id: string): void {
  work.changeHidden("billing.credit_grant", id, { expired: true });
  writeOff(work, work.require("billing.credit_grant", id), "credits_expired");
}

export function isUsable(work: Work, grant: CreditGrant, now: number): boolean {
  const isOver = work.hidden("billing.credit_grant", grant.id).expired ||
    (grant.expires_at !== null && grant.expires_at <= now);
  return grant.voided_at === null && !isOver && (grant.effective_at ?? 0) <= now;
}

/** Priority, then the sooner end, promotional before paid, then what became effective and was made first. */
function inOrder(a: CreditGrant, b: CreditGrant): number {
  const end = (grant: CreditGrant) => grant.expires_at ?? Number.MAX_SAFE_INTEGER;
  const paid = (grant: CreditGrant) => Number(grant.category === "paid");
  return (a.priority ?? 50) - (b.priority ?? 50) || end(a) - end(b) || paid(a) - paid(b) ||
    (a.effective_at ?? 0) - (b.effective_at ?? 0) || a.created - b.created;
}

/** The lines with their credits, each with its row in the ledger; null when there are none to give. */
export function applyCredits(work: Work, invoice: Invoice): InvoiceLine[] | null {
  if (invoice.customer === null) return null;
  const now = work.now(invoice.test_clock ?? "");
  const grants = work.store.all("billing.credit_grant", { customer: invoice.customer })
    .filter((grant) => grant.amount.monetary?.currency === invoice.currency)
    .filter((grant) => isUsable(work, grant, now)).sort(inOrder);
  if (grants.length === 0) return null;
  let lines = invoice.lines.data;
  for (const grant of grants) {
    let left = balanceOf(work, grant.id);
    lines = lines.map((line) => {
      const amount = Math.min(left, applies(work, grant, line) ? openAmount(line) : 0);
      if (amount <= 0) return line;
      left -= amount;
      return withCredit(work, grant, invoice, line, amount);
    });
  }
  return lines;
}

function applies(work: Work, grant: CreditGrant, line: InvoiceLine): boolean {
  const price = work.find("price", line.pricing?.price_details?.price ?? "");
  if (!price || !isMetered(price)) return false;
  const { prices } = grant.applicability_config.scope;
  return prices === undefined || prices.some(({ id }) => id === price.id);
}

/** What is left of a line after its discounts and the credits before. */
function openAmount(line: InvoiceLine): number {
  const credits = (line.pretax_credit_amounts ?? [])
    .filter((each) => each.type === "credit_balance_transaction");
  return line.amount - discountOf(line) - credits.reduce((sum, each) => sum + each.amount, 0);
}

function withCredit(
  work: Work,
  grant: CreditGrant,
  invoice: Invoice,
  line: InvoiceLine,
  amount: number,
): InvoiceLine {
  const credits_applied = { invoice: invoice.id, invoice_line_item: line.id };
  const { id } = enter(work, grant, {
    debit: { type: "credits_applied", credits_applied },
    amount,
  });
  const credit = {
    amount,
    credit_balance_transaction: id,
    type: "credit_balance_transaction" as const,
  };
  return { ...line, pretax_credit_amounts: [...line.pretax_credit_amounts ?? [], credit] };
}

/** A void invoice gives its credits back. */
export function reinstateCredits(work: Work, invoice: Invoice): void {
  for (const line of invoice.lines.data) {
    for (
      const { amount, type, credit_balance_transaction: id } of line.pretax_credit_amounts ?? []
    ) {
      if (type !== "credit_balance_transaction" || !id) continue;
      const debit = work.require("billing.credit_balance_transaction", id);
      const grant = work.require("billing.credit_grant", debit.credit_grant);
      enter(work, grant, {
        credit: {
          type: "credits_application_invoice_voided",
          credits_application_invoice_voided: { invoice: invoice.id, invoice_line_item: line.id },
        },
        amount,
      });
      // What comes back to a grant that is over is over too.
      if (work.hidden("billing.credit_grant", grant.id).expired) {
        writeOff(work, grant, "credits_expired");
      }
    }
  }
}
