import { useQuery } from "@tanstack/react-query";
import { getEntitlements } from "../api.ts";
import { type Catalogue, findPrice, type Plan, type Price } from "../lib/plans.ts";
import { keys } from "../lib/query.ts";
import {
  describeStatus,
  type Entitlements,
  isSubscriber,
  type StatusText,
} from "../lib/subscription.ts";
import { useCatalogue } from "./use-catalogue.ts";
import { useSession } from "./use-session.tsx";

export interface SubscriptionState {
  /** null while loading, after a failure, and for visitors. */
  entitlements: Entitlements | null;
  /** The plan's row; null for a plan that is not public or not loaded yet. */
  plan: Plan | null;
  /** What is paid; null on the default plan. */
  price: Price | null;
  /** The status in words. */
  status: StatusText | null;
  /** Has a subscription at Stripe, so changes go through the portal and never through Checkout. */
  isSubscriber: boolean;
  can: (feature: string) => boolean;
  isLoading: boolean;
  error: Error | null;
  refetch: () => void;
}

/**
 * The signed-in person's plan and subscription, from `my_entitlements()` and the catalogue.
 *
 * @example
 * const { plan, can, status } = useSubscription();
 * if (can("analytics")) …
 *
 * Unknown plans, prices or statuses never throw: they show as missing and grant nothing.
 */
export function useSubscription(): SubscriptionState {
  const session = useSession();
  const catalogue = useCatalogue();
  const query = useQuery({
    queryKey: keys.entitlements,
    queryFn: getEntitlements,
    enabled: session.status === "signed-in",
  });
  const entitlements = query.data ?? null;
  return {
    entitlements,
    plan: planOf(catalogue.data, entitlements),
    price: catalogue.data && entitlements?.subscription
      ? findPrice(catalogue.data, entitlements.subscription.priceLookupKey)
      : null,
    status: entitlements && describeStatus(entitlements),
    isSubscriber: entitlements !== null && isSubscriber(entitlements),
    can: (feature) => entitlements?.features.includes(feature) ?? false,
    isLoading: session.status === "loading" || query.isLoading,
    error: query.data ? null : query.error,
    refetch: () => void query.refetch(),
  };
}

function planOf(catalogue: Catalogue | undefined, entitlements: Entitlements | null): Plan | null {
  return catalogue?.plans.find((plan) => plan.id === entitlements?.plan.id) ?? null;
}
