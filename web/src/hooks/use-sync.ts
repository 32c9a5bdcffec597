import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { syncBilling } from "../api/index.ts";
import { arrivalOf, CONFIRMATION_WAITS_MS } from "../lib/arrival.ts";
import { isTransient } from "../lib/errors.ts";
import type { Entitlements } from "../lib/subscription.ts";
import { believeEntitlements } from "./use-billing.ts";

export type Confirmation =
  | { state: "idle" }
  | { state: "confirming" }
  /** The subscription is there, paid or on trial. */
  | { state: "confirmed"; entitlements: Entitlements }
  /** Every try answered, and none knew a completed payment; with the last answer. */
  | { state: "late"; entitlements: Entitlements }
  | { state: "failed"; error: Error };

const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

async function syncInto(queries: QueryClient): Promise<Entitlements> {
  const entitlements = await syncBilling();
  believeEntitlements(queries, entitlements);
  return entitlements;
}

/** Asks again with growing waits until the paid plan is there; bounded, and honest at the end. */
async function confirm(queries: QueryClient, signal: AbortSignal): Promise<Confirmation> {
  let failure: Error | null = null;
  let last: Entitlements | null = null;
  for (const ms of CONFIRMATION_WAITS_MS) {
    await wait(ms, signal);
    if (signal.aborted) return { state: "idle" };
    try {
      last = await syncInto(queries);
      failure = null;
      const arrival = arrivalOf(last);
      if (arrival === "active" || arrival === "trial") {
        return { state: "confirmed", entitlements: last };
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      if (!isTransient(failure)) break;
    }
  }
  if (failure) return { state: "failed", error: failure };
  return last ? { state: "late", entitlements: last } : { state: "idle" };
}

/**
 * After Checkout: makes sure that the plan which was paid is there, whether or not Stripe's webhook has
 * arrived. `retry` starts over.
 */
export function useConfirmation(active: boolean): [Confirmation, () => void] {
  const queries = useQueryClient();
  const [confirmation, setConfirmation] = useState<Confirmation>({ state: "idle" });
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (!active) return;
    const stop = new AbortController();
    setConfirmation({ state: "confirming" });
    confirm(queries, stop.signal).then((result) => {
      if (!stop.signal.aborted) setConfirmation(result);
    });
    return () => stop.abort();
  }, [active, round, queries]);

  return [confirmation, () => setRound((value) => value + 1)];
}

/** After the portal: one sync, so that what was changed there shows without waiting for the webhook. */
export function useSyncOnce(
  active: boolean,
  setDone: (isDone: boolean) => void,
): [Error | null, () => void] {
  const queries = useQueryClient();
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (!active) return;
    let stale = false;
    setError(null);
    syncInto(queries)
      .then(() => !stale && setDone(true))
      .catch((reason: unknown) => {
        if (!stale) setError(reason instanceof Error ? reason : new Error(String(reason)));
      });
    return () => {
      stale = true;
    };
  }, [active, round, queries, setDone]);

  return [error, () => setRound((value) => value + 1)];
}
