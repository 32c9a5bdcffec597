import { useState } from "react";
import { Link } from "react-router";
import { useCheckAgain } from "../../hooks/use-billing.ts";
import { useOverage } from "../../hooks/use-overage.ts";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatCount, formatExact, formatMoney, formatUnit } from "../../lib/money.ts";
import { type Overage, planOnBill, projectBill, whyNot } from "../../lib/overage.ts";
import { overageText, titleOfMetric } from "../../lib/plans.ts";
import { type Ask, type AskProps, BillingDialog } from "../billing/billing-dialog.tsx";
import { ErrorNotice, Notice } from "../notice.tsx";
import { OveragePrices } from "../overage-prices.tsx";
import { Section } from "../page.tsx";
import { SpendMeter } from "../spend-meter.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** Paying beyond the allowance: why not, what it would cost, or what it has cost and will. */
export function OverageSection() {
  const { overage, error, isFetching, refetch } = useOverage();
  const [ask, setAsk] = useState<Ask | null>(null);
  return (
    <Section
      title="Pay as you go"
      id="pay-as-you-go"
      actions={overage && (overage.available || overage.enabled) && (
        <Badge tone={overage.enabled ? (overage.available ? "good" : "warn") : "plain"}>
          {overage.enabled ? (overage.available ? "On" : "Paused") : "Off"}
        </Badge>
      )}
    >
      {overage
        ? overage.enabled
          ? <On overage={overage} onAsk={setAsk} />
          : overage.available
          ? <Off overage={overage} onAsk={setAsk} />
          : <Unavailable overage={overage} />
        : error
        ? <ErrorNotice error={error} onRetry={refetch} pending={isFetching} />
        : (
          <div role="status" aria-label="Loading pay as you go" className="grid gap-4">
            <Skeleton className="h-5 w-72 max-w-full" />
            <Skeleton className="h-20 w-full" />
          </div>
        )}
      <BillingDialog ask={ask} onAsk={setAsk} />
    </Section>
  );
}

function Unavailable({ overage }: { overage: Overage }) {
  const { catalogue, currency } = useTariff();
  const offers = (catalogue?.plans ?? []).flatMap((plan) => {
    const text = overageText(plan, currency);
    return text ? [{ plan, text }] : [];
  });
  const canUpgrade = overage.reason === "no_subscription" && offers.length > 0;
  return (
    <div className="grid justify-items-start gap-3 text-sm">
      <p className="text-muted">
        {whyNot(overage.reason)}
        {canUpgrade && " You then go on when the day’s allowance is used up, and pay for each one:"}
      </p>
      {canUpgrade && (
        <>
          <dl className="grid gap-1.5 tabular-nums">
            {offers.map(({ plan, text }) => (
              <div key={plan.id} className="flex flex-wrap gap-x-3">
                <dt className="min-w-20 font-medium">{plan.name}</dt>
                <dd className="text-muted">{text}</dd>
              </div>
            ))}
          </dl>
          <Button variant="outline" asChild>
            <Link to="/pricing">See the plans</Link>
          </Button>
        </>
      )}
      <SpentBefore overage={overage} />
    </div>
  );
}

function Off({ overage, onAsk }: AskProps & { overage: Overage }) {
  return (
    <div className="grid justify-items-start gap-4">
      <p className="text-sm text-muted">
        Go on when the day’s allowance is used up. You set the most you want to spend in a month,
        and nothing is charged before you say yes.
      </p>
      <div className="w-full">
        <OveragePrices overage={overage} />
      </div>
      <SpentBefore overage={overage} />
      <Button onClick={() => onAsk({ kind: "overage" })}>Switch on pay as you go</Button>
    </div>
  );
}

/** It is off, and something of this period is still to be paid. */
function SpentBefore({ overage: { spentMinor, currency, periodEnd } }: { overage: Overage }) {
  if (spentMinor === 0) return null;
  const day = periodEnd === null ? "" : ` of ${formatDate(periodEnd)}`;
  return (
    <p className="text-sm tabular-nums">
      {`${formatMoney(spentMinor, currency)} from before are on your next invoice${day}.`}
    </p>
  );
}

