import { ExternalLink } from "lucide-react";
import { useEffect, useRef } from "react";
import { useCheckAgain } from "../../hooks/use-billing.ts";
import { usePortal } from "../../hooks/use-portal.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";
import { Done } from "./done.tsx";

interface FinishPaymentProps {
  planName: string;
  /** The price that is there when it is paid. */
  lookupKey: string;
  amount: string;
  paymentUrl: string | null;
  onClose: () => void;
}

/** The bank wants more than a card number, or the card was refused: the change waits for the payment. */
export function FinishPayment(props: FinishPaymentProps) {
  const { planName, lookupKey, amount, paymentUrl, onClose } = props;
  const check = useCheckAgain();
  const portal = usePortal();
  const isPaid = check.data?.subscription?.priceLookupKey === lookupKey;
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => link.current?.focus(), []);
  useOnReturn(() => !isPaid && !check.isPending && check.mutate());
  if (isPaid) {
    return (
      <Done
        title={`You are on ${planName}`}
        description="Thank you. Your new allowance is open now."
        onClose={onClose}
      />
    );
  }
  const title = "One more step";
  const description =
    `The payment of ${amount} is not complete: your bank wants to hear from you, or your card was refused. ${planName} begins as soon as it is paid. Until then your plan stays as it was.`;
  return (
    <DialogStep title={title} description={description}>
      <p role="status" className="sr-only">{`${title}. ${description}`}</p>
      {check.isSuccess && !check.isPending && (
        <Notice tone="warn" title="It is not paid yet">
          Finish the payment first. If you just did, give it a few seconds.
        </Notice>
      )}
      {check.error && <ErrorNotice error={check.error} />}
      {portal.error && <ErrorNotice error={portal.error} />}
      <DialogFooter>
        <Button variant="outline" pending={check.isPending} onClick={() => check.mutate()}>
          Check again
        </Button>
        {paymentUrl
          ? (
            <Button asChild>
              <a ref={link} href={paymentUrl} target="_blank" rel="noreferrer">
                Complete payment
                <ExternalLink aria-hidden />
              </a>
            </Button>
          )
          : (
            <Button pending={portal.isPending} onClick={() => portal.mutate("payment_method")}>
              Update payment method
            </Button>
          )}
      </DialogFooter>
    </DialogStep>
  );
}

/** The payment is made in another tab: coming back from it is the moment to look. */
function useOnReturn(look: () => void): void {
  const latest = useRef(look);
  useEffect(() => {
    latest.current = look;
  });
  useEffect(() => {
    const onVisible = () => document.visibilityState === "visible" && latest.current();
    document.addEventListener("visibilitychange", onVisible);
    return () => document.removeEventListener("visibilitychange", onVisible);
  }, []);
}
