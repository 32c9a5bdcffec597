import { useEffect } from "react";
import { usePurchase } from "../../hooks/use-credits.ts";
import { useOverage } from "../../hooks/use-overage.ts";
import { formatMoney } from "../../lib/money.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";

interface FromCreditsProps {
  tidy: () => void;
  onRead: () => void;
}

/** Back from buying credit. The address stays as it is while the payment is not seen: a reload then asks again. */
export function FromCredits({ tidy, onRead }: FromCreditsProps) {
  const [purchase, retry] = usePurchase();
  const { overage } = useOverage();
  const isThere = purchase.state === "there";
  useEffect(() => {
    if (isThere) tidy();
  }, [isThere, tidy]);
  switch (purchase.state) {
    case "confirming":
      return (
        <Notice tone="plain" busy title="Confirming your payment">
          This takes a few seconds. The credit arrives whether you stay here or not.
        </Notice>
      );
    case "there": {
      const { grant } = purchase;
      const credits = overage?.credits;
      return (
        <Notice
          tone="good"
          title={grant
            ? `${formatMoney(grant.amountMinor, grant.currency)} of credit added`
            : "Your credit is here"}
          onDismiss={onRead}
        >
          {credits
            ? `Thank you. You have ${formatMoney(credits.balanceMinor, credits.currency)} now.`
            : "Thank you."}
        </Notice>
      );
    }
    case "late":
      return (
        <Notice
          tone="warn"
          title="Your payment is not confirmed yet"
          onDismiss={onRead}
          actions={<Button size="sm" variant="outline" onClick={retry}>Check again</Button>}
        >
          The credit arrives by itself when it is, and you do not need to pay again.
        </Notice>
      );
    case "failed":
      return <ErrorNotice error={purchase.error} onRetry={retry} retryLabel="Check again" />;
  }
}

export function CreditsCancelled({ tidy, onRead }: FromCreditsProps) {
  useEffect(tidy, [tidy]);
  return (
    <Notice tone="plain" title="No credit was bought" onDismiss={onRead}>
      Nothing was charged.
    </Notice>
  );
}
