import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { openCheckout } from "../api/index.ts";

/**
 * Opens Checkout for a price, and goes there. For a page of its own, so that "back" leads from Stripe to where the plan was
 * chosen: what is shown meanwhile, and when it fails, is the page's. Stripe comes back to /account or /pricing.
 */
export function useCheckout(lookupKey: string, currency?: string) {
  const checkout = useQuery({
    queryKey: ["me", "checkout", lookupKey, currency],
    queryFn: () => openCheckout(lookupKey, currency),
    gcTime: 0,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  useEffect(() => {
    // Replaced, so that "back" does not lead here again.
    if (checkout.data) location.replace(checkout.data);
  }, [checkout.data]);
  return {
    error: checkout.isFetching ? null : checkout.error,
    retry: () => void checkout.refetch(),
  };
}
