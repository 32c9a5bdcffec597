import { Check, Mail } from "lucide-react";
import { useState } from "react";
import { useSession } from "../hooks/use-session.tsx";
import { useSubscription } from "../hooks/use-subscription.ts";
import { cn } from "../lib/cn.ts";
import { formatDate } from "../lib/dates.ts";
import { buyPath, withNext } from "../lib/paths.ts";
import {
  type Catalogue,
  featuresOf,
  findPrice,
  type Interval,
  limitTexts,
  nextPlan,
  overageText,
  type Plan,
  type Price,
  priceFor,
} from "../lib/plans.ts";
import { type Entitlements, isChangeable } from "../lib/subscription.ts";
import { type Ask, type AskProps, BillingDialog } from "./billing/billing-dialog.tsx";
import { PlanPrice } from "./plan-price.tsx";
import { Badge } from "./ui/badge.tsx";
import { Button } from "./ui/button.tsx";
import { Skeleton } from "./ui/skeleton.tsx";
import { Link, useHost } from "../tollgate/host.tsx";

interface PlanBoardProps {
  /** In the reader's currency. */
  catalogue: Catalogue;
  currency: string;
  interval: Interval;
}

/** The tariff board: one column a plan, rows that line up, everything from the database. */
export function PlanBoard({ catalogue, currency, interval }: PlanBoardProps) {
  const session = useSession();
  const { entitlements, isSubscriber, price, isLoading } = useSubscription();
  const [ask, setAsk] = useState<Ask | null>(null);
  const currentId = entitlements?.plan.id ?? null;
  const defaultId = catalogue.plans.find((plan) => plan.isDefault)?.id ?? "";
  const suggestedId = nextPlan(catalogue, currentId ?? defaultId, "message")?.id;
  return (
    <>
      <div className="grid overflow-hidden rounded-2xl border border-line bg-line shadow-lift max-lg:gap-px sm:max-lg:grid-cols-2 lg:auto-cols-fr lg:grid-flow-col lg:grid-rows-[auto_auto_auto_1fr] lg:gap-x-px">
        {catalogue.plans.map((plan) => (
          <PlanColumn
            key={plan.id}
            catalogue={catalogue}
            currency={currency}
            plan={plan}
            interval={interval}
            isCurrent={plan.id === currentId}
            isSuggested={plan.id === suggestedId}
            action={{
              ready: !isLoading,
              signedIn: session.status === "signed-in",
              isSubscriber,
              isChangeable: entitlements !== null && isChangeable(entitlements),
              paid: isSubscriber ? price : null,
              startsAt: startOf(catalogue, plan, entitlements),
              currentRank: entitlements?.plan.rank ?? -1,
              onAsk: setAsk,
            }}
          />
        ))}
      </div>
      <BillingDialog ask={ask} onAsk={setAsk} />
    </>
  );
}

/** When this plan takes over by itself: a planned change, or the end of what is paid; null otherwise. */
function startOf(catalogue: Catalogue, plan: Plan, entitlements: Entitlements | null) {
  const pending = entitlements?.pendingChange;
  if (pending && findPrice(catalogue, pending.lookupKey)?.planId === plan.id) return pending.at;
  return plan.isDefault ? entitlements?.subscription?.endsAt ?? null : null;
}

interface ActionContext extends AskProps {
  /** Who is asking, and what they have, is known. */
  ready: boolean;
  signedIn: boolean;
  isSubscriber: boolean;
  isChangeable: boolean;
  /** What is billed, whatever plan counts at the moment. */
  paid: Price | null;
  startsAt: number | null;
  currentRank: number;
}

interface PlanColumnProps {
  catalogue: Catalogue;
  currency: string;
  plan: Plan;
  interval: Interval;
  isCurrent: boolean;
  isSuggested: boolean;
  action: ActionContext;
}

