/** Connected accounts, disputes and the truth about both, past every fault. */
import type { Work } from "../engine/work.ts";
import { KIND } from "../billing/accounts.ts";
import { balance } from "../billing/balance.ts";

export function accountState(work: Work, id: string) {
  const { store } = work;
  const account = store.find(KIND, id);
  if (!account) return { account: null };
  const transfers = store.all("transfer", { destination: id });
  return {
    account,
    transfers,
    reversals: transfers.flatMap((each) => store.all("transfer_reversal", { transfer: each.id })),
    application_fees: store.all("application_fee", { account: id }),
    balance: balance(work.as(id)),
    balance_transactions: store.all("balance_transaction", {}, id),
    payouts: store.all("payout", {}, id),
  };
}
