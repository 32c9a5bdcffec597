import type Stripe from "stripe";
import { balanceByCurrency } from "./seller.ts";

/** What Stripe says of one connected account, by currency, in minor units. */
export interface Books {
  balance: ReadonlyMap<string, number>;
  /** Transfers less their reversals; null when there are too many to add up. */
  transferred: ReadonlyMap<string, number> | null;
}

/** What our ledger says of the same account in one currency. */
export interface LedgerSide {
  currency: string;
  balance: number;
  transferred: number;
  reversed: number;
}

/** Two figures that should be one. */
export interface Comparison {
  subject: string;
  currency: string;
  ledger: number;
  stripe: number;
}

export function toBooks(
  balance: Stripe.Balance,
  transfers: Stripe.Transfer[],
  isWhole: boolean,
): Books {
  const transferred = new Map<string, number>();
  for (const { currency, amount, amount_reversed } of transfers) {
    transferred.set(currency, (transferred.get(currency) ?? 0) + amount - amount_reversed);
  }
  return { balance: balanceByCurrency(balance), transferred: isWhole ? transferred : null };
}

/** Every currency that either side knows; what a side does not know is zero. */
export function comparisons(account: string, ledger: LedgerSide[], books: Books): Comparison[] {
  const currencies = new Set([
    ...ledger.map(({ currency }) => currency),
    ...books.balance.keys(),
    ...books.transferred?.keys() ?? [],
  ]);
  return [...currencies].toSorted().flatMap((currency) => {
    const ours = ledger.find((side) => side.currency === currency);
    const balance = {
      subject: `${account}:balance`,
      currency,
      ledger: ours?.balance ?? 0,
      stripe: books.balance.get(currency) ?? 0,
    };
    if (books.transferred === null) return [balance];
    return [balance, {
      subject: `${account}:transfers`,
      currency,
      ledger: (ours?.transferred ?? 0) - (ours?.reversed ?? 0),
      stripe: books.transferred.get(currency) ?? 0,
    }];
  });
}
