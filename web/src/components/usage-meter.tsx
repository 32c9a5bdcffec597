import type { MetricUsage } from "../hooks/use-usage.ts";
import { useNow } from "../hooks/use-now.ts";
import { cn } from "../lib/cn.ts";
import { formatDuration, formatResetTime } from "../lib/dates.ts";
import { formatCount } from "../lib/money.ts";
import { Skeleton } from "./ui/skeleton.tsx";

interface UsageMeterProps {
  label: string;
  usage: MetricUsage | null;
  isLoading: boolean;
  /** One line less, for the sidebar. */
  compact?: boolean;
}

/** How much is used, how much there is, and when it begins again. */
export function UsageMeter({ label, usage, isLoading, compact }: UsageMeterProps) {
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
  const text = limit === null
    ? `${formatCount(used)} used, no limit`
    : `${formatCount(used)} of ${formatCount(limit)} used`;
  return (
    <div className="grid gap-2">
      <div className="flex items-baseline justify-between gap-3 text-sm">
        <span className="font-medium">{label}</span>
        <span className="text-muted tabular-nums">
          <strong className="font-semibold text-ink">{formatCount(used)}</strong>
          {limit === null ? " · no limit" : ` / ${formatCount(limit)}`}
        </span>
      </div>
      <MeterBar label={label} text={text} usage={usage} />
      {usage.resetsAt !== null && <ResetLine resetsAt={usage.resetsAt} compact={compact} />}
    </div>
  );
}

function MeterBar({ label, text, usage }: { label: string; text: string; usage: MetricUsage }) {
  const { used, limit, isExhausted, isLow } = usage;
  const max = limit === null ? Math.max(used, 1) : Math.max(limit, 1);
  const share = limit === null ? 0 : Math.min(1, used / max);
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={Math.min(used, max)}
      aria-valuetext={text}
      className="h-2 overflow-hidden rounded-full bg-ink/10"
    >
      <div
        className={cn(
          "h-full rounded-full transition-[width] duration-500 ease-out",
          isExhausted ? "barrier-stop" : isLow ? "bg-toll" : "bg-brand",
        )}
        style={{ width: `${share * 100}%` }}
      />
    </div>
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
