import { useState } from "react";
import { useEnding } from "../../hooks/use-billing.ts";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatMoney } from "../../lib/money.ts";
import { nameOfChange } from "../../lib/plans.ts";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";
import type { AskProps } from "./billing-dialog.tsx";
import { Done } from "./done.tsx";

/** Takes back a cancellation, or a change that was planned for later. */
export function ResumeSteps({ onAsk }: AskProps) {
  const { entitlements, paidPlanName, price } = useSubscription();
  const resume = useEnding("resume");
  // What is being taken back is gone from our data the moment it is done.
  const [before] = useState(entitlements);
  const { catalogue } = useTariff();
  const pending = before?.pendingChange?.lookupKey;
  const current = before?.subscription?.priceLookupKey ?? null;
  const planned = (catalogue && pending && nameOfChange(catalogue, current, pending)) ||
    "another plan";
  const close = () => onAsk(null);
  const [plan] = useState(paidPlanName ?? "Your plan");
  const cost = price
    ? `, ${formatMoney(price.amountMinor, price.currency)} a ${price.interval}`
    : "";

  if (resume.isSuccess) {
    const next = resume.data.subscription?.currentPeriodEnd ?? null;
    return (
      <Done
        title={`${plan} goes on`}
        description={next === null
          ? "It renews by itself."
          : `It renews on ${formatDate(next)}${cost}.`}
        onClose={close}
      />
    );
  }
  const endsAt = before?.subscription?.endsAt ?? null;
  const next = before?.subscription?.currentPeriodEnd ?? null;
  const renewal = next === null ? "It renews by itself" : `It renews on ${formatDate(next)}`;
  return (
    <DialogStep
      title={endsAt === null ? `Keep ${plan}?` : `Resume ${plan}?`}
      description={endsAt === null
        ? `The change to ${planned} is taken back, and ${plan} goes on. ${renewal}${cost}. Nothing is charged now.`
        : `${plan} does not end on ${
          formatDate(endsAt)
        } but goes on. ${renewal}${cost}. Nothing is charged now.`}
    >
      {resume.error && <ErrorNotice error={resume.error} />}
      <DialogFooter>
        <Button variant="outline" disabled={resume.isPending} onClick={close}>Not now</Button>
        <Button wraps pending={resume.isPending} onClick={resume.confirm}>
          {endsAt === null ? `Keep ${plan}` : "Resume subscription"}
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}
