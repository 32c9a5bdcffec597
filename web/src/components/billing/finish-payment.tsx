import { ExternalLink } from "lucide-react";
import { useCheckAgain } from "../../hooks/use-billing.ts";
import { usePortal } from "../../hooks/use-portal.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { DialogStep } from "../ui/dialog.tsx";
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
  if (check.data?.subscription?.priceLookupKey === lookupKey) {
    return (
      <Done
        title={`You are on ${planName}`}
        description="Thank you. Your new allowance is open now."
        onClose={onClose}
      />
    );
  }
  return (
    <DialogStep
      title="One more step"
      description={`The payment of ${amount} is not complete: your bank wants to hear from you, or your card was refused. ${planName} begins as soon as it is paid. Until then your plan stays as it was.`}
    >
      {check.isSuccess && !check.isPending && (
        <Notice tone="warn" title="It is not paid yet">
          Finish the payment first. If you just did, give it a few seconds.
        </Notice>
      )}
      {check.error && <ErrorNotice error={check.error} />}
      {portal.error && <ErrorNotice error={portal.error} />}
      <footer className="flex flex-wrap justify-end gap-2">
        <Button variant="outline" pending={check.isPending} onClick={() => check.mutate()}>
          Check again
        </Button>
        {paymentUrl
          ? (
            <Button asChild>
              <a href={paymentUrl} target="_blank" rel="noreferrer" autoFocus>
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
      </footer>
    </DialogStep>
  );
}
