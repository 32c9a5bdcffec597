/** Payouts from a balance to a bank, the platform's own or a connected account's. */
import { invalid } from "../engine/errors.ts";
import { newId, type Payout } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";
import { KIND } from "./accounts.ts";
import { availableIn, availableOn, record } from "./balance.ts";

export interface PayoutSpec {
  amount: number;
  currency: string;
  description?: string | null;
  metadata?: Record<string, string>;
  method?: "instant" | "standard";
  statement_descriptor?: string | null;
}

export function createPayout(work: Work, spec: PayoutSpec): Payout {
  const { amount, currency } = spec;
  const { bank, fails } = destination(work);
  if (amount > availableIn(work, currency)) {
    throw invalid(
      "You have insufficient funds in your Stripe account for this transfer. Your card balance is too low. You can use the " +
        "/v1/balance endpoint to view your Stripe balance (for more details, see stripe.com/docs/api#balance).",
      "amount",
      "balance_insufficient",
    );
  }
  const id = newId("po_");
  const now = worldNow(work.store);
  const arrival = spec.method === "instant" ? now + 1 : availableOn(now);
  const entry = record(work, {
    type: "payout",
    reporting_category: "payout",
    amount: -amount,
    currency,
    source: id,
    description: spec.description ?? "STRIPE PAYOUT",
  });
  return work.create(
    "payout",
    {
      id,
      object: "payout",
      amount,
      application_fee: null,
      application_fee_amount: null,
      arrival_date: arrival,
      automatic: false,
      balance_transaction: entry.id,
      created: now,
      currency,
      description: spec.description ?? null,
      destination: bank,
      failure_balance_transaction: null,
      failure_code: null,
      failure_message: null,
      livemode: false,
      metadata: spec.metadata ?? {},
      method: spec.method ?? "standard",
      original_payout: null,
      payout_method: null,
      reconciliation_status: "not_applicable",
      reversed_by: null,
      source_type: "card",
      statement_descriptor: spec.statement_descriptor ?? null,
      status: "pending",
      trace_id: null,
      type: "bank_account",
    },
    { fails, settles_at: arrival },
    { event: "payout.created" },
  );
}

/** The platform always has a bank that works. */
function destination(work: Work) {
  if (work.account === "") return { bank: "ba_platformSandboxBank", fails: null };
  const { bank, payout_failure } = work.store.hidden(KIND, work.account);
  if (bank) return { bank: bank.id, fails: payout_failure };
  throw invalid(
    "Sorry, you don't have any external accounts in that currency. Add a bank account before creating a payout.",
    "destination",
    "no_account",
  );
}

/** It arrives, or the bank sends it back. */
export function settlePayout(all: Work, id: string): void {
  const work = all.as(all.store.accountOf(id));
  const { fails } = work.hidden("payout", id);
  work.changeHidden("payout", id, { settles_at: null });
  const old = work.require("payout", id);
  if (!fails) {
    const paid = work.change("payout", id, { status: "paid" }, "payout.updated");
    work.emit("payout.paid", paid);
    return;
  }
  const failed = work.change("payout", id, {
    failure_balance_transaction: back(work, old, "payout_failure"),
    failure_code: fails.code,
    failure_message: fails.message,
    status: "failed",
  }, "payout.updated");
  work.emit("payout.failed", failed);
}

export function cancelPayout(work: Work, id: string): Payout {
  const old = work.require("payout", id);
  if (old.status !== "pending") {
    throw invalid(`Payout ${id} cannot be canceled because it is ${old.status}.`);
  }
  work.changeHidden("payout", id, { settles_at: null });
  return work.change("payout", id, {
    failure_balance_transaction: back(work, old, "payout_cancel"),
    status: "canceled",
  }, "payout.canceled");
}

function back(work: Work, old: Payout, type: "payout_cancel" | "payout_failure"): string {
  return record(work, {
    type,
    reporting_category: "payout_reversal",
    amount: old.amount,
    currency: old.currency,
    source: old.id,
    description: old.description ?? "STRIPE PAYOUT",
  }).id;
}
