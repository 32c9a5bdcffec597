import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import {
  listCreditGrants,
  listCreditPacks,
  openCreditsCheckout,
  syncBilling,
} from "../api/index.ts";
import { keys } from "../lib/query.ts";
import type { CreditGrant } from "../lib/records.ts";
import { believeEntitlements } from "./use-billing.ts";

const KNOWN_KEY = "tollgate.credits";
/** The waits before each further look: the payment is there at once, its event a little later. */
const WAITS_MS = [0, 1500, 3000, 6000];

export function useCreditGrants() {
  return useQuery({ queryKey: keys.credits, queryFn: listCreditGrants });
}

export function useCreditPacks() {
  return useQuery({ queryKey: keys.creditPacks, queryFn: listCreditPacks, staleTime: 5 * 60_000 });
}

/** Leaves for Checkout; remembers what there was before, to tell what is new on the way back. */
export function useBuyCredits(grants: CreditGrant[]) {
  return useMutation({
    mutationFn: openCreditsCheckout,
    onSuccess: (url) => {
      try {
        sessionStorage.setItem(KNOWN_KEY, JSON.stringify(grants.map((grant) => grant.id)));
      } catch {
        // The notice then cannot name the amount.
      }
      location.assign(url);
    },
  });
}

function knownBefore(): string[] | null {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(KNOWN_KEY) ?? "null");
    return Array.isArray(value) ? value.map(String) : null;
  } catch {
    return null;
  }
}

export type Purchase =
  | { state: "confirming" }
  /** `grant` null: it is not known which one is new. */
  | { state: "there"; grant: CreditGrant | null }
  | { state: "late" }
  | { state: "failed"; error: Error };

/** After Checkout: makes sure that the credit which was paid is there, whether or not Stripe's webhook has arrived. */
export function usePurchase(): [Purchase, () => void] {
  const queries = useQueryClient();
  const [purchase, setPurchase] = useState<Purchase>({ state: "confirming" });
  const [round, setRound] = useState(0);

  useEffect(() => {
    let stale = false;
    const look = async (): Promise<Purchase> => {
      const before = knownBefore();
      for (const ms of WAITS_MS) {
        await new Promise((resolve) => setTimeout(resolve, ms));
        if (stale) break;
        believeEntitlements(queries, await syncBilling());
        const grants = await queries.fetchQuery({
          queryKey: keys.credits,
          queryFn: listCreditGrants,
          staleTime: 0,
        });
        const added = grants.find((grant) => !before?.includes(grant.id)) ?? null;
        if (before === null && added) return { state: "there", grant: null };
        if (added) return { state: "there", grant: added };
      }
      return { state: "late" };
    };
    setPurchase({ state: "confirming" });
    look()
      .catch((error: unknown): Purchase => ({
        state: "failed",
        error: error instanceof Error ? error : new Error(String(error)),
      }))
      .then((result) => !stale && setPurchase(result));
    return () => {
      stale = true;
    };
  }, [queries, round]);

  return [purchase, useCallback(() => setRound((value) => value + 1), [])];
}
