import { Check, Mail } from "lucide-react";
import { Link } from "react-router";
import { usePortal } from "../hooks/use-portal.ts";
import { useSession } from "../hooks/use-session.tsx";
import { useSubscription } from "../hooks/use-subscription.ts";
import { requireEnv } from "../env.ts";
import { cn } from "../lib/cn.ts";
import { annualSavingMinor, formatMoney } from "../lib/money.ts";
import { checkoutPath, withNext } from "../lib/paths.ts";
import {
  type Catalogue,
  featuresOf,
  type Interval,
  limitText,
  nextPlan,
  type Plan,
  priceFor,
} from "../lib/plans.ts";
import { ErrorNotice } from "./notice.tsx";
import { Badge } from "./ui/badge.tsx";
import { Button } from "./ui/button.tsx";
import { Skeleton } from "./ui/skeleton.tsx";

interface PlanBoardProps {
  catalogue: Catalogue;
  interval: Interval;
}

/** The tariff board: one column a plan, rows that line up, everything from the database. */
export function PlanBoard({ catalogue, interval }: PlanBoardProps) {
  const session = useSession();
  const { entitlements, isSubscriber, price, isLoading } = useSubscription();
  const portal = usePortal();
  const currentId = entitlements?.plan.id ?? null;
  const defaultId = catalogue.plans.find((plan) => plan.isDefault)?.id ?? "";
  const suggestedId = nextPlan(catalogue, currentId ?? defaultId, "message")?.id;
  return (
    <div className="grid gap-4">
      {portal.error && <ErrorNotice error={portal.error} />}
      <div className="grid overflow-hidden rounded-2xl border border-line bg-line shadow-lift max-lg:gap-px sm:max-lg:grid-cols-2 lg:auto-cols-fr lg:grid-flow-col lg:grid-rows-[auto_auto_auto_1fr] lg:gap-x-px">
        {catalogue.plans.map((plan) => (
          <PlanColumn
            key={plan.id}
            catalogue={catalogue}
            plan={plan}
            interval={interval}
            isCurrent={plan.id === currentId}
            isSuggested={plan.id === suggestedId}
            action={{
              ready: !isLoading,
              signedIn: session.status === "signed-in",
              isSubscriber,
              paidInterval: price?.interval ?? null,
              currentRank: entitlements?.plan.rank ?? -1,
              changing: portal.isPending,
              change: (flow) => portal.mutate(flow),
            }}
          />
        ))}
      </div>
    </div>
  );
}

interface ActionContext {
  /** Who is asking, and what they have, is known. */
  ready: boolean;
  signedIn: boolean;
  isSubscriber: boolean;
  paidInterval: Interval | null;
  currentRank: number;
  changing: boolean;
  change: (flow: "update" | "cancel") => void;
}

interface PlanColumnProps {
  catalogue: Catalogue;
  plan: Plan;
  interval: Interval;
  isCurrent: boolean;
  isSuggested: boolean;
  action: ActionContext;
}

function PlanColumn(
  { catalogue, plan, interval, isCurrent, isSuggested, action }: PlanColumnProps,
) {
  const titleId = `plan-${plan.id}`;
  return (
    <article
      aria-labelledby={titleId}
      className={cn(
        "relative grid content-start gap-y-5 bg-card p-6 lg:row-span-4 lg:grid-rows-subgrid",
        isCurrent && "bg-brand-soft",
      )}
    >
      {isSuggested && !isCurrent && (
        <div aria-hidden className="barrier absolute inset-x-0 top-0 h-1.5" />
      )}
      <header className="grid content-start gap-1">
        <div className="flex min-h-7 items-center justify-between gap-2">
          <h3 id={titleId} className="text-lg font-semibold">{plan.name}</h3>
          {isCurrent && <Badge tone="brand">Your plan</Badge>}
        </div>
        <p className="text-sm text-muted">{plan.description}</p>
      </header>
      <PlanPrice plan={plan} interval={interval} />
      <PlanAction
        plan={plan}
        interval={interval}
        isCurrent={isCurrent}
        isSuggested={isSuggested}
        {...action}
      />
      <ul className="grid content-start gap-2.5 border-t border-line pt-5 text-sm">
        {(["message", "agent"] as const).map((metric) => {
          const limit = plan.limits[metric];
          return limit !== undefined && (
            <li key={metric} className="font-semibold tabular-nums">{limitText(metric, limit)}</li>
          );
        })}
        {featuresOf(catalogue, plan).map((feature) => (
          <li key={feature.id} className="flex items-start gap-2 text-muted">
            <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-brand-text" />
            {feature.name}
          </li>
        ))}
      </ul>
    </article>
  );
}

