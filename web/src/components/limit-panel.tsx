import { type ReactNode, useEffect, useRef, useState } from "react";
import { useNow } from "../hooks/use-now.ts";
import { useOverage } from "../hooks/use-overage.ts";
import { useSubscription } from "../hooks/use-subscription.ts";
import { useTariff } from "../hooks/use-tariff.ts";
import type { MetricUsage } from "../hooks/use-usage.ts";
import { formatCountdown, formatResetTime } from "../lib/dates.ts";
import { formatCount } from "../lib/money.ts";
import { beyondOf, type Overage } from "../lib/overage.ts";
import { buyPath } from "../lib/paths.ts";
import {
  headlinePrice,
  limitText,
  type MetricId,
  nextPlan,
  nounOf,
  type Plan,
  type Price,
  priceFor,
} from "../lib/plans.ts";
import { type Ask, BillingDialog } from "./billing/billing-dialog.tsx";
import { KeepGoing, stopOf } from "./keep-going.tsx";
import { TextLink } from "./text-link.tsx";
import { Button } from "./ui/button.tsx";
import { Link } from "../tollgate/host.tsx";

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
  const { overage } = useOverage();
  const stop = stopOf(overage, metric);
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
            <h2 className="text-lg font-semibold">{stop?.title ?? titleOf(metric, usage)}</h2>
            <p className="max-w-md text-sm text-muted tabular-nums">
              {stop?.explanation ?? explanationOf(metric, usage)}
            </p>
          </div>
          {usage.resetsAt !== null && <Countdown resetsAt={usage.resetsAt} />}
        </div>
        {children}
        <WaysOn metric={metric} overage={overage} />
      </div>
    </section>
  );
}

function titleOf(metric: MetricId, { limit }: MetricUsage): string {
  if (metric !== "agent") {
    return `You have used today’s ${formatCount(limit ?? 0)} ${nounOf(metric, limit ?? 0)}`;
  }
  return limit === 1
    ? "Your plan includes one agent"
    : `Your plan includes ${formatCount(limit ?? 0)} agents`;
}

function explanationOf(metric: MetricId, { used, limit }: MetricUsage): string {
  if (metric !== "agent") return "New ones come at midnight UTC. Nothing you wrote is lost.";
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

/** Going on for money, or the next higher plan that really helps; a change with a preview for those who pay already. */
function WaysOn({ metric, overage }: { metric: MetricId; overage: Overage | null }) {
  const { catalogue } = useTariff();
  const { entitlements, price: currentPrice, isSubscriber } = useSubscription();
  const [ask, setAsk] = useState<Ask | null>(null);
  const plan = catalogue && entitlements ? nextPlan(catalogue, entitlements.plan.id, metric) : null;
  const price = plan && priceFor(plan, currentPrice?.interval ?? "month");
  const beyond = beyondOf(overage, metric);
  const variant = beyond === "unavailable" || beyond === "open" ? "toll" : "outline";
  return (
    <div className="grid gap-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-3">
        <KeepGoing metric={metric} overage={overage} onAsk={setAsk} />
        {plan && price && (isSubscriber
          ? (
            <Button
              variant={variant}
              wraps
              onClick={() => setAsk({ kind: "change", lookupKey: price.lookupKey })}
            >
              {upgradeLabel(plan, price)}
            </Button>
          )
          : (
            <Button variant={variant} wraps asChild>
              <Link to={buyPath(price)}>{upgradeLabel(plan, price)}</Link>
            </Button>
          ))}
        {plan && (
          <span className="text-sm text-muted">
            {plan.name}: {limitText(metric, plan.limits[metric] ?? null).toLowerCase()}
          </span>
        )}
        <TextLink to="/pricing" className="text-sm">Compare plans</TextLink>
      </div>
      <BillingDialog ask={ask} onAsk={setAsk} />
    </div>
  );
}

function upgradeLabel(plan: Plan, price: Price): string {
  return `Upgrade to ${plan.name} · ${headlinePrice(price)} a ${price.interval}`;
}
