import { useCheckAgain } from "../hooks/use-billing.ts";
import { formatDate } from "../lib/dates.ts";
import { formatMoney, formatUnit } from "../lib/money.ts";
import { beyondOf, metricOf, type Overage } from "../lib/overage.ts";
import { type MetricId, nounOf } from "../lib/plans.ts";
import type { AskProps } from "./billing/billing-dialog.tsx";
import { Button } from "./ui/button.tsx";

interface KeepGoingProps extends AskProps {
  metric: MetricId;
  overage: Overage | null;
}

/** The way on that costs money: switch pay as you go on, raise its cap, or wait for Stripe. */
export function KeepGoing({ metric, overage, onAsk }: KeepGoingProps) {
  const check = useCheckAgain();
  const unit = overage && metricOf(overage, metric)?.unitMinor;
  switch (beyondOf(overage, metric)) {
    case "off":
      return (
        <Button variant="toll" wraps onClick={() => onAsk({ kind: "overage" })}>
          Keep going for {formatUnit(unit ?? 0, overage?.currency ?? "usd")} per {nounOf(metric, 1)}
        </Button>
      );
    case "capped":
      return (
        <Button variant="toll" wraps onClick={() => onAsk({ kind: "overage" })}>
          Raise the cap
        </Button>
      );
    case "pending":
      return (
        <Button
          variant="toll"
          wraps
          pending={check.isPending}
          onClick={() => check.mutate()}
        >
          Check again
        </Button>
      );
    default:
      return null;
  }
}

/** What stopped here, where it was not only the allowance; null when it was. */
export function stopOf(overage: Overage | null, metric: MetricId) {
  const state = beyondOf(overage, metric);
  if (state === "pending") {
    return {
      title: "Pay as you go is being set up",
      explanation: "Stripe needs a few seconds as a rule. Nothing you wrote is lost.",
    };
  }
  if (state !== "capped" || !overage) return null;
  const { capMinor, spentMinor, currency, periodEnd } = overage;
  const day = periodEnd === null ? "" : ` It begins again at zero on ${formatDate(periodEnd)}.`;
  return {
    title: `Your spending cap of ${formatMoney(capMinor ?? 0, currency)} is reached`,
    explanation: `You have spent ${
      formatMoney(spentMinor, currency)
    } beyond your plan, and another ${
      nounOf(metric, 1)
    } would pass it.${day} Nothing you wrote is lost.`,
  };
}
