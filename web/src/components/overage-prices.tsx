import { useSubscription } from "../hooks/use-subscription.ts";
import { formatCount, formatUnit } from "../lib/money.ts";
import type { Overage } from "../lib/overage.ts";
import { nounOf, titleOfMetric } from "../lib/plans.ts";

/** What one of each costs beyond the allowance. */
export function OveragePrices({ overage }: { overage: Overage }) {
  const { entitlements } = useSubscription();
  return (
    <dl className="grid gap-px overflow-hidden rounded-xl border border-line bg-line sm:auto-cols-fr sm:grid-flow-col">
      {overage.metrics.flatMap(({ metric, unitMinor }) => {
        if (unitMinor === null) return [];
        const limit = entitlements?.limits[metric];
        return [
          <div key={metric} className="grid gap-0.5 bg-card px-4 py-3">
            <dt className="text-sm text-muted">{titleOfMetric(metric)}</dt>
            <dd className="tabular-nums">
              <strong className="text-xl font-semibold tracking-[-0.02em]">
                {formatUnit(unitMinor, overage.currency)}
              </strong>
              <span className="text-sm text-muted">{` a ${nounOf(metric, 1)}`}</span>
              {limit !== undefined && limit !== null && (
                <span className="block text-sm text-muted">after {formatCount(limit)} a day</span>
              )}
            </dd>
          </div>,
        ];
      })}
    </dl>
  );
}
