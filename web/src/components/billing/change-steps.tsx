import { useState } from "react";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatMoney } from "../../lib/money.ts";
import { type Catalogue, type Interval, type Plan, type Price, priceFor } from "../../lib/plans.ts";
import { ErrorNotice } from "../notice.tsx";
import { Badge } from "../ui/badge.tsx";
import { Choice } from "../ui/choice.tsx";
import { DialogStep } from "../ui/dialog.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import type { AskProps } from "./billing-dialog.tsx";
import { ConfirmChange } from "./confirm-change.tsx";

/** Another plan or another billing period: choose, see what it costs, confirm. */
export function ChangeSteps({ lookupKey, onAsk }: AskProps & { lookupKey: string | null }) {
  const [target, setTarget] = useState(lookupKey);
  const close = () => onAsk(null);
  if (target === null) return <Chooser onChoose={setTarget} onAsk={onAsk} />;
  return (
    <ConfirmChange
      key={target}
      lookupKey={target}
      onBack={lookupKey === null ? () => setTarget(null) : undefined}
      onClose={close}
    />
  );
}

function Chooser({ onChoose, onAsk }: AskProps & { onChoose: (lookupKey: string) => void }) {
  const { catalogue, error, isFetching, refetch } = useTariff();
  const { price } = useSubscription();
  const [interval, setInterval] = useState<Interval>(price?.interval ?? "month");
  return (
    <DialogStep
      title="Change plan"
      description="The next step shows what it costs. Nothing is charged before you confirm."
    >
      <Choice<Interval>
        label="Billing period"
        value={interval}
        onChange={setInterval}
        className="justify-self-start"
        options={[{ value: "month", label: "Monthly" }, { value: "year", label: "Annual" }]}
      />
      {catalogue
        ? (
          <PlanList
            catalogue={catalogue}
            interval={interval}
            current={price}
            onChoose={onChoose}
            onCancel={() => onAsk({ kind: "cancel" })}
          />
        )
        : error
        ? <ErrorNotice error={error} onRetry={refetch} pending={isFetching} />
        : <Skeleton className="h-40 w-full" />}
    </DialogStep>
  );
}

interface PlanListProps {
  catalogue: Catalogue;
  interval: Interval;
  current: Price | null;
  onChoose: (lookupKey: string) => void;
  onCancel: () => void;
}

function PlanList({ catalogue, interval, current, onChoose, onCancel }: PlanListProps) {
  return (
    <ul aria-label="Plans" className="grid gap-2">
      {catalogue.plans.map((plan) => {
        const price = priceFor(plan, interval);
        if (!price) {
          return plan.isDefault && (
            <PlanRow key={plan.id} plan={plan} price="no charge" onPress={onCancel} />
          );
        }
        return (
          <PlanRow
            key={plan.id}
            plan={plan}
            price={`${formatMoney(price.amountMinor, price.currency)} a ${interval}`}
            isCurrent={price.lookupKey === current?.lookupKey}
            onPress={() => onChoose(price.lookupKey)}
          />
        );
      })}
    </ul>
  );
}

interface PlanRowProps {
  plan: Plan;
  price: string;
  isCurrent?: boolean;
  onPress: () => void;
}

function PlanRow({ plan, price, isCurrent, onPress }: PlanRowProps) {
  return (
    <li>
      <button
        type="button"
        disabled={isCurrent}
        onClick={onPress}
        className="flex min-h-13 w-full flex-wrap items-center justify-between gap-x-4 rounded-xl border border-line px-4 py-2 text-left transition-colors enabled:hover:border-line-strong enabled:hover:bg-sunken disabled:bg-brand-soft"
      >
        <span className="flex min-w-0 flex-wrap items-center gap-x-3 font-semibold wrap-anywhere">
          {plan.name}
          {isCurrent && <Badge tone="brand">Your plan</Badge>}
        </span>
        <span className="text-sm text-muted tabular-nums">{price}</span>
      </button>
    </li>
  );
}
