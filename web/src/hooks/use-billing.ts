import {
  type QueryClient,
  useIsMutating,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useRef } from "react";
import {
  changePlan,
  type ChangeResult,
  type EndingAction,
  endSubscription,
  previewChange,
  syncBilling,
} from "../api/index.ts";
import { toApiError } from "../lib/errors.ts";
import { type Preview, PREVIEW_LIFE_MS } from "../lib/plan-change.ts";
import { keys } from "../lib/query.ts";
import type { Entitlements } from "../lib/subscription.ts";

/** What the server says after a change of ours: shown everywhere at once. */
export function believeEntitlements(queries: QueryClient, entitlements: Entitlements): void {
  queries.setQueryData(keys.entitlements, entitlements);
  void queries.invalidateQueries({ queryKey: keys.usage });
  void queries.invalidateQueries({ queryKey: keys.invoices });
  void queries.invalidateQueries({ queryKey: keys.overage });
}

/**
 * A second press before the first was drawn changes nothing twice. Asked of the cache, which knows at once, and not of
 * the page, which knows a moment later.
 */
export function isBusy(queries: QueryClient): boolean {
  return queries.isMutating({ mutationKey: keys.billing }) > 0;
}

/** A change is under way: what it will answer must not be closed before it is read. */
export function useIsBillingBusy(): boolean {
  return useIsMutating({ mutationKey: keys.billing }) > 0;
}

export interface PlanChange {
  preview: Preview | null;
  /** The amounts are not those that were shown first: they have to be read again. */
  isRenewed: boolean;
  isCalculating: boolean;
  /** The subscription is set to end, and must be resumed before it is changed. */
  isEnding: boolean;
  previewError: Error | null;
  calculate: () => void;
  confirm: () => void;
  isChanging: boolean;
  changeError: Error | null;
  result: ChangeResult | null;
}

/**
 * A change to one price: preview first, then exactly that. A preview that grows too old is made again
 * before it can be confirmed, and so is one that the server refuses as expired.
 */
export function usePlanChange(lookupKey: string): PlanChange {
  const queries = useQueryClient();
  const firstShown = useRef<number | null>(null);
  const change = useMutation({
    mutationKey: keys.billing,
    mutationFn: changePlan,
    onSuccess: ({ entitlements }) => believeEntitlements(queries, entitlements),
    onError: (error) => {
      if (isExpired(error)) void preview.refetch();
    },
  });
  const preview = useQuery({
    queryKey: keys.preview(lookupKey),
    queryFn: () => previewChange(lookupKey),
    gcTime: 0,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    refetchInterval: change.isIdle || change.isError ? PREVIEW_LIFE_MS : false,
  });
  const shown = preview.data ?? null;
  if (shown && firstShown.current === null) firstShown.current = shown.prorationDate;
  return {
    preview: shown,
    isRenewed: shown !== null && shown.prorationDate !== firstShown.current,
    isCalculating: preview.isFetching,
    isEnding: [preview.error, change.error].some((error) => has(error, "subscription_ending")),
    previewError: preview.error,
    calculate: () => void preview.refetch(),
    confirm: () => shown && !isBusy(queries) && change.mutate(shown),
    isChanging: change.isPending,
    changeError: isExpired(change.error) ? null : change.error,
    result: change.data ?? null,
  };
}

const isExpired = (error: unknown) => has(error, "preview_expired");

function has(error: unknown, code: string): boolean {
  return error !== null && toApiError(error).code === code;
}

/** Cancel, cancel now, resume. */
export function useEnding(action: EndingAction) {
  const queries = useQueryClient();
  const ending = useMutation({
    mutationKey: keys.billing,
    mutationFn: () => endSubscription(action),
    onSuccess: (entitlements) => believeEntitlements(queries, entitlements),
  });
  return { ...ending, confirm: () => !isBusy(queries) && ending.mutate() };
}

/** Asks Stripe, through the server, whether what was to be paid has been paid. */
export function useCheckAgain() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: syncBilling,
    onSuccess: (entitlements) => believeEntitlements(queries, entitlements),
  });
}
