import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import {
  changeLicence,
  cloneListing,
  discardCopies,
  getLibrary,
  type LicenceAction,
  syncBilling,
} from "../api/index.ts";
import { CONFIRMATION_WAITS_MS } from "../lib/arrival.ts";
import { isTransient, toApiError } from "../lib/errors.ts";
import { arrivedOf, type LibraryItem, licenceState } from "../lib/library.ts";
import { keys } from "../lib/query.ts";
import { believeEntitlements } from "./use-billing.ts";
import { useSession } from "./use-session.tsx";
import { believeRefusal, countUse } from "./use-usage.ts";

const BOUGHT_KEY = "tollgate.bought";

export function useLibrary() {
  const session = useSession();
  return useQuery({
    queryKey: keys.library,
    queryFn: getLibrary,
    enabled: session.status === "signed-in",
  });
}

/** What one has of a listing; the licence that gives access before one that gave it. */
export function useLibraryItem(listingId: string | null) {
  const { data, isLoading } = useLibrary();
  const now = Date.now();
  const mine = data?.filter((row) => row.listingId === listingId) ?? [];
  const item = mine.find((row) => licenceState(row, now).access === "open") ??
    mine.find((row) => licenceState(row, now).access === "waiting") ?? mine[0] ?? null;
  return { item, isLoading, isKnown: data !== undefined };
}

export function useClone() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: cloneListing,
    onSuccess: () => {
      countUse(queries, "agent", 1);
      void queries.invalidateQueries({ queryKey: keys.usage });
      void queries.invalidateQueries({ queryKey: keys.agents });
      void queries.invalidateQueries({ queryKey: keys.library });
    },
    onError: (error) => {
      const { code, limit } = toApiError(error);
      if (code === "agent_limit_reached") believeRefusal(queries, limit);
      if (code === "licence_required") void queries.invalidateQueries({ queryKey: keys.library });
    },
  });
}

export function useDiscardCopies() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: discardCopies,
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: keys.usage });
      void queries.invalidateQueries({ queryKey: keys.agents });
      return queries.invalidateQueries({ queryKey: keys.library });
    },
  });
}

export function useLicence(licenceId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (action: LicenceAction) => changeLicence(licenceId, action),
    onSettled: () => queries.invalidateQueries({ queryKey: keys.library }),
  });
}

/** Before leaving for Checkout: which one is bought. */
export function rememberBought(listingId: string): void {
  try {
    sessionStorage.setItem(BOUGHT_KEY, listingId);
  } catch {
    // The library then names the newest.
  }
}

function remembered(): string | null {
  try {
    return sessionStorage.getItem(BOUGHT_KEY);
  } catch {
    return null;
  }
}

export type Arrival =
  | { state: "confirming" }
  | { state: "there"; item: LibraryItem }
  /** Known, and not paid yet: some payment methods take days. */
  | { state: "processing" }
  | { state: "late" }
  | { state: "failed"; error: Error };

async function arrive(queries: QueryClient, isStale: () => boolean): Promise<Arrival> {
  const listingId = remembered();
  let failure: Error | null = null;
  for (const ms of CONFIRMATION_WAITS_MS) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (isStale()) return { state: "confirming" };
    try {
      believeEntitlements(queries, await syncBilling());
      const items = await queries.fetchQuery({
        queryKey: keys.library,
        queryFn: getLibrary,
        staleTime: 0,
      });
      failure = null;
      const item = arrivedOf(items, listingId, Date.now());
      if (item) return { state: "there", item };
      const isWaiting = items.some((row) =>
        row.status === "processing" && (listingId === null || row.listingId === listingId)
      );
      if (isWaiting) return { state: "processing" };
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      if (!isTransient(failure)) break;
    }
  }
  return failure ? { state: "failed", error: failure } : { state: "late" };
}

/** After Checkout: waits, within reason, until what was paid is there, whether or not Stripe's webhook has arrived. */
export function useArrival(): [Arrival, () => void] {
  const queries = useQueryClient();
  const [arrival, setArrival] = useState<Arrival>({ state: "confirming" });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let stale = false;
    setArrival({ state: "confirming" });
    arrive(queries, () => stale).then((result) => {
      if (stale) return;
      setArrival(result);
      void queries.invalidateQueries({ queryKey: keys.listings });
    });
    return () => {
      stale = true;
    };
  }, [queries, round]);
  return [arrival, useCallback(() => setRound((value) => value + 1), [])];
}
