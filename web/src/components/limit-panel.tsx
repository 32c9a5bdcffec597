import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { useNow } from "../hooks/use-now.ts";
import { useSubscription } from "../hooks/use-subscription.ts";
import { useTariff } from "../hooks/use-tariff.ts";
import type { MetricUsage } from "../hooks/use-usage.ts";
import { formatCountdown, formatResetTime } from "../lib/dates.ts";
import { formatCount } from "../lib/money.ts";
import { buyPath } from "../lib/paths.ts";
import {
  headlinePrice,
  limitText,
  type MetricId,
  nextPlan,
  type Plan,
  type Price,
  priceFor,
} from "../lib/plans.ts";
import { type Ask, BillingDialog } from "./billing/billing-dialog.tsx";
import { Button } from "./ui/button.tsx";

interface LimitPanelProps {
  metric: MetricId;
  usage: MetricUsage;
  /** It replaces the field that had the focus: the keyboard and the screen reader go on here. */
  takeFocus?: boolean;
  /** What else the reader should know, e.g. that the draft is kept. */
  children?: ReactNode;
}

/** The gate is closed: what happened, when it opens again, and the way to a larger plan. */
export function LimitPanel({ metric, usage, takeFocus = false, children }: LimitPanelProps) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    if (takeFocus) panel.current?.focus({ preventScroll: true });
  }, [takeFocus]);
  return (
    <section
      ref={panel}
      tabIndex={-1}
      role="region"
      aria-label="Limit reached"
      className="animate-rise overflow-hidden rounded-2xl border border-line bg-card shadow-lift"
    >
      <div aria-hidden className="barrier h-2.5" />
      <div className="grid gap-4 p-5 sm:p-6">
        <div className="flex flex-wrap items-start justify-between gap-x-8 gap-y-3">
          <div className="grid gap-1">
            <h2 className="text-lg font-semibold">{titleOf(metric, usage)}</h2>
            <p className="text-sm text-muted">{explanationOf(metric, usage)}</p>
          </div>
          {usage.resetsAt !== null && <Countdown resetsAt={usage.resetsAt} />}
        </div>
        {children}
        <Upgrade metric={metric} />
      </div>
    </section>
  );
}

function titleOf(metric: MetricId, { limit }: MetricUsage): string {
  if (metric === "message") return `You have used today’s ${formatCount(limit ?? 0)} messages`;
  return limit === 1
    ? "Your plan includes one agent"
    : `Your plan includes ${formatCount(limit ?? 0)} agents`;
}

function explanationOf(metric: MetricId, { used, limit }: MetricUsage): string {
  if (metric === "message") return "New ones come at midnight UTC. Nothing you wrote is lost.";
  const over = limit !== null && used > limit;
  return over
    ? `You have ${formatCount(used)}. They all stay; new ones need a larger plan.`
    : "Delete one to make room, or move to a larger plan.";
}

function Countdown({ resetsAt }: { resetsAt: number }) {
  const now = useNow(1000);
  return (
    <p className="grid sm:justify-items-end">
      <span className="text-xs text-muted">Next messages in</span>
      {/* role=timer is silent by default: nobody wants to hear every second. */}
      <span
        role="timer"
        aria-label="Time until reset"
        className="text-2xl leading-tight font-semibold tracking-tight tabular-nums"
      >
        {formatCountdown(resetsAt - now)}
      </span>
      <time dateTime={new Date(resetsAt).toISOString()} className="text-xs text-muted tabular-nums">
        at {formatResetTime(resetsAt, now)}
      </time>
    </p>
  );
}

/** The next higher plan that really helps; a change with a preview for those who pay already. */
function Upgrade({ metric }: { metric: MetricId }) {
  const { catalogue } = useTariff();
  const { entitlements, price: currentPrice, isSubscriber } = useSubscription();
  const [ask, setAsk] = useState<Ask | null>(null);
  const plan = catalogue && entitlements ? nextPlan(catalogue, entitlements.plan.id, metric) : null;
  const price = plan && priceFor(plan, currentPrice?.interval ?? "month");
  return (
    <div className="grid gap-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        {plan && price && (isSubscriber
          ? (
            <Button
              variant="toll"
              wraps
              onClick={() => setAsk({ kind: "change", lookupKey: price.lookupKey })}
            >
              {upgradeLabel(plan, price)}
            </Button>
          )
          : (
            <Button variant="toll" wraps asChild>
              <Link to={buyPath(price)}>{upgradeLabel(plan, price)}</Link>
            </Button>
          ))}
        {plan && (
          <span className="text-sm text-muted">
            {limitText(metric, plan.limits[metric] ?? null)}
          </span>
        )}
        <Link
          to="/pricing"
          className="text-sm font-medium text-brand-text underline decoration-line-strong underline-offset-4 hover:decoration-current"
        >
          Compare plans
        </Link>
      </div>
      <BillingDialog ask={ask} onAsk={setAsk} />
    </div>
  );
}

function upgradeLabel(plan: Plan, price: Price): string {
  return `Upgrade to ${plan.name} · ${headlinePrice(price)} a ${price.interval}`;
}
