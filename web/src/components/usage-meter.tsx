import type { MetricUsage } from "../hooks/use-usage.ts";
import { useNow } from "../hooks/use-now.ts";
import { cn } from "../lib/cn.ts";
import { formatDuration, formatResetTime } from "../lib/dates.ts";
import { formatCount, formatExact, formatMoney } from "../lib/money.ts";
import { metricOf, type Overage } from "../lib/overage.ts";
import { Skeleton } from "./ui/skeleton.tsx";

interface UsageMeterProps {
  label: string;
  usage: MetricUsage | null;
  isLoading: boolean;
  /** Smaller, for the sidebar. */
  compact?: boolean;
  /** Without when it begins again, where a neighbour says it. */
  hideReset?: boolean;
  /** What is beyond the allowance, for who pays for it. */
  overage?: Overage | null;
}

/** How much is used, how much there is, and when it begins again. */
export function UsageMeter(
  { label, usage, isLoading, compact, hideReset, overage = null }: UsageMeterProps,
) {
  if (!usage) {
    return (
      <div className="grid gap-2" aria-busy={isLoading}>
        <div className="flex justify-between text-sm">
          <span className="font-medium">{label}</span>
          {isLoading
            ? <Skeleton className="h-5 w-14" />
            : <span className="text-muted">not known</span>}
        </div>
        <div className="h-2 rounded-full bg-ink/8" />
        {!compact && <div className="h-5" />}
      </div>
    );
  }
  const { used, limit } = usage;
  const beyond = Math.min(
    usage.beyond,
    overage ? metricOf(overage, usage.metric)?.quantity ?? 0 : 0,
  );
  const text = limit === null
    ? `${formatCount(used)} used, no limit`
    : `${formatCount(used)} of ${formatCount(limit)} used${
      beyond > 0 ? `, ${formatCount(beyond)} beyond the allowance` : ""
    }`;
  return (
    <div className="grid gap-2">
      <div className="flex items-baseline justify-between gap-3 text-sm">
        <span className="font-medium">{label}</span>
        <span className="text-muted tabular-nums">
          <strong className="font-semibold text-ink">{formatCount(used)}</strong>
          {limit === null ? " · no limit" : ` / ${formatCount(limit)}`}
        </span>
      </div>
      <MeterBar label={label} text={text} usage={usage} isPaid={beyond > 0} />
      {overage && beyond > 0 && <BeyondLine overage={overage} beyond={beyond} compact={compact} />}
      {usage.resetsAt !== null && !hideReset && (
        <ResetLine resetsAt={usage.resetsAt} compact={compact} />
      )}
    </div>
  );
}

interface MeterBarProps {
  label: string;
  text: string;
  usage: MetricUsage;
  /** What is beyond the limit is paid for. */
  isPaid: boolean;
}

function MeterBar({ label, text, usage, isPaid }: MeterBarProps) {
  const { used, limit, isExhausted, isLow } = usage;
  const max = limit === null ? Math.max(used, 1) : Math.max(limit, isPaid ? used : 1, 1);
  const share = limit === null ? 0 : Math.min(1, Math.min(used, limit) / max);
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={Math.min(used, max)}
      aria-valuetext={text}
      className="flex h-2 gap-0.5 overflow-hidden rounded-full bg-ink/10"
    >
      <div
        className={cn(
          "h-full rounded-full transition-[width] duration-500 ease-out",
          isPaid ? "bg-brand" : isExhausted ? "barrier-stop" : isLow ? "bg-toll" : "bg-brand",
        )}
        style={{ width: `${share * 100}%` }}
      />
      {isPaid && <div className="barrier-fine h-full flex-1 rounded-full" />}
    </div>
  );
}

/** How many are paid for, and the running amount of all that is. */
function BeyondLine(
  { overage, beyond, compact }: { overage: Overage; beyond: number; compact?: boolean },
) {
  const { spentMinor, capMinor, enabled, currency } = overage;
  const cap = enabled && capMinor !== null ? ` of ${formatMoney(capMinor, currency)}` : "";
  return (
    <p className={cn("font-medium text-toll-text tabular-nums", compact ? "text-xs" : "text-sm")}>
      {`${formatCount(beyond)} beyond${compact ? "" : " the allowance"} · ${
        formatExact(spentMinor, currency)
      }${cap}`}
    </p>
  );
}

function ResetLine({ resetsAt, compact }: { resetsAt: number; compact?: boolean }) {
  const now = useNow(resetsAt - Date.now() < 3_600_000 ? 1000 : 20_000);
  const absolute = formatResetTime(resetsAt, now);
  return (
    <p className={cn("text-muted tabular-nums", compact ? "text-xs" : "text-sm")}>
      Resets in {formatDuration(resetsAt - now)}
      {" · "}
      <time dateTime={new Date(resetsAt).toISOString()}>{absolute}</time>
    </p>
  );
}
