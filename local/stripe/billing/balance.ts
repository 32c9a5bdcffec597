/** The books: every movement of money is a balance transaction, and a balance is their sum. */
import type { Balance, BalanceTransaction } from "../engine/types.ts";
import { newId } from "../engine/types.ts";
import { type Work, worldNow } from "../engine/work.ts";

const DAY = 86_400;
/** When a payment's money can be sent on: the start of the day after tomorrow, in the sandbox's own time. */
export const availableOn = (now: number) => (Math.floor(now / DAY) + 2) * DAY;

type FeeDetail = BalanceTransaction["fee_details"][number];

export interface Entry {
  type: BalanceTransaction["type"];
  reporting_category: string;
  /** Before fees; negative when it leaves. */
  amount: number;
  currency: string;
  source: string;
  fees?: Omit<FeeDetail, "currency">[];
  description?: string | null;
  /** Now, unless its money is still on its way. */
  available_on?: number;
}

/** Books are kept in the sandbox's own time, also for customers with a test clock. */
export function record(work: Work, entry: Entry): BalanceTransaction {
  const now = worldNow(work.store);
  const { fees = [], description = null, available_on = now, ...rest } = entry;
  const fee = fees.reduce((sum, each) => sum + each.amount, 0);
  const on = Math.max(now, available_on);
  return work.create("balance_transaction", {
    id: newId("txn_"),
    object: "balance_transaction",
    ...rest,
    available_on: on,
    balance_type: "payments",
    created: now,
    description,
    exchange_rate: null,
    fee,
    fee_details: fees.map((each) => ({ ...each, currency: entry.currency })),
    net: entry.amount - fee,
    status: on > now ? "pending" : "available",
  }, {});
}

/** 2.9 % and 30 minor units, whatever the currency. */
export function processingFee(amount: number): Omit<FeeDetail, "currency">[] {
  const description = "Stripe processing fees";
  const fee = Math.round(amount * 0.029) + 30;
  return [{ amount: fee, application: null, description, type: "stripe_fee" }];
}

/** When the money of a transaction can be used: what takes it back before then takes it from what is pending. */
export function availableWith(work: Work, transaction: string | null): number | undefined {
  return transaction === null
    ? undefined
    : work.store.find("balance_transaction", transaction)?.available_on;
}

interface Sum {
  currency: string;
  available: number;
  pending: number;
}

function sums(work: Work): Sum[] {
  return work.store.sql(
    "select json_extract(data, '$.currency') as currency, " +
      "sum(iif(json_extract(data, '$.available_on') <= ?, json_extract(data, '$.net'), 0)) as available, " +
      "sum(iif(json_extract(data, '$.available_on') > ?, json_extract(data, '$.net'), 0)) as pending " +
      "from objects where kind = 'balance_transaction' and account = ? group by 1 order by min(seq)",
  ).all(worldNow(work.store), worldNow(work.store), work.account).map((row) => ({
    currency: String(row.currency),
    available: Number(row.available),
    pending: Number(row.pending),
  }));
}

export function availableIn(work: Work, currency: string): number {
  return sums(work).find((each) => each.currency === currency)?.available ?? 0;
}

export function balance(work: Work): Balance {
  const known = sums(work);
  const all = known.length > 0 ? known : [{ currency: "usd", available: 0, pending: 0 }];
  const part = (key: "available" | "pending") =>
    all.map((each) => ({
      amount: each[key],
      currency: each.currency,
      source_types: { card: each[key] },
    }));
  return {
    object: "balance",
    available: part("available"),
    ...(work.account === "" ? { connect_reserved: reserved(all) } : {}),
    livemode: false,
    pending: part("pending"),
  };
}

/** The sandbox holds nothing back for connected accounts that owe. */
const reserved = (all: readonly Sum[]) => all.map(({ currency }) => ({ amount: 0, currency }));

/** Its time has come: what was pending can be used. */
export function release(work: Work, id: string): void {
  const own = work.as(work.store.accountOf(id));
  own.change("balance_transaction", id, { status: "available" });
}
