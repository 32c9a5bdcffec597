import { useState } from "react";
import { useEnding } from "../../hooks/use-billing.ts";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatDate } from "../../lib/dates.ts";
import { type Catalogue, limitText } from "../../lib/plans.ts";
import { type Entitlements, isChangeable } from "../../lib/subscription.ts";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/choice.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";
import type { AskProps } from "./billing-dialog.tsx";
import { Done } from "./done.tsx";

type When = "end" | "now";

/** Ends the subscription with its period, or at once; `atOnce` leaves only the latter. */
export function CancelSteps({ atOnce = false, onAsk }: AskProps & { atOnce?: boolean }) {
  const { entitlements, paidPlanName } = useSubscription();
  const { catalogue } = useTariff();
  const periodEnd = entitlements?.subscription?.currentPeriodEnd ?? null;
  const canWait = !atOnce && entitlements !== null && isChangeable(entitlements);
  const [when, setWhen] = useState<When>(canWait ? "end" : "now");
  const cancel = useEnding(when === "end" ? "cancel" : "cancel_now");
  const close = () => onAsk(null);
  // Kept, because afterwards nothing says any more what it was.
  const [plan] = useState(paidPlanName ?? "Your plan");

  if (cancel.isSuccess) {
    const endsAt = cancel.data.subscription?.endsAt ?? null;
    return <Cancelled plan={plan} endsAt={when === "end" ? endsAt : null} onAsk={onAsk} />;
  }
  const [first = "", ...further] = consequences(
    when,
    plan,
    periodEnd,
    planAfter(entitlements, catalogue),
    entitlements?.subscription?.status === "trialing",
  );
  return (
    <DialogStep title={`Cancel ${plan}?`} description={first}>
      {canWait && (
        <Choice<When>
          label="When"
          value={when}
          onChange={setWhen}
          className="justify-self-start"
          options={[
            {
              value: "end",
              label: periodEnd === null
                ? "At the end of the period"
                : `On ${formatDate(periodEnd)}`,
            },
            { value: "now", label: "Now" },
          ]}
        />
      )}
      <ul className="grid list-disc gap-1.5 pl-5 text-sm text-muted">
        {further.map((line) => <li key={line}>{line}</li>)}
      </ul>
      {cancel.error && <ErrorNotice error={cancel.error} />}
      <DialogFooter>
        <Button variant="outline" disabled={cancel.isPending} onClick={close}>Keep it</Button>
        <Button variant="danger" pending={cancel.isPending} onClick={cancel.confirm}>
          {when === "end" ? "Confirm cancellation" : "Cancel now"}
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}

/** What happens and when, one sentence each. */
function consequences(
  when: When,
  plan: string,
  periodEnd: number | null,
  next: string,
  isTrial: boolean,
): string[] {
  const day = periodEnd === null ? "the end of the paid period" : formatDate(periodEnd);
  return when === "end"
    ? [
      `You keep ${plan} until ${day}.`,
      `It is not billed${isTrial ? "" : " again"}, and you can resume it until then.`,
      `After that you are on ${next}. Your conversations and agents stay.`,
    ]
    : [
      `${plan} ends at once.`,
      `${
        isTrial ? "Nothing was charged" : "Time already paid for is not refunded"
      }, and this cannot be taken back.`,
      `You are then on ${next}. Your conversations and agents stay.`,
    ];
}

/** What is left without the subscription: a granted plan, or the one that everybody has. */
function planAfter(entitlements: Entitlements | null, catalogue: Catalogue | null): string {
  if (entitlements?.source === "grant") {
    return `${entitlements.plan.name}, as it was granted to you`;
  }
  const plan = catalogue?.plans.find((candidate) => candidate.isDefault);
  const limit = plan?.limits.message;
  if (!plan) return "the free plan";
  return limit === undefined ? plan.name : `${plan.name}: ${limitText("message", limit)}`;
}

interface CancelledProps extends AskProps {
  plan: string;
  /** null: it has ended. */
  endsAt: number | null;
}

function Cancelled({ plan, endsAt, onAsk }: CancelledProps) {
  const title = endsAt === null ? `${plan} has ended` : `${plan} ends on ${formatDate(endsAt)}`;
  return (
    <Done
      title={title}
      description={endsAt === null
        ? "Nothing more is billed. You can choose a plan again at any time."
        : "Until then everything stays as it is. Nothing more is billed."}
      onClose={() => onAsk(null)}
      actions={endsAt !== null && (
        <Button
          variant="outline"
          onClick={() => onAsk({ kind: "resume" })}
        >
          Resume plan
        </Button>
      )}
    />
  );
}
