import { cn } from "../lib/cn.ts";
import { formatDate } from "../lib/dates.ts";
import { formatExact, formatMoney } from "../lib/money.ts";
import { beyondOf, type Overage } from "../lib/overage.ts";

/** The running amount of the cap, and when it begins again. */
export function SpendMeter({ overage }: { overage: Overage }) {
  const { spentMinor, currency, periodEnd } = overage;
  const cap = overage.capMinor ?? 0;
  const share = cap > 0 ? Math.min(1, spentMinor / cap) : 1;
  const isFull = overage.metrics.length > 0 &&
    overage.metrics.every(({ metric }) => beyondOf(overage, metric) === "capped");
  return (
    <div className="grid gap-2.5">
      <p className="flex flex-wrap items-baseline gap-x-2 tabular-nums">
        <strong className="text-4xl font-semibold tracking-[-0.04em]">
          {formatExact(spentMinor, currency)}
        </strong>
        <span className="text-muted">of {formatMoney(cap, currency)}</span>
      </p>
      <div
        role="meter"
        aria-label="Spending beyond your plan"
        aria-valuemin={0}
        aria-valuemax={Math.max(cap, 1)}
        aria-valuenow={Math.min(spentMinor, Math.max(cap, 1))}
        aria-valuetext={`${formatExact(spentMinor, currency)} of ${formatMoney(cap, currency)}`}
        className="h-2.5 overflow-hidden rounded-full bg-ink/10"
      >
        <div
          className={cn(
            "h-full rounded-full transition-[width] duration-500 ease-out",
            isFull ? "barrier-stop" : share >= 0.8 ? "bg-toll" : "bg-brand",
          )}
          style={{ width: `${share * 100}%` }}
        />
      </div>
      <p className="text-sm text-muted tabular-nums">
        {isFull && <span className="font-medium text-stop-text">The cap is reached.&nbsp;</span>}
        {periodEnd === null
          ? "The period begins when Stripe has set it up."
          : `This period ends on ${formatDate(periodEnd)}; then it begins again at zero.`}
      </p>
    </div>
  );
}
