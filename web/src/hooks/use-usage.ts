import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { getUsage, type Usage } from "../api/index.ts";
import { type ApiError, fromRest, type LimitDetails } from "../lib/errors.ts";
import { type MetricId, METRICS } from "../lib/plans.ts";
import { keys } from "../lib/query.ts";
import { useSession } from "./use-session.tsx";

export interface MetricUsage extends Usage {
  /** null when unlimited. */
  remaining: number | null;
  /** Nothing is left: the next one would be refused. */
  isExhausted: boolean;
  /** At least 80 % used. */
  isLow: boolean;
  /** Units beyond the limit. */
  beyond: number;
}

export interface UsageState {
  messages: MetricUsage | null;
  agents: MetricUsage | null;
  /** All of them, in the order in which they are told; null while not known. */
  metrics: MetricUsage[] | null;
  isLoading: boolean;
  error: Error | null;
  refetch: () => void;
}

const MAX_WAIT_MS = 10 * 60_000;
const RECHECK_MS = 5_000;

/**
 * How much of today's messages and tool calls and of the agents is used, from `my_usage()`.
 *
 * It asks again by itself when the allowance resets (midnight UTC), so that an exhausted state ends
 * without a reload. The database decides in any case; these numbers are for showing.
 *
 * @example
 * const { messages } = useUsage();
 * if (messages?.isExhausted) …
 */
export function useUsage(): UsageState {
  const session = useSession();
  const query = useQuery({
    queryKey: keys.usage,
    queryFn: getUsage,
    enabled: session.status === "signed-in",
    refetchInterval: ({ state }) => waitUntilReset(state.data, Date.now()),
  });
  return {
    messages: metricOf(query.data, "message"),
    agents: metricOf(query.data, "agent"),
    metrics: query.data ? inOrder(query.data) : null,
    isLoading: session.status === "loading" || query.isLoading,
    error: query.data ? null : query.error,
    refetch: () => void query.refetch(),
  };
}

/** Just after the reset; soon again while the server's clock is behind ours; false when none resets. */
function waitUntilReset(rows: Usage[] | undefined, now: number): number | false {
  const times = (rows ?? []).flatMap((row) => row.resetsAt === null ? [] : [row.resetsAt]);
  if (times.length === 0) return false;
  const wait = Math.min(...times) - now + 500;
  return wait <= 0 ? RECHECK_MS : Math.min(wait, MAX_WAIT_MS);
}

function metricOf(rows: Usage[] | undefined, metric: MetricId): MetricUsage | null {
  const row = rows?.find((candidate) => candidate.metric === metric);
  return row ? toMetricUsage(row) : null;
}

function inOrder(rows: Usage[]): MetricUsage[] {
  const rank = ({ metric }: Usage) => {
    const index = METRICS.findIndex((known) => known === metric);
    return index < 0 ? METRICS.length : index;
  };
  return rows.toSorted((a, b) => rank(a) - rank(b)).map(toMetricUsage);
}

function toMetricUsage(row: Usage): MetricUsage {
  const remaining = row.limit === null ? null : Math.max(0, row.limit - row.used);
  return {
    ...row,
    remaining,
    isExhausted: remaining === 0,
    isLow: row.limit !== null && row.used >= row.limit * 0.8,
    beyond: row.limit === null ? 0 : Math.max(0, row.used - row.limit),
  };
}

/** Shows a use at once; the next answer of the server replaces it. */
export function countUse(queries: QueryClient, metric: MetricId, change: 1 | -1): void {
  queries.setQueryData<Usage[]>(
    keys.usage,
    (rows) =>
      rows?.map((row) =>
        row.metric === metric ? { ...row, used: Math.max(0, row.used + change) } : row
      ),
  );
}

/** A refusal says more exactly than our numbers what is used: believe it, then ask again. */
export function believeRefusal(queries: QueryClient, details: LimitDetails | null): void {
  if (details) {
    queries.setQueryData<Usage[]>(
      keys.usage,
      (rows) =>
        rows?.map((row) =>
          row.metric === details.metric
            ? { ...row, used: details.used, limit: details.limit, resetsAt: details.resetsAt }
            : row
        ),
    );
  }
  void queries.invalidateQueries({ queryKey: keys.usage });
}

/**
 * For whoever writes into a table behind the gate: what its refusal means, believed by every usage bar at once.
 *
 * @example
 * const { error, status } = await supabase.from("chat_messages").insert(message);
 * if (error && refusalOf(error, status).code === "message_quota_exceeded") …
 */
export function useRefusal(): (error: unknown, status: number) => ApiError {
  const queries = useQueryClient();
  return useCallback((error, status) => {
    const refusal = fromRest(error, status);
    if (refusal.limit) believeRefusal(queries, refusal.limit);
    return refusal;
  }, [queries]);
}