function PlanColumn(
  { catalogue, currency, plan, interval, isCurrent, isSuggested, action }: PlanColumnProps,
) {
  const titleId = `plan-${plan.id}`;
  const beyond = overageText(plan, currency);
  return (
    <article
      aria-labelledby={titleId}
      className={cn(
        "relative grid min-w-0 grid-cols-[minmax(0,1fr)] content-start gap-y-5 bg-card p-6 lg:row-span-4 lg:grid-rows-subgrid",
        isCurrent && "bg-brand-soft",
      )}
    >
      {isSuggested && !isCurrent && (
        <div aria-hidden className="barrier absolute inset-x-0 top-0 h-1.5" />
      )}
      <header className="grid content-start gap-1">
        <div className="flex min-h-7 flex-wrap items-center justify-between gap-x-2 gap-y-1">
          <h3 id={titleId} className="min-w-0 text-lg font-semibold wrap-anywhere hyphens-auto">
            {plan.name}
          </h3>
          {isCurrent
            ? <Badge tone="brand">Your plan</Badge>
            : action.startsAt !== null && (
              <Badge tone="warn">From {formatDate(action.startsAt)}</Badge>
            )}
        </div>
        <p className="text-sm text-muted">{plan.description}</p>
      </header>
      <PlanPrice
        plan={plan}
        currency={currency}
        interval={interval}
        showTrial={!action.isSubscriber}
      />
      <PlanAction
        plan={plan}
        interval={interval}
        isCurrent={isCurrent}
        isSuggested={isSuggested}
        {...action}
      />
      <ul className="grid content-start gap-2.5 border-t border-line pt-5 text-sm">
        {limitTexts(plan.limits).map((limit) => (
          <li key={limit} className="font-semibold tabular-nums">{limit}</li>
        ))}
        {beyond && (
          <li className="text-muted tabular-nums">
            Beyond that, if you switch it on: {beyond}
          </li>
        )}
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

interface PlanActionProps extends ActionContext {
  plan: Plan;
  interval: Interval;
  isCurrent: boolean;
  isSuggested: boolean;
}

/** The one thing that can be done with this plan from here. */
function PlanAction(props: PlanActionProps) {
  const { plan, interval, isCurrent, isSuggested, signedIn, isSubscriber } = props;
  const price = priceFor(plan, interval);
  const variant = isSuggested ? "toll" : "outline";

  if (!props.ready) return <Skeleton className="h-10" />;
  if (isSubscriber) {
    return <SubscriberAction {...props} price={price} variant={variant} />;
  }
  if (isCurrent) return <ManagePlan />;
  if (!price && !plan.isDefault) return <ContactUs plan={plan} />;
  if (!signedIn) {
    const next = price ? buyPath(price) : "/chat";
    return (
      <Button variant={variant} wraps asChild>
        <Link to={withNext("/sign-up", next)}>{price ? `Choose ${plan.name}` : "Start free"}</Link>
      </Button>
    );
  }
  if (!price) {
    return <p className="h-10 content-center text-sm text-muted">Included for everybody</p>;
  }
  return (
    <Button variant={variant} wraps asChild>
      <Link to={buyPath(price)}>Upgrade to {plan.name}</Link>
    </Button>
  );
}

interface SubscriberActionProps extends PlanActionProps {
  price: Price | null;
  variant: "toll" | "outline";
}

/** Who pays already changes what they have; a second Checkout would be a second bill. */
function SubscriberAction(props: SubscriberActionProps) {
  const { plan, price, paid, isCurrent, startsAt, variant, onAsk } = props;
  const isPaid = paid !== null && paid.planId === plan.id;
  const isSettled = startsAt !== null || !props.isChangeable;
  if (isPaid && price && price.interval !== paid.interval && !isSettled) {
    return (
      <Button
        variant="outline"
        onClick={() => onAsk({ kind: "change", lookupKey: price.lookupKey })}
      >
        {price.interval === "year" ? "Switch to annual" : "Switch to monthly"}
      </Button>
    );
  }
  if (!price && !plan.isDefault && !isCurrent) return <ContactUs plan={plan} />;
  if (isCurrent || isPaid || isSettled) return <ManagePlan />;
  const ask: Ask = price ? { kind: "change", lookupKey: price.lookupKey } : { kind: "cancel" };
  return (
    <Button variant={variant} wraps onClick={() => onAsk(ask)}>
      {`${plan.rank > props.currentRank ? "Upgrade" : "Change"} to ${plan.name}`}
    </Button>
  );
}

function ManagePlan() {
  return (
    <Button variant="outline" asChild>
      <Link to="/account">Manage plan</Link>
    </Button>
  );
}

function ContactUs({ plan }: { plan: Plan }) {
  const { contactEmail } = useHost();
  if (contactEmail === null) return null;
  return (
    <Button variant="outline" asChild>
      <a href={`mailto:${contactEmail}?subject=${encodeURIComponent(`Tollgate ${plan.name}`)}`}>
        <Mail aria-hidden />
        Contact us
      </a>
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
