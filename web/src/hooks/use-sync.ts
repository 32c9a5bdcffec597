import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { syncBilling } from "../api.ts";
import { isTransient } from "../lib/errors.ts";
import { CONFIRMATION_WAITS_MS, type Entitlements, isSubscriber } from "../lib/subscription.ts";
import { believeEntitlements } from "./use-billing.ts";

export type Confirmation =
  | { state: "idle" }
  | { state: "confirming" }
  | { state: "confirmed"; planName: string }
  /** Every try answered, and none knew the payment yet. */
  | { state: "late" }
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
  for (const ms of CONFIRMATION_WAITS_MS) {
    await wait(ms, signal);
    if (signal.aborted) return { state: "idle" };
    try {
      const entitlements = await syncInto(queries);
      failure = null;
      if (entitlements.source === "subscription" && isSubscriber(entitlements)) {
        return { state: "confirmed", planName: entitlements.plan.name };
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      if (!isTransient(failure)) break;
    }
  }
  return failure ? { state: "failed", error: failure } : { state: "late" };
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
export function useSyncOnce(active: boolean, onDone: () => void): [Error | null, () => void] {
  const queries = useQueryClient();
  const [error, setError] = useState<Error | null>(null);
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (!active) return;
    let stale = false;
    setError(null);
    syncInto(queries)
      .then(() => !stale && onDone())
      .catch((reason: unknown) => {
        if (!stale) setError(reason instanceof Error ? reason : new Error(String(reason)));
      });
    return () => {
      stale = true;
    };
  }, [active, round, queries, onDone]);

  return [error, () => setRound((value) => value + 1)];
}
