import { type ReactNode, useState } from "react";
import type { useRange } from "../../hooks/use-range.ts";
import { useEarnings } from "../../hooks/use-seller.ts";
import { formatCount, formatExact } from "../../lib/money.ts";
import { type Balance, earningTotals, fillEarnings, type Seller } from "../../lib/seller.ts";
import { ErrorNotice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Choice } from "../ui/choice.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import { RangeChoice } from "../usage/range-choice.tsx";
import { EarningsChart } from "./earnings-chart.tsx";

interface EarningsSectionProps {
  seller: Seller;
  choice: ReturnType<typeof useRange>;
}

/** What was earned, what lies at Stripe, and the days it came on; one currency at a time. */
export function EarningsSection({ seller, choice }: EarningsSectionProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const balance = seller.balances.find((row) => row.currency === chosen) ?? seller.balances[0];
  if (!balance) return null;
  return (
    <Section
      title="Earnings"
      actions={seller.balances.length > 1 && (
        <Choice
          label="Currency"
          value={balance.currency}
          onChange={setChosen}
          options={seller.balances.map((row) => ({
            value: row.currency,
            label: row.currency.toUpperCase(),
          }))}
        />
      )}
    >
      <Sums balance={balance} />
      {balance.balanceMinor < 0 && (
        <p className="text-sm text-muted">
          Your balance is below zero, because something was given back after it was paid out. It is
          taken from your next sales.
        </p>
      )}
      <div className="flex flex-wrap items-start justify-between gap-3 pt-2">
        <RangeChoice {...choice} onPreset={choice.setPreset} onRange={choice.setRange} />
      </div>
      <ByDay currency={balance.currency} choice={choice} />
    </Section>
  );
}

function Sums({ balance }: { balance: Balance }) {
  const { currency, balanceMinor, earnedMinor, paidOutMinor, sales } = balance;
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-2xl border border-line bg-line sm:grid-cols-4">
      <Sum label="Balance" detail="at Stripe">{formatExact(balanceMinor, currency)}</Sum>
      <Sum label="Earned" detail="after fees">{formatExact(earnedMinor, currency)}</Sum>
      <Sum label="Paid out" detail="to your bank">{formatExact(paidOutMinor, currency)}</Sum>
      <Sum label="Sales" detail="payments in all">{formatCount(sales)}</Sum>
    </dl>
  );
}

function Sum({ label, detail, children }: { label: string; detail: string; children: ReactNode }) {
  return (
    <div className="grid content-start gap-0.5 bg-card px-4 py-3.5">
      <dt className="text-sm text-muted">{label}</dt>
      <dd className="tabular-nums">
        <strong className="block text-2xl font-semibold tracking-[-0.03em]">{children}</strong>
        <span className="block min-h-5 text-sm text-muted">{detail}</span>
      </dd>
    </div>
  );
}

function ByDay({ currency, choice }: { currency: string; choice: EarningsSectionProps["choice"] }) {
  const range = choice.problem === null ? choice.range : null;
  const { data, error, isFetching, refetch } = useEarnings(range, currency);
  if (!range) return null;
  if (!data) {
    return error
      ? <ErrorNotice error={error} onRetry={() => refetch()} pending={isFetching} />
      : (
        <div role="status" aria-label="Loading earnings">
          <Skeleton className="h-[18rem] w-full" />
        </div>
      );
  }
  const days = fillEarnings(data, range);
  const { earnedMinor, sales } = earningTotals(days);
  const span = days.length === 1 ? "this day" : `these ${days.length} days`;
  return (
    <>
      <p className="text-sm text-muted tabular-nums">
        {`${formatExact(earnedMinor, currency)} from ${formatCount(sales)} ${
          sales === 1 ? "sale" : "sales"
        } in ${span}.`}
      </p>
      <EarningsChart days={days} currency={currency} today={choice.today} />
    </>
  );
}
