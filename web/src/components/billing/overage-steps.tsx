import { type FormEvent, useId, useState } from "react";
import { useOverage, useSetOverage } from "../../hooks/use-overage.ts";
import { useSubscription } from "../../hooks/use-subscription.ts";
import { formatDate } from "../../lib/dates.ts";
import {
  currencySymbol,
  formatCount,
  formatMoney,
  formatUnit,
  minorUnitsPerMajor,
  moneyInput,
  parseMoney,
} from "../../lib/money.ts";
import { type Overage, suggestedCap, unitsWithin } from "../../lib/overage.ts";
import { nounOf } from "../../lib/plans.ts";
import { ErrorNotice } from "../notice.tsx";
import { OveragePrices } from "../overage-prices.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";
import { MoneyField } from "../ui/field.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import type { AskProps } from "./billing-dialog.tsx";

/** Switches pay as you go on, or changes its cap: prices, cap and consent first. */
export function OverageSteps({ onAsk }: AskProps) {
  const { overage, error, refetch, isFetching } = useOverage();
  const { price, entitlements, isLoading } = useSubscription();
  if (!overage || isLoading) {
    return (
      <DialogStep title="Pay as you go" description="What it costs comes first.">
        {error
          ? <ErrorNotice error={error} onRetry={refetch} pending={isFetching} />
          : <Skeleton className="h-40 w-full" />}
      </DialogStep>
    );
  }
  const major = minorUnitsPerMajor(overage.currency);
  const suggested = suggestedCap(
    price,
    entitlements?.subscription?.quantity ?? 1,
    major,
    overage.maximumCapMinor,
  );
  return <CapForm overage={overage} suggested={suggested} onAsk={onAsk} />;
}

interface CapFormProps extends AskProps {
  overage: Overage;
  suggested: number;
}

function CapForm({ overage, suggested, onAsk }: CapFormProps) {
  const { currency, enabled } = overage;
  const close = () => onAsk(null);
  const change = useSetOverage(close);
  const formId = useId();
  const [text, setText] = useState(() => moneyInput(overage.capMinor ?? suggested, currency));
  const [isChecked, setChecked] = useState(false);
  const cap = parseMoney(text, currency);
  const problem = problemOf(cap, overage);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (cap !== null && problem === null) change.confirm(cap);
  };
  const amount = cap !== null && problem === null ? formatMoney(cap, currency) : null;
  return (
    <DialogStep
      title={enabled ? "Change your spending cap" : "Switch on pay as you go"}
      description={enabled
        ? "The most you pay beyond your plan in a month."
        : "When the day’s allowance is used up you go on, and pay for each one beyond it."}
    >
      <form
        id={formId}
        onSubmit={submit}
        noValidate
        className="grid grid-cols-[minmax(0,1fr)] gap-5"
      >
        {!enabled && <OveragePrices overage={overage} />}
        <MoneyField
          label={`Spending cap a month, in ${currency.toUpperCase()}`}
          symbol={currencySymbol(currency)}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onBlur={() => setChecked(true)}
          error={isChecked ? problem : null}
          hint={hintOf(overage, problem === null ? cap : null)}
        />
        <p className="text-sm text-muted">
          {enabled
            ? `You agree to pay up to ${amount ?? "the cap"} a month beyond your plan.`
            : `You agree to pay for what you use beyond your plan at these prices, up to ${
              amount ?? "the cap"
            } a month${
              periodText(overage)
            }, before tax. It is on your next invoice. You can change the cap or switch it off at any time.`}
        </p>
        {change.error && <ErrorNotice error={change.error} />}
      </form>
      <DialogFooter>
        <Button variant="outline" disabled={change.isPending} onClick={close}>Not now</Button>
        <Button type="submit" form={formId} pending={change.isPending}>
          {enabled
            ? amount ? `Set the cap to ${amount}` : "Set the cap"
            : amount
            ? `Switch on, up to ${amount} a month`
            : "Switch on"}
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}

function periodText({ periodEnd }: Overage): string {
  return periodEnd === null ? "" : ` (this one ends on ${formatDate(periodEnd)})`;
}

function problemOf(cap: number | null, { currency, maximumCapMinor }: Overage): string | null {
  const major = minorUnitsPerMajor(currency);
  if (cap === null) {
    return `Enter an amount, such as ${moneyInput(20 * major, currency)}${
      major > 1 ? ` or ${moneyInput(12.5 * major, currency)}` : ""
    }.`;
  }
  if (cap < 1) return "The cap must be above zero.";
  return cap > maximumCapMinor
    ? `The cap can be ${formatMoney(maximumCapMinor, currency)} at most.`
    : null;
}

/** What the cap is worth, or that it stops at once. */
function hintOf({ metrics, spentMinor, currency }: Overage, cap: number | null): string {
  if (cap === null) return "Nothing is ever charged beyond it.";
  if (spentMinor > 0 && cap <= spentMinor) {
    return `You have spent ${
      formatMoney(spentMinor, currency)
    } in this period already, so nothing more would be admitted.`;
  }
  const worth = metrics.flatMap(({ metric, unitMinor }) => {
    if (!unitMinor) return [];
    const units = unitsWithin(cap, unitMinor);
    return units > 0 ? [`${formatCount(units)} ${nounOf(metric, units)}`] : [];
  });
  const smallest = Math.min(...metrics.map((row) => row.unitMinor ?? Infinity));
  if (worth.length === 0) {
    return Number.isFinite(smallest)
      ? `Too little for a single one: they cost ${formatUnit(smallest, currency)} and more.`
      : "Nothing is ever charged beyond it.";
  }
  return `Enough for ${worth.join(", or ")}. Nothing is ever charged beyond it.`;
}

/** Says what stays to be paid, then switches it off. */
export function OverageOffSteps({ onAsk }: AskProps) {
  const { overage } = useOverage();
  const close = () => onAsk(null);
  const change = useSetOverage(close);
  const spent = overage?.spentMinor ?? 0;
  return (
    <DialogStep
      title="Switch off pay as you go?"
      description="At the end of the day’s allowance you wait for the reset again, and nothing more is charged."
    >
      {overage && spent > 0 && (
        <p className="text-sm text-muted">
          The {formatMoney(spent, overage.currency)} of this period are still on your next invoice.
        </p>
      )}
      {change.error && <ErrorNotice error={change.error} />}
      <DialogFooter>
        <Button variant="outline" disabled={change.isPending} onClick={close}>Keep it on</Button>
        <Button
          variant="danger"
          pending={change.isPending}
          onClick={() => change.confirm(null)}
        >
          Switch off
        </Button>
      </DialogFooter>
    </DialogStep>
  );
}
