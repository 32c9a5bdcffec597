import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useArrival } from "../../hooks/use-library.ts";
import { useReturn } from "../../hooks/use-return.ts";
import { newChatPath } from "../../lib/paths.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";

/** Back from Checkout, until it was read. */
export function PurchaseReturn() {
  const { origin, tidy } = useReturn("purchase");
  const [isRead, setRead] = useState(false);
  if (origin !== "success" || isRead) return null;
  const dismiss = () => {
    tidy();
    setRead(true);
  };
  return <Paid tidy={tidy} onRead={dismiss} />;
}

/** The address stays as it is while the payment is not seen: a reload then asks again. */
function Paid({ tidy, onRead }: { tidy: () => void; onRead: () => void }) {
  const [arrival, retry] = useArrival();
  const isSettled = arrival.state === "there" || arrival.state === "processing";
  useEffect(() => {
    if (isSettled) tidy();
  }, [isSettled, tidy]);
  switch (arrival.state) {
    case "confirming":
      return (
        <Notice tone="plain" busy title="Confirming your payment">
          This takes a few seconds. It arrives whether you stay here or not.
        </Notice>
      );
    case "there": {
      const { listingId, title, category } = arrival.item;
      return (
        <Notice
          tone="good"
          title={`“${title}” is yours`}
          onDismiss={onRead}
          actions={category !== "addon" && (
            <Button size="sm" asChild>
              <Link to={newChatPath({ listing: listingId })}>Use in chat</Link>
            </Button>
          )}
        >
          Thank you. The receipt is beside it.
        </Notice>
      );
    }
    case "processing":
      return (
        <Notice tone="warn" title="Your payment is on its way" onDismiss={onRead}>
          With some payment methods that takes days. It opens by itself then, and you do not need to
          pay again.
        </Notice>
      );
    case "late":
      return (
        <Notice
          tone="warn"
          title="Your payment is not confirmed yet"
          onDismiss={onRead}
          actions={<Button size="sm" variant="outline" onClick={retry}>Check again</Button>}
        >
          It arrives by itself when it is, and you do not need to pay again.
        </Notice>
      );
    case "failed":
      return <ErrorNotice error={arrival.error} onRetry={retry} retryLabel="Check again" />;
  }
}
