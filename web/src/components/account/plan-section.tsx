import { ArrowUpRight } from "lucide-react";
import { Link } from "react-router";
import type { PortalFlow } from "../../api.ts";
import { usePortal } from "../../hooks/use-portal.ts";
import { type SubscriptionState, useSubscription } from "../../hooks/use-subscription.ts";
import { formatMoney } from "../../lib/money.ts";
import { limitText } from "../../lib/plans.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Section } from "../page.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/skeleton.tsx";

/** Plan, status, price, renewal or end, and the ways into Stripe's portal. */
export function PlanSection() {
  const subscription = useSubscription();
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
        {subscription.isSubscriber ? <SubscriberActions {...subscription} /> : <FreeActions />}
      </div>
    </Section>
  );
}

function PlanSummary({ entitlements, plan, price, status }: SubscriptionState) {
  if (!entitlements || !status) return null;
  const quantity = entitlements.subscription?.quantity ?? 1;
  const limits = (["message", "agent"] as const).flatMap((metric) => {
    const limit = entitlements.limits[metric];
    return limit === undefined ? [] : [limitText(metric, limit)];
  });
  return (
    <div className="grid gap-1.5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <p className="text-4xl font-semibold tracking-[-0.04em]" data-testid="plan-name">
          {plan?.name ?? entitlements.plan.name}
        </p>
        <Badge tone={status.tone}>{status.label}</Badge>
      </div>
      <p className="text-muted tabular-nums">
        {price && (
          <>
            {quantity > 1 && `${quantity} × `}
            {formatMoney(price.amountMinor, price.currency)} a {price.interval}
            {". "}
          </>
        )}
        {status.sentence}
      </p>
      <p className="text-sm text-muted tabular-nums">{limits.join(", ")}.</p>
    </div>
  );
}

function SubscriberActions({ entitlements, status }: SubscriptionState) {
  const portal = usePortal();
  const ending = entitlements?.subscription?.endsAt != null;
  const open = (flow?: PortalFlow) => portal.mutate(flow);
  /** Only the pressed button turns; the others just wait. */
  const pendingFor = (flow?: PortalFlow) => portal.isPending && portal.variables === flow;
  return (
    <div className="grid gap-4">
      {status?.fixPayment && (
        <Notice
          tone="bad"
          title="Your last payment did not go through"
          actions={
            <Button
              size="sm"
              pending={pendingFor("payment_method")}
              onClick={() => open("payment_method")}
            >
              Fix payment
            </Button>
          }
        >
          Update your payment method, and your plan goes on at once.
        </Notice>
      )}
      <div className="flex flex-wrap gap-2">
        {ending
          ? <Button pending={pendingFor()} onClick={() => open()}>Resume plan</Button>
          : (
            <Button pending={pendingFor("update")} onClick={() => open("update")}>
              Change plan
            </Button>
          )}
        <Button variant="outline" pending={!ending && pendingFor()} onClick={() => open()}>
          Manage billing
          <ArrowUpRight aria-hidden />
        </Button>
        <Button
          variant="outline"
          pending={!status?.fixPayment && pendingFor("payment_method")}
          onClick={() => open("payment_method")}
        >
          Update payment method
        </Button>
        {!ending && (
          <Button
            variant="ghost"
            className="text-stop-text"
            pending={pendingFor("cancel")}
            onClick={() => open("cancel")}
          >
            Cancel plan
          </Button>
        )}
      </div>
      <p className="text-sm text-muted">
        These open Stripe’s billing portal and bring you back here.
      </p>
      {portal.error && <ErrorNotice error={portal.error} onRetry={() => open(portal.variables)} />}
    </div>
  );
}

function FreeActions() {
  return (
    <div className="flex flex-wrap gap-2">
      <Button variant="toll" asChild>
        <Link to="/pricing">Upgrade</Link>
      </Button>
    </div>
  );
}
