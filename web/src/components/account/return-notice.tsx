import { useCallback, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { type Confirmation, useConfirmation, useSyncOnce } from "../../hooks/use-sync.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";

/** What a person sees who comes back from Stripe: from Checkout or from the portal. */
export function ReturnNotice() {
  const [params] = useSearchParams();
  // Read once: the address is tidied afterwards, and the notice must outlive that.
  const [origin] = useState(() =>
    params.get("checkout") === "success"
      ? "checkout"
      : params.get("portal") === "return"
      ? "portal"
      : null
  );
  if (origin === "checkout") return <FromCheckout />;
  return origin === "portal" ? <FromPortal /> : null;
}

function FromCheckout() {
  const [confirmation, retry] = useConfirmation(true);
  return <ConfirmationNotice confirmation={confirmation} onRetry={retry} />;
}

interface ConfirmationNoticeProps {
  confirmation: Confirmation;
  onRetry: () => void;
}

function ConfirmationNotice({ confirmation, onRetry }: ConfirmationNoticeProps) {
  switch (confirmation.state) {
    case "idle":
    case "confirming":
      return (
        <Notice tone="plain" busy title="Confirming your payment">
          This takes a few seconds. You can stay here or go on; the plan arrives either way.
        </Notice>
      );
    case "confirmed":
      return (
        <Notice
          tone="good"
          title={`You are on ${confirmation.planName}`}
          actions={
            <Button size="sm" asChild>
              <Link to="/chat">Continue to chat</Link>
            </Button>
          }
        >
          Thank you. Your new allowance is open now.
        </Notice>
      );
    case "late":
      return (
        <Notice
          tone="warn"
          title="Your payment is not confirmed yet"
          actions={<Button size="sm" variant="outline" onClick={onRetry}>Check again</Button>}
        >
          Stripe has not told us about it. Some payment methods take a while: the plan switches by
          itself when it arrives, and you do not need to pay again.
        </Notice>
      );
    case "failed":
      return <ErrorNotice error={confirmation.error} onRetry={onRetry} retryLabel="Check again" />;
  }
}

function FromPortal() {
  const [params, setParams] = useSearchParams();
  const [done, setDone] = useState(false);
  const active = params.get("portal") === "return";
  const finish = useCallback(() => {
    setDone(true);
    setParams((before) => {
      before.delete("portal");
      return before;
    }, { replace: true });
  }, [setParams]);
  const [error, retry] = useSyncOnce(active && !done, finish);
  if (error) return <ErrorNotice error={error} onRetry={retry} />;
  return done
    ? <Notice tone="good" title="Your billing details are up to date" />
    : <Notice tone="plain" busy title="Reading your changes" />;
}
