import { useEffect, useState } from "react";
import { useRefreshSeller, useSellerUpdate } from "../../hooks/use-seller.ts";
import { useReturn } from "../../hooks/use-return.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";

/** Back from Stripe's page: asks how the account stands now, whether or not Stripe has told us yet. */
export function OnboardingReturn() {
  const { origin, tidy } = useReturn("onboarding");
  const [isRead, setRead] = useState(false);
  const { mutate: refresh, data: seller, isSuccess, error, isPending } = useRefreshSeller();
  const isBack = origin === "return";
  useEffect(() => {
    if (isBack) refresh();
  }, [isBack, refresh]);
  useEffect(() => {
    if (isSuccess || origin === "refresh") tidy();
  }, [isSuccess, origin, tidy]);
  if (isRead || origin === null) return null;
  const dismiss = () => {
    tidy();
    setRead(true);
  };
  if (origin === "refresh") return <LinkExpired onRead={dismiss} />;
  if (error) return <ErrorNotice error={error} onRetry={() => refresh()} pending={isPending} />;
  if (!isSuccess) return <Notice tone="plain" busy title="Asking Stripe about your account" />;
  return seller?.status === "active"
    ? (
      <Notice tone="good" title="You can sell now" onDismiss={dismiss}>
        Stripe has all it needs. Publish an agent whenever you like.
      </Notice>
    )
    : null;
}

/** Stripe's links are good for one visit, and for minutes. */
function LinkExpired({ onRead }: { onRead: () => void }) {
  const update = useSellerUpdate();
  return (
    <>
      <Notice
        tone="warn"
        title="That link to Stripe was used up"
        onDismiss={onRead}
        actions={
          <Button
            size="sm"
            pending={update.isPending || update.isSuccess}
            onClick={() => update.mutate()}
          >
            Go on at Stripe
          </Button>
        }
      >
        What you entered is kept. A new link takes you on from there.
      </Notice>
      {update.error && <ErrorNotice error={update.error} />}
    </>
  );
}
