import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getOverage, setOverage } from "../api/index.ts";
import { type CapDetails, toApiError } from "../lib/errors.ts";
import type { Overage } from "../lib/overage.ts";
import { keys } from "../lib/query.ts";
import { isBusy } from "./use-billing.ts";
import { useSession } from "./use-session.tsx";

export interface OverageState {
  /** null while loading and after a failure. */
  overage: Overage | null;
  isLoading: boolean;
  error: Error | null;
  isFetching: boolean;
  refetch: () => void;
}

/** What paying beyond the allowance costs and has cost in this period, from `my_overage()`. */
export function useOverage(): OverageState {
  const session = useSession();
  const query = useQuery({
    queryKey: keys.overage,
    queryFn: getOverage,
    enabled: session.status === "signed-in",
  });
  return {
    overage: query.data ?? null,
    isLoading: session.status === "loading" || query.isLoading,
    error: query.data ? null : query.error,
    isFetching: query.isFetching,
    refetch: () => void query.refetch(),
  };
}

/** Switches it on with a cap in minor units, changes the cap, or switches it off with null. */
export function useSetOverage(onDone: () => void) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationKey: keys.billing,
    mutationFn: setOverage,
    onSuccess: (overage) => {
      queries.setQueryData(keys.overage, overage);
      void queries.invalidateQueries({ queryKey: keys.usage });
      onDone();
    },
    onError: (error) => {
      // What is shown was not so any more.
      if (toApiError(error).code === "overage_not_available") {
        void queries.invalidateQueries({ queryKey: keys.overage });
      }
    },
  });
  return {
    ...change,
    confirm: (capMinor: number | null) => !isBusy(queries) && change.mutate(capMinor),
  };
}

/** A refusal at the cap says what was true: believe it, then ask again. */
export function believeCap(queries: QueryClient, details: CapDetails | null): void {
  if (details) {
    queries.setQueryData<Overage>(keys.overage, (overage) => overage && { ...overage, ...details });
  }
  void queries.invalidateQueries({ queryKey: keys.overage });
  void queries.invalidateQueries({ queryKey: keys.usage });
}
