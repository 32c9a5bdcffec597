import { ArrowUpRight } from "lucide-react";
import { useEffect, useState } from "react";
import { Link, useSearchParams } from "react-router";
import type { PortalFlow } from "../../api/index.ts";
import { usePortal } from "../../hooks/use-portal.ts";
import { type SubscriptionState, useSubscription } from "../../hooks/use-subscription.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatMoney } from "../../lib/money.ts";
import { costOf, findPrice, limitTexts, nameOfChange, type Price } from "../../lib/plans.ts";
import { describeSubscription, isCancellable, isChangeable } from "../../lib/subscription.ts";
import { type Ask, type AskProps, BillingDialog } from "../billing/billing-dialog.tsx";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** Plan, status, price, renewal or end, what is planned, and everything that can be done about it. */
export function PlanSection() {
  const subscription = useSubscription();
  const [ask, setAsk] = useAsk();
  const { entitlements, error, isLoading, refetch } = subscription;
  if (error) {
    return (
      <Section title="Plan">
        <ErrorNotice error={error} onRetry={refetch} />
      </Section>
    );
  }
  if (isLoading || !entitlements) {
    return (
      <Section title="Plan">
        <div role="status" aria-label="Loading plan" className="grid min-h-56 content-start gap-4">
          <Skeleton className="h-9 w-32" />
          <Skeleton className="h-5 w-64" />
          <Skeleton className="h-10 w-48" />
        </div>
      </Section>
    );
  }
  return (
    <Section title="Plan">
      <div className="grid min-h-40 content-start gap-6">
        <PlanSummary {...subscription} />
        {subscription.isSubscriber
          ? (
            <>
              <PlannedChange {...subscription} onAsk={setAsk} />
              <SubscriberActions {...subscription} onAsk={setAsk} />
            </>
          )
          : <FreeActions isGranted={subscription.entitlements?.source === "grant"} />}
        <BillingDialog ask={ask} onAsk={setAsk} />
      </div>
    </Section>
  );
}

/** The open dialog; a link from elsewhere opens it too: `?change=`, with a price or without. */
function useAsk() {
  const [ask, setAsk] = useState<Ask | null>(null);
  const [params, setParams] = useSearchParams();
  const { isSubscriber } = useSubscription();
  const change = params.get("change");
  useEffect(() => {
    if (change === null || !isSubscriber) return;
    setAsk({ kind: "change", lookupKey: change || null });
    setParams((before) => {
      before.delete("change");
      return before;
    }, { replace: true });
  }, [change, isSubscriber, setParams]);
  return [ask, setAsk] as const;
}

function PlanSummary(subscription: SubscriptionState) {
  const { entitlements, plan, status } = subscription;
  if (!entitlements || !status) return null;
  const isGranted = entitlements.source === "grant";
  const limits = limitTexts(entitlements.limits);
  return (
    <div className="grid gap-1.5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <p
          className="min-w-0 text-4xl font-semibold tracking-[-0.04em] wrap-anywhere"
          data-testid="plan-name"
        >
          {plan?.name ?? entitlements.plan.name}
        </p>
        {status.label !== entitlements.plan.name && <Badge tone={status.tone}>{status.label}
        </Badge>}
      </div>
      <p className="text-muted tabular-nums">
        {isGranted ? status.sentence : paidText(subscription, status.sentence)}
      </p>
      {isGranted && <BeneathGrant {...subscription} />}
      <p className="text-sm text-muted tabular-nums">{sentenceOf(limits)}</p>
    </div>
  );
}

/** `500 messages a day, 5 agents.` */
function sentenceOf(limits: string[]): string {
  const [first = "", ...others] = limits;
  return `${[first, ...others.map((limit) => limit.toLowerCase())].join(", ")}.`;
}

/** `$15 a month. Renews on …`, or whose price it is where it is not that of the plan above. */
function paidText(subscription: SubscriptionState, sentence: string): string {
  const { entitlements, price, paidPlanName } = subscription;
  const paid = entitlements?.subscription;
  if (!price || !paid) return sentence;
  const cost = priceText(price, paid.quantity ?? 1);
  if (entitlements.source !== "subscription") {
    return `Your ${paidPlanName ?? "paid"} subscription, ${cost}. ${sentence}`;
  }
  return paid.status === "trialing" && paid.trialEnd !== null && paid.endsAt === null
    ? `Free until ${formatDate(paid.trialEnd)}, then ${cost}.`
    : `${cost}. ${sentence}`;
}

