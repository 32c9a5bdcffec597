import { useOverage } from "../hooks/use-overage.ts";
import { useUsage } from "../hooks/use-usage.ts";
import { METRICS, titleOfMetric } from "../lib/plans.ts";
import { UsageMeter } from "./usage-meter.tsx";

/** A meter for each metric there is; in the sidebar only the first of a day says when they begin again. */
export function UsageMeters({ compact }: { compact?: boolean }) {
  const { metrics, isLoading } = useUsage();
  const { overage } = useOverage();
  if (!metrics) {
    return METRICS.map((metric) => (
      <UsageMeter
        key={metric}
        compact={compact}
        label={titleOfMetric(metric)}
        usage={null}
        isLoading={isLoading}
      />
    ));
  }
  const first = metrics.find((usage) => usage.resetsAt !== null);
  return metrics.map((usage) => (
    <UsageMeter
      key={usage.metric}
      compact={compact}
      hideReset={compact && usage !== first}
      label={`${titleOfMetric(usage.metric)}${usage.resetsAt === null ? "" : " today"}`}
      usage={usage}
      overage={overage}
      isLoading={isLoading}
    />
  ));
}
