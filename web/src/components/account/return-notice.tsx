import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useReturn } from "../../hooks/use-return.ts";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { useConfirmation, useSyncOnce } from "../../hooks/use-sync.ts";
import { describeArrival } from "../../lib/arrival.ts";
import type { Entitlements } from "../../lib/subscription.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { CreditsCancelled, FromCredits } from "./credits-return.tsx";

/** What a person sees who comes back from Stripe, until they have read it: from Checkout, the portal, or a purchase of credit. */
export function ReturnNotice() {
  const checkout = useReturn("checkout");
  const portal = useReturn("portal");
  const credits = useReturn("credits");
  const [isRead, setRead] = useState(false);
  const dismiss = () => {
    checkout.tidy();
    credits.tidy();
    setRead(true);
  };
  if (isRead) return null;
  if (checkout.origin === "success") return <FromCheckout tidy={checkout.tidy} onRead={dismiss} />;
  if (portal.origin === "return") return <FromPortal tidy={portal.tidy} onRead={dismiss} />;
  if (credits.origin === "success") return <FromCredits tidy={credits.tidy} onRead={dismiss} />;
  if (credits.origin === "cancelled") {
    return <CreditsCancelled tidy={credits.tidy} onRead={dismiss} />;
  }
  return null;
}

interface FromStripeProps {
  tidy: () => void;
  onRead: () => void;
}

/** The address stays as it is while the payment is not seen: a reload then asks again. */
function FromCheckout({ tidy, onRead }: FromStripeProps) {
  const [confirmation, retry] = useConfirmation(true);
  const { paidPlanName } = useSubscription();
  const isConfirmed = confirmation.state === "confirmed";
  useEffect(() => {
    if (isConfirmed) tidy();
  }, [isConfirmed, tidy]);
  switch (confirmation.state) {
    case "idle":
    case "confirming":
      return (
        <Notice tone="plain" busy title="Confirming your payment">
          This takes a few seconds. You can stay here or go on; the plan arrives either way.
        </Notice>
      );
    case "confirmed":
      return <Arrived entitlements={confirmation.entitlements} onRead={onRead} />;
    case "late": {
      const { title, body } = describeArrival(
        confirmation.entitlements,
        paidPlanName ?? "Your plan",
      );
      return (
        <Notice
          tone="warn"
          title={title}
          onDismiss={onRead}
          actions={<Button size="sm" variant="outline" onClick={retry}>Check again</Button>}
        >
          {body}
        </Notice>
      );
    }
    case "failed":
      return <ErrorNotice error={confirmation.error} onRetry={retry} retryLabel="Check again" />;
  }
}

interface ArrivedProps {
  entitlements: Entitlements;
  onRead: () => void;
}

/** Goes when what it says is no longer so: the plan was changed or cancelled since. */
function Arrived({ entitlements: arrived, onRead }: ArrivedProps) {
  const { entitlements: now, paidPlanName } = useSubscription();
  const isStill = now?.subscription?.id === arrived.subscription?.id &&
    now?.subscription?.priceLookupKey === arrived.subscription?.priceLookupKey &&
    now?.subscription?.endsAt === null;
  if (!isStill) return null;
  const { title, body } = describeArrival(arrived, paidPlanName ?? arrived.plan.name);
  return (
    <Notice
      tone="good"
      title={title}
      onDismiss={onRead}
      actions={
        <Button size="sm" asChild>
          <Link to="/chat">Continue to chat</Link>
        </Button>
      }
    >
      {body}
    </Notice>
  );
}

function FromPortal({ tidy, onRead }: FromStripeProps) {
  const [isDone, setDone] = useState(false);
  const [error, retry] = useSyncOnce(!isDone, setDone);
  useEffect(() => {
    if (isDone) tidy();
  }, [isDone, tidy]);
  if (error) return <ErrorNotice error={error} onRetry={retry} />;
  return isDone
    ? <Notice tone="good" title="Your billing details are up to date" onDismiss={onRead} />
    : <Notice tone="plain" busy title="Reading your changes" />;
}