function PlanPrice({ plan, interval }: { plan: Plan; interval: Interval }) {
  const month = priceFor(plan, "month");
  const year = priceFor(plan, "year");
  const price = priceFor(plan, interval);
  if (!price) {
    return (
      <div className="grid min-h-[4.75rem] content-start">
        <p className="text-4xl font-semibold tracking-[-0.04em]">
          {plan.isDefault ? "$0" : "Custom"}
        </p>
        <p className="mt-1 text-sm text-muted">{plan.isDefault ? "for ever" : "by agreement"}</p>
      </div>
    );
  }
  const saving = month && year && month.currency === year.currency
    ? annualSavingMinor(month.amountMinor, year.amountMinor)
    : 0;
  const money = (amount: number) => formatMoney(amount, price.currency);
  return (
    <div className="grid min-h-[4.75rem] content-start">
      <p className="flex items-baseline gap-1.5">
        <span className="text-4xl font-semibold tracking-[-0.04em] tabular-nums">
          {money(price.amountMinor)}
        </span>
        <span className="text-sm text-muted">a {interval}</span>
      </p>
      <p className="mt-1 text-sm text-muted tabular-nums">
        {interval === "month" ? "billed monthly" : "billed yearly"}
        {interval === "year" && saving > 0 && (
          <span className="font-semibold text-toll-text">, you save {money(saving)}</span>
        )}
      </p>
    </div>
  );
}

interface PlanActionProps extends ActionContext {
  plan: Plan;
  interval: Interval;
  isCurrent: boolean;
  isSuggested: boolean;
}

/** The one thing that can be done with this plan from here. */
function PlanAction(props: PlanActionProps) {
  const { plan, interval, isCurrent, isSuggested, signedIn, isSubscriber, changing, change } =
    props;
  const price = priceFor(plan, interval);
  const variant = isSuggested ? "toll" : "outline";

  if (!props.ready) return <Skeleton className="h-10" />;
  if (isCurrent && isSubscriber && price && props.paidInterval && props.paidInterval !== interval) {
    return (
      <Button variant="outline" pending={changing} onClick={() => change("update")}>
        {interval === "year" ? "Switch to annual" : "Switch to monthly"}
      </Button>
    );
  }
  if (isCurrent) {
    return (
      <Button variant="outline" asChild>
        <Link to="/account">Manage plan</Link>
      </Button>
    );
  }
  if (!price && !plan.isDefault) {
    const { contactEmail } = requireEnv();
    return (
      <Button variant="outline" asChild>
        <a href={`mailto:${contactEmail}?subject=${encodeURIComponent(`Tollgate ${plan.name}`)}`}>
          <Mail aria-hidden />
          Contact us
        </a>
      </Button>
    );
  }
  if (!signedIn) {
    const next = price ? checkoutPath(price.lookupKey) : "/chat";
    return (
      <Button variant={variant} asChild>
        <Link to={withNext("/sign-up", next)}>{price ? `Choose ${plan.name}` : "Start free"}</Link>
      </Button>
    );
  }
  if (isSubscriber) {
    return (
      <Button
        variant={variant}
        pending={changing}
        onClick={() => change(plan.isDefault ? "cancel" : "update")}
      >
        {`${plan.rank > props.currentRank ? "Upgrade" : "Change"} to ${plan.name}`}
      </Button>
    );
  }
  if (!price) {
    return <p className="h-10 content-center text-sm text-muted">Included for everybody</p>;
  }
  return (
    <Button variant={variant} asChild>
      <Link to={checkoutPath(price.lookupKey)}>Upgrade to {plan.name}</Link>
    </Button>
  );
}

export function PlanBoardSkeleton() {
  return (
    <div
      aria-busy="true"
      aria-label="Loading plans"
      role="status"
      className="grid gap-px overflow-hidden rounded-2xl border border-line bg-line sm:grid-cols-2 lg:grid-cols-4"
    >
      {[0, 1, 2, 3].map((column) => (
        <div key={column} className="grid h-[31rem] content-start gap-5 bg-card p-6 max-sm:h-96">
          <Skeleton className="h-7 w-24" />
          <Skeleton className="h-10 w-28" />
          <Skeleton className="h-10 w-full" />
          <Skeleton className="h-40 w-full" />
        </div>
      ))}
    </div>
  );
}