function On({ overage, onAsk }: AskProps & { overage: Overage }) {
  const { available, attached, reason } = overage;
  return (
    <div className="grid gap-6">
      {!available && (
        <Notice tone="warn" title="Paused">{whyNot(reason)} Nothing more is charged.</Notice>
      )}
      {available && !attached && <Attaching />}
      <SpendMeter overage={overage} />
      <div className="grid items-start gap-x-10 gap-y-6 md:grid-cols-2">
        <SoFar overage={overage} />
        <Projection overage={overage} />
      </div>
      <div className="flex flex-wrap gap-2">
        <Button variant="outline" disabled={!available} onClick={() => onAsk({ kind: "overage" })}>
          Change cap
        </Button>
        <Button
          variant="ghost"
          className="text-stop-text"
          onClick={() => onAsk({ kind: "overage_off" })}
        >
          Switch off
        </Button>
      </div>
    </div>
  );
}

/** Consent is given, and Stripe does not have the metered prices yet: nothing is admitted that it could not bill. */
function Attaching() {
  const check = useCheckAgain();
  return (
    <Notice
      tone="plain"
      title="Stripe is still setting it up"
      actions={
        <Button
          size="sm"
          variant="outline"
          pending={check.isPending}
          onClick={() => check.mutate()}
        >
          Check again
        </Button>
      }
    >
      Until then the day’s allowance is the end. This takes a few seconds as a rule.
    </Notice>
  );
}

const line = "flex justify-between gap-6";

function SoFar({ overage: { metrics, currency, spentMinor } }: { overage: Overage }) {
  return (
    <div className="grid gap-3">
      <h3 className="text-sm font-semibold">Beyond your plan so far</h3>
      <dl className="grid gap-2 text-sm tabular-nums">
        {metrics.map(({ metric, quantity, unitMinor, amountMinor }) => (
          <div key={metric} className={line}>
            <dt>
              {titleOfMetric(metric)}
              <span className="block text-muted">
                {formatCount(quantity)}
                {unitMinor !== null && ` × ${formatUnit(unitMinor, currency)}`}
              </span>
            </dt>
            <dd>{formatUnit(amountMinor, currency)}</dd>
          </div>
        ))}
        <div className={`${line} border-t border-line pt-2 font-semibold`}>
          <dt>Together</dt>
          <dd>{formatExact(spentMinor, currency)}</dd>
        </div>
      </dl>
    </div>
  );
}

/** What the next bill comes to if it goes on as it does now. */
function Projection({ overage }: { overage: Overage }) {
  const { entitlements, paidPlanName } = useSubscription();
  const { catalogue } = useTariff();
  const { currency, periodEnd } = overage;
  if (!entitlements || !catalogue) return <Skeleton className="h-40 w-full" />;
  const bill = projectBill(overage, planOnBill(catalogue, entitlements, overage));
  const day = periodEnd === null ? "at the end of the period" : `on ${formatDate(periodEnd)}`;
  const renewal = entitlements.subscription?.currentPeriodEnd ?? null;
  return (
    <div className="grid gap-3">
      <h3 className="text-sm font-semibold">Projected bill {day}</h3>
      <dl className="grid gap-2 text-sm tabular-nums">
        {bill.planMinor !== null && (
          <div className={line}>
            <dt>
              {paidPlanName ?? "Your plan"}
              <span className="block text-muted">the next period</span>
            </dt>
            <dd>{formatExact(bill.planMinor, currency)}</dd>
          </div>
        )}
        <div className={line}>
          <dt>
            Beyond the plan
            <span className="block text-muted">if you go on as now</span>
          </dt>
          <dd>{formatExact(bill.overageMinor, currency)}</dd>
        </div>
        {bill.creditMinor > 0 && (
          <div className={line}>
            <dt>Prepaid credit</dt>
            <dd>{formatExact(-bill.creditMinor, currency)}</dd>
          </div>
        )}
        <div className={`${line} border-t border-line pt-2 font-semibold`}>
          <dt>Together, before tax</dt>
          <dd>{formatExact(bill.totalMinor, currency)}</dd>
        </div>
      </dl>
      {bill.planMinor === null && renewal !== null && (
        <p className="text-sm text-muted">
          {entitlements.subscription?.endsAt
            ? "Your plan ends and is not billed again."
            : `Your plan itself is paid until ${formatDate(renewal)}.`}
        </p>
      )}
    </div>
  );
}