/** The paid plan goes on under a granted one, and is billed: that must not be a surprise. */
function BeneathGrant({ entitlements, paidPlanName, price }: SubscriptionState) {
  const subscription = entitlements?.subscription;
  if (!subscription) return null;
  const { label, sentence } = describeSubscription(subscription, entitlements.graceEndsAt);
  return (
    <p className="text-muted tabular-nums">
      Your {paidPlanName ?? "own"} subscription goes on beside it
      {price && `, ${priceText(price, subscription.quantity ?? 1)}`}.{" "}
      {label === "Active" ? sentence : `${label}: ${sentence}`}
    </p>
  );
}

function priceText(price: Price, quantity: number): string {
  const times = quantity > 1 && !price.tiers ? `${quantity} × ` : "";
  const amount = price.tiers ? costOf(price, quantity) : price.amountMinor;
  return `${times}${formatMoney(amount, price.currency)} a ${price.interval}`;
}

/** A change that waits for the end of the period. */
function PlannedChange({ entitlements, onAsk }: SubscriptionState & AskProps) {
  const { catalogue } = useTariff();
  const pending = entitlements?.pendingChange;
  if (!pending) return null;
  const current = entitlements?.subscription?.priceLookupKey ?? null;
  const name = catalogue && nameOfChange(catalogue, current, pending.lookupKey);
  const price = catalogue && findPrice(catalogue, pending.lookupKey);
  const day = pending.at === null ? "the end of the period" : formatDate(pending.at);
  return (
    <Notice
      tone="plain"
      title={`Your plan changes to ${name ?? "another price"} on ${day}`}
      actions={
        <Button size="sm" variant="outline" onClick={() => onAsk({ kind: "resume" })}>
          Keep current plan
        </Button>
      }
    >
      Until then everything stays as it is.
      {price &&
        ` Then it is ${formatMoney(price.amountMinor, price.currency)} a ${price.interval}.`}
    </Notice>
  );
}

function SubscriberActions({ entitlements, onAsk }: SubscriptionState & AskProps) {
  const portal = usePortal();
  const ending = entitlements?.subscription?.endsAt != null;
  const changeable = entitlements !== null && isChangeable(entitlements);
  // Where the plan was granted, these are about the other one that is paid for.
  const what = entitlements?.source === "subscription" ? "plan" : "subscription";
  const open = (flow?: PortalFlow) => portal.mutate(flow);
  /** Only the pressed button turns; the others just wait. */
  const pendingFor = (flow?: PortalFlow) => portal.isPending && portal.variables === flow;
  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap gap-2">
        {ending
          ? <Button onClick={() => onAsk({ kind: "resume" })}>Resume {what}</Button>
          : changeable && (
            <Button onClick={() => onAsk({ kind: "change", lookupKey: null })}>
              Change {what}
            </Button>
          )}
        <Button variant="outline" pending={pendingFor()} onClick={() => open()}>
          Manage billing
          <ArrowUpRight aria-hidden />
        </Button>
        <Button
          variant="outline"
          pending={pendingFor("payment_method")}
          onClick={() => open("payment_method")}
        >
          Update payment method
          <ArrowUpRight aria-hidden />
        </Button>
        {entitlements && isCancellable(entitlements) && (
          <Button
            variant="ghost"
            className="text-stop-text"
            onClick={() => onAsk({ kind: ending ? "cancel_now" : "cancel" })}
          >
            {ending ? "Cancel now" : `Cancel ${what}`}
          </Button>
        )}
      </div>
      <p className="text-sm text-muted">
        Billing and payment method open at Stripe and bring you back here.
      </p>
      {portal.error && <ErrorNotice error={portal.error} onRetry={() => open(portal.variables)} />}
    </div>
  );
}

function FreeActions({ isGranted }: { isGranted: boolean }) {
  return (
    <div className="flex flex-wrap gap-2">
      <Button variant={isGranted ? "outline" : "toll"} asChild>
        <Link to="/pricing">{isGranted ? "See the plans" : "Upgrade"}</Link>
      </Button>
    </div>
  );
}
