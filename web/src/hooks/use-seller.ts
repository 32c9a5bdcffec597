import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  createListing,
  deleteListing,
  getSeller,
  listEarnings,
  listOwnListings,
  listPayouts,
  listSales,
  openOnboarding,
  openSellerUpdate,
  publishListing,
  refreshSeller,
  savePicture,
  updateListing,
  withdrawListing,
} from "../api/index.ts";
import { keys } from "../lib/query.ts";
import type { ListingFields, OwnListing } from "../lib/seller.ts";
import type { Range } from "../lib/usage-history.ts";

export function useSeller() {
  return useQuery({ queryKey: keys.seller, queryFn: getSeller });
}

export function useOwnListings() {
  return useQuery({ queryKey: keys.ownListings, queryFn: listOwnListings });
}

/** Leaves for Stripe's page; it comes back to /sell?onboarding=return. */
export function useOnboarding() {
  return useMutation({
    mutationFn: ({ displayName, country }: { displayName: string; country: string }) =>
      openOnboarding(displayName, country),
    onSuccess: (url) => location.assign(url),
  });
}

export function useSellerUpdate() {
  return useMutation({
    mutationFn: openSellerUpdate,
    onSuccess: (url) => location.assign(url),
  });
}

export function useRefreshSeller() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: refreshSeller,
    onSuccess: (seller) => {
      queries.setQueryData(keys.seller, seller);
      void queries.invalidateQueries({ queryKey: keys.ownListings });
    },
  });
}

/** What everybody sees of one's listings changes with them. */
function askListings(queries: QueryClient): Promise<void> {
  void queries.invalidateQueries({ queryKey: keys.listings });
  return queries.invalidateQueries({ queryKey: keys.ownListings });
}

export interface Saving {
  id: string;
  isNew: boolean;
  fields: ListingFields;
  /** undefined: as it was; null: none. */
  picture: string | null | undefined;
  /** Also hands it to the marketplace. */
  publish: boolean;
}

/** Stores a listing with its picture, then publishes it if that is wished. Each step is safe to repeat. */
export function useSaveListing() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ id, isNew, fields, picture, publish }: Saving) => {
      await (isNew ? createListing(id, fields) : updateListing(id, fields));
      if (picture !== undefined) await savePicture(id, picture);
      if (publish) await publishListing(id);
    },
    onSettled: (_nothing, _error, { id, picture }) => {
      if (picture !== undefined) queries.removeQueries({ queryKey: keys.picture(id) });
      return askListings(queries);
    },
  });
}

export function useWithdraw() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: withdrawListing,
    onSettled: () => askListings(queries),
  });
}

export function useDeleteListing() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: deleteListing,
    onSuccess: (_nothing, id) => {
      queries.setQueryData<OwnListing[]>(
        keys.ownListings,
        (rows) => rows?.filter((row) => row.id !== id),
      );
      return askListings(queries);
    },
  });
}

export function useSales(range: Range | null) {
  return useQuery({
    queryKey: keys.sales(range?.from ?? "", range?.to ?? ""),
    queryFn: () => listSales(range ?? { from: "", to: "" }),
    enabled: range !== null,
  });
}

export function useEarnings(range: Range | null, currency: string) {
  return useQuery({
    queryKey: keys.earnings(range?.from ?? "", range?.to ?? "", currency),
    queryFn: () => listEarnings(range ?? { from: "", to: "" }, currency),
    enabled: range !== null,
  });
}

export function usePayouts() {
  return useQuery({ queryKey: keys.payouts, queryFn: listPayouts });
}
