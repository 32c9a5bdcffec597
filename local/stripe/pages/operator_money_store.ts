/** What the operator pages show of marketplace money, read from the sandbox's own store. */
import type { Settings } from "../engine/settings.ts";
import type { Store } from "../engine/store.ts";
import { Work } from "../engine/work.ts";
import { capabilityOf, KIND } from "../billing/accounts.ts";
import { balance } from "../billing/balance.ts";
import type { AccountRow, PaymentRow } from "./operator.ts";

export function accounts(store: Store, settings: Settings, limit: number): AccountRow[] {
  const work = new Work(store, settings, { id: null, idempotency_key: null });
  return (store.list(KIND, { limit })?.data ?? []).map((account) => {
    const { available, pending } = balance(work.as(account.id));
    return {
      id: account.id,
      name: account.display_name ?? null,
      email: account.contact_email ?? null,
      closed: account.closed ?? false,
      transfers: capabilityOf(account)?.status ?? "none",
      missing: account.requirements?.entries?.length ?? 0,
      balances: available.map((each, i) => ({
        currency: each.currency,
        available: each.amount,
        pending: pending[i]?.amount ?? 0,
      })),
      transfers_count: store.all("transfer", { destination: account.id }).length,
      payouts_count: store.all("payout", {}, account.id).length,
    };
  });
}

export function payments(store: Store, limit: number): PaymentRow[] {
  return (store.list("charge", { limit })?.data ?? []).map((charge) => {
    const dispute = store.all("dispute", { charge: charge.id }).at(-1);
    return {
      id: charge.id,
      amount: charge.amount,
      currency: charge.currency,
      created: charge.created,
      status: charge.status,
      refunded: charge.amount_refunded,
      destination: charge.transfer_data?.destination ?? null,
      fee: charge.application_fee_amount ?? 0,
      dispute: dispute ? { id: dispute.id, status: dispute.status } : null,
    };
  });
}
