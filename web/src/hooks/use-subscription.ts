import { useQuery } from "@tanstack/react-query";
import { getEntitlements, getSubscriptionCurrency } from "../api/index.ts";
import { currenciesOf, priceIn } from "../lib/currency.ts";
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

const PROBLEM_POLL_MS = 15_000;

export interface SubscriptionState {
  /** null while loading, after a failure, and for visitors. */
  entitlements: Entitlements | null;
  /** The plan's row; null for a plan that is not public or not loaded yet. */
  plan: Plan | null;
  /** What is paid, in the subscription's currency; null on the default plan. */
  price: Price | null;
  /** The plan that is paid for, which need not be the one that counts; null without a subscription. */
  paidPlanName: string | null;
  /** What the subscription is billed in; null without one. */
  currency: string | null;
  /** The status in words. */
  status: StatusText | null;
  /** Has a subscription at Stripe, so it is changed and never opened anew by Checkout. */
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
 * if (can("team")) …
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
    // Somebody may come back from a page of Stripe's in another tab.
    refetchOnWindowFocus: "always",
  });
  const entitlements = query.data ?? null;
  const price = catalogue.data && entitlements?.subscription
    ? findPrice(catalogue.data, entitlements.subscription.priceLookupKey)
    : null;
  const currency = useCurrencyOf(entitlements, catalogue.data, price);
  return {
    entitlements,
    plan: planOf(catalogue.data, entitlements?.plan.id),
    paidPlanName: planOf(catalogue.data, price?.planId)?.name ??
      (entitlements?.source === "subscription" ? entitlements.plan.name : null),
    price: price && priceIn(price, currency.data ?? price.currency),
    currency: currency.data,
    status: entitlements && describeStatus(entitlements),
    isSubscriber: entitlements !== null && isSubscriber(entitlements),
    can: (feature) => entitlements?.features.includes(feature) ?? false,
    isLoading: session.status === "loading" || query.isLoading || currency.isLoading,
    error: query.data ? null : query.error,
    refetch: () => void query.refetch(),
  };
}

/** While a payment is missing, looks whether it has arrived. */
export function useProblemWatch(isProblem: boolean): void {
  useQuery({
    queryKey: keys.entitlements,
    queryFn: getEntitlements,
    enabled: isProblem,
    refetchInterval: isProblem ? PROBLEM_POLL_MS : false,
  });
}

/** Asked for only where there is more than one: the currency of a subscription never changes. */
function useCurrencyOf(
  entitlements: Entitlements | null,
  catalogue: Catalogue | undefined,
  price: Price | null,
): { data: string | null; isLoading: boolean } {
  const id = entitlements && isSubscriber(entitlements) ? entitlements.subscription?.id ?? "" : "";
  const isOpen = catalogue !== undefined && currenciesOf(catalogue).length > 1;
  const { data, isLoading } = useQuery({
    queryKey: keys.currency(id),
    queryFn: () => getSubscriptionCurrency(id),
    enabled: id !== "" && isOpen,
    staleTime: Infinity,
  });
  return { data: id ? data ?? price?.currency ?? null : null, isLoading };
}

function planOf(catalogue: Catalogue | undefined, id: string | undefined): Plan | null {
  return catalogue?.plans.find((plan) => plan.id === id) ?? null;
}
