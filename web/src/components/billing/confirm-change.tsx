import { type ReactNode, useId } from "react";
import type { ChangeResult } from "../../api/index.ts";
import { type PlanChange, usePlanChange } from "../../hooks/use-billing.ts";
import { useTariff } from "../../hooks/use-tariff.ts";
import { formatDate } from "../../lib/dates.ts";
import { formatExact, formatMoney } from "../../lib/money.ts";
import { type Preview, restOf } from "../../lib/plan-change.ts";
import { type Catalogue, findPrice, limitTexts, type Plan, type Price } from "../../lib/plans.ts";
import { ErrorNotice, Notice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { DialogFooter, DialogStep } from "../ui/dialog.tsx";
import { Skeleton } from "../ui/skeleton.tsx";
import { Done } from "./done.tsx";
import { FinishPayment } from "./finish-payment.tsx";

interface ConfirmChangeProps {
  lookupKey: string;
  /** To the choice of plans, where that is where they came from. */
  onBack?: () => void;
  onClose: () => void;
  /** Where the subscription is ending, so that it has to be resumed first. */
  ending: ReactNode;
}

/** Preview, confirmation and outcome of a change to one price. */
export function ConfirmChange({ lookupKey, onBack, onClose, ending }: ConfirmChangeProps) {
  const change = usePlanChange(lookupKey);
  const { catalogue } = useTariff();
  const target = offerOf(catalogue, lookupKey);
  const { preview, result } = change;
  if (result && preview) {
    return <Outcome result={result} preview={preview} target={target} onClose={onClose} />;
  }
  if (change.isEnding) return ending;
  const from = offerOf(catalogue, preview?.fromLookupKey ?? null);
  return (
    <DialogStep
      title={titleOf(from, target)}
      description={preview ? whenText(preview, target, from) : "What it costs comes first."}
    >
      {preview
        ? <PreviewBody change={change} preview={preview} target={target} />
        : change.previewError
        ? (
          <ErrorNotice
            error={change.previewError}
            onRetry={change.calculate}
            pending={change.isCalculating}
          />
        )
        : <Calculating />}
      <DialogFooter>
        <Button variant="outline" disabled={change.isChanging} onClick={onBack ?? onClose}>
          {onBack ? "Back" : "Not now"}
        </Button>
        {preview && (
          <Button
            pending={change.isCalculating || change.isChanging}
            onClick={change.confirm}
          >
            {preview.kind === "now" && preview.dueNowMinor > 0
              ? `Confirm and pay ${formatExact(preview.dueNowMinor, preview.currency)}`
              : "Confirm change"}
          </Button>
        )}
      </DialogFooter>
    </DialogStep>
  );
}

const LIST = new Intl.ListFormat("en-US");

interface Offer {
  plan: Plan;
  price: Price;
}

function offerOf(catalogue: Catalogue | null, lookupKey: string | null): Offer | null {
  const price = catalogue && findPrice(catalogue, lookupKey);
  const plan = price && catalogue?.plans.find((candidate) => candidate.id === price.planId);
  return plan && price ? { plan, price } : null;
}

function titleOf(from: Offer | null, target: Offer | null): string {
  if (!target) return "Change plan";
  if (from?.plan.id !== target.plan.id) return `Change to ${target.plan.name}`;
  return target.price.interval === "year" ? "Switch to annual" : "Switch to monthly";
}

function Calculating() {
  return (
    <div role="status" aria-label="Calculating what it costs" className="grid gap-3">
      <Skeleton className="h-5 w-3/4" />
      <Skeleton className="h-5 w-2/3" />
      <Skeleton className="h-9 w-full" />
    </div>
  );
}

interface PreviewBodyProps {
  change: PlanChange;
  preview: Preview;
  target: Offer | null;
}

function PreviewBody({ change, preview, target }: PreviewBodyProps) {
  return (
    <div className="grid gap-5">
      <Receipt preview={preview} />
      <p className="text-sm text-muted tabular-nums">{nextText(preview, target)}</p>
      {change.isRenewed && !change.changeError && (
        <Notice tone="warn" title="The amounts were calculated again">
          The calculation before had grown too old, and nothing was charged. Read it once more, then
          confirm.
        </Notice>
      )}
      {change.previewError && (
        <ErrorNotice
          error={change.previewError}
          onRetry={change.calculate}
          pending={change.isCalculating}
        />
      )}
      {change.changeError && <ErrorNotice error={change.changeError} />}
    </div>
  );
}

/** When it happens, what it opens, and what stays. */
function whenText({ kind, effectiveAt }: Preview, target: Offer | null, from: Offer | null) {
  const plan = target?.plan.name ?? "The new plan";
  const rhythm = target?.price.interval ?? "month";
  const isSamePlan = from !== null && from.plan.id === target?.plan.id;
  if (kind === "now") {
    return isSamePlan
      ? `${plan} goes on, billed by the ${rhythm} from now on.`
      : `${plan} begins as soon as you confirm${limitsOf(target)}.`;
  }
  const day = effectiveAt === null ? "the end of the paid period" : formatDate(effectiveAt);
  return isSamePlan
    ? `${plan} goes on, billed by the ${rhythm} from ${day} on.`
    : `You keep ${from?.plan.name ?? "your present plan"} until ${day}. Then ${plan} begins${
      limitsOf(target)
    }. Your conversations and agents stay.`;
}

function limitsOf(target: Offer | null): string {
  const limits = limitTexts(target?.plan.limits ?? {}).map((limit) => limit.toLowerCase());
  return limits.length === 0 ? "" : `, with ${LIST.format(limits)}`;
}

/** The lines of the invoice that this would make, and what is to pay of it today. */
function Receipt({ preview }: { preview: Preview }) {
  const { lines, currency, dueNowMinor } = preview;
  const rest = restOf(preview);
  const labelId = useId();
  return (
    <section
      aria-labelledby={labelId}
      className="overflow-hidden rounded-xl border border-line tabular-nums"
    >
      <h3 id={labelId} className="sr-only">What is charged today</h3>
      {lines.length > 0 && (
        <dl className="grid gap-2.5 p-4 text-sm">
          {lines.map((line, index) => (
            <div key={index} className="flex justify-between gap-6">
              <dt className="min-w-0 text-muted">{line.description}</dt>
              <dd className="shrink-0">{formatExact(line.amountMinor, currency)}</dd>
            </div>
          ))}
          {rest && (
            <div className="flex justify-between gap-6">
              <dt className="text-muted">{rest.label}</dt>
              <dd className="shrink-0">{formatExact(rest.amountMinor, currency)}</dd>
            </div>
          )}
        </dl>
      )}
      <div aria-hidden className="barrier h-1.5" />
      <dl className="grid gap-1 bg-sunken p-4">
        <div className="flex items-baseline justify-between gap-6">
          <dt className="font-semibold">To pay today</dt>
          <dd className="text-2xl font-semibold tracking-[-0.03em]">
            {formatExact(dueNowMinor, currency)}
          </dd>
        </div>
      </dl>
    </section>
  );
}

function nextText({ nextAmountMinor, nextPaymentAt, currency }: Preview, target: Offer | null) {
  if (nextAmountMinor === null) return "There is no further payment.";
  const rhythm = target ? `, then every ${target.price.interval}` : "";
  const day = nextPaymentAt === null ? "at the next renewal" : `on ${formatDate(nextPaymentAt)}`;
  return `Next payment: ${formatExact(nextAmountMinor, currency)} ${day}${rhythm}.`;
}

interface OutcomeProps {
  result: ChangeResult;
  preview: Preview;
  target: Offer | null;
  onClose: () => void;
}

function Outcome({ result, preview, target, onClose }: OutcomeProps) {
  const plan = target?.plan.name ?? result.entitlements.plan.name;
  if (result.outcome === "payment_required") {
    return (
      <FinishPayment
        planName={plan}
        lookupKey={preview.toLookupKey}
        amount={formatExact(preview.dueNowMinor, preview.currency)}
        paymentUrl={result.paymentUrl}
        onClose={onClose}
      />
    );
  }
  const planned = preview.kind === "at_period_end";
  const day = preview.effectiveAt === null ? "" : ` on ${formatDate(preview.effectiveAt)}`;
  const description = planned
    ? `${plan}, ${priceText(target)}, begins${day}. You can take this back until then.`
    : preview.dueNowMinor > 0
    ? `${
      formatExact(preview.dueNowMinor, preview.currency)
    } was charged. Your new allowance is open now.`
    : "Nothing was charged. Your new allowance is open now.";
  return (
    <Done
      title={planned ? "Your change is planned" : `You are on ${plan}`}
      description={description}
      onClose={onClose}
    />
  );
}

function priceText(target: Offer | null): string {
  if (!target) return "at its new price";
  const { amountMinor, currency, interval } = target.price;
  return `${formatMoney(amountMinor, currency)} a ${interval}`;
}
