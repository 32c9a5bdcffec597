import { annualSavingMinor, formatMoney } from "../lib/money.ts";
import {
  costOf,
  type Interval,
  type Plan,
  type Price,
  priceFor,
  tierPrice,
  tierRange,
  type TierTable,
} from "../lib/plans.ts";

interface PlanPriceProps {
  plan: Plan;
  currency: string;
  interval: Interval;
  showTrial: boolean;
}

/** What a plan costs: for one, with what a year saves, the trial and the tiers there may be. */
export function PlanPrice({ plan, currency, interval, showTrial }: PlanPriceProps) {
  const price = priceFor(plan, interval);
  if (!price) {
    return (
      <div className="grid min-h-[4.75rem] content-start">
        <p className="text-4xl font-semibold tracking-[-0.04em]">
          {plan.isDefault ? formatMoney(0, currency) : "Custom"}
        </p>
        <p className="mt-1 text-sm text-muted">{plan.isDefault ? "for ever" : "by agreement"}</p>
      </div>
    );
  }
  const saving = interval === "year" ? savingOf(plan) : 0;
  return (
    <div className="grid min-h-[4.75rem] content-start">
      <p className="flex flex-wrap items-baseline gap-x-1.5">
        {price.tiers && <span className="text-sm text-muted">from</span>}
        <span className="text-4xl font-semibold tracking-[-0.04em] tabular-nums">
          {formatMoney(costOf(price, 1), price.currency)}
        </span>
        <span className="text-sm text-muted">a {interval}</span>
      </p>
      <p className="mt-1 text-sm text-muted tabular-nums">
        {interval === "month" ? "billed monthly" : "billed yearly"}
        {saving > 0 && (
          <span className="font-semibold text-toll-text">
            , you save {formatMoney(saving, price.currency)}
          </span>
        )}
      </p>
      {showTrial && price.trialDays > 0 && (
        <p className="mt-1 text-sm font-semibold text-brand-text">
          {price.trialDays === 1 ? "1 day free" : `${price.trialDays} days free`}
          <span className="font-normal text-muted">, for your first plan</span>
        </p>
      )}
      {price.tiers && <Tiers price={price} table={price.tiers} />}
    </div>
  );
}

function savingOf(plan: Plan): number {
  const month = priceFor(plan, "month");
  const year = priceFor(plan, "year");
  const comparable = month && year && month.currency === year.currency && !month.tiers &&
    !year.tiers;
  return comparable ? annualSavingMinor(month.amountMinor, year.amountMinor) : 0;
}

/** What each further one costs, or what all cost together when there are so many. */
function Tiers({ price, table }: { price: Price; table: TierTable }) {
  return (
    <div className="mt-3 grid gap-1 text-sm tabular-nums">
      <p className="text-muted">
        {table.mode === "graduated" ? "Each step at its own rate:" : "One rate for all of them:"}
      </p>
      <dl className="grid gap-1">
        {table.tiers.map((tier, index) => (
          <div key={index} className="flex flex-wrap justify-between gap-x-3">
            <dt className="text-muted">{tierRange(table.tiers, index)}</dt>
            <dd>{tierPrice(tier, price.currency)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
