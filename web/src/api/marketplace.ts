/** What is for sale, and buying it. Readable without an account, except for buying. */

import { redirectAnswer } from "../lib/answers.ts";
import { type Found, type Listing, LISTINGS_PER_PAGE, type Search } from "../lib/marketplace.ts";
import {
  currenciesAnswer,
  foundAnswer,
  listingsAnswer,
  picturesAnswer,
} from "../lib/marketplace-answers.ts";
import { call, db, rest, understand } from "./client.ts";

export const LISTING_COLUMNS =
  "id,seller_id,title,description,category,kind,price_minor,currency,seller_name,sales_count,sales_paused,status,grants_metric_id,grants_quantity";
// The pictures are asked for once each, however often the order changes.
const FOUND_COLUMNS =
  "id,title,description,category,kind,price_minor,currency,seller_name,sales_count,sales_paused,owned,own,total";

export interface FoundPage {
  listings: Found[];
  /** Over all pages. */
  total: number;
}

export async function searchListings(search: Search): Promise<FoundPage> {
  const rows = await rest(
    db().rpc("search_listings", {
      p_query: search.query,
      p_sort: search.sort,
      ...(search.category && { p_category: search.category }),
      ...(search.kind && { p_kind: search.kind }),
      ...(search.currency && { p_currency: search.currency }),
      p_limit: LISTINGS_PER_PAGE,
      p_offset: (search.page - 1) * LISTINGS_PER_PAGE,
    }).select(FOUND_COLUMNS),
  );
  return understand(foundAnswer, rows);
}

export interface OneListing {
  listing: Listing;
  isOwn: boolean;
}

/** null when there is none, or none that this person may see: the two look the same. */
export async function getListing(id: string, isSignedIn: boolean): Promise<OneListing | null> {
  const [rows, sellers] = await Promise.all([
    rest(db().from("listings").select(LISTING_COLUMNS).eq("id", id)),
    isSignedIn ? rest(db().from("sellers").select("id")) : [],
  ]);
  const [listing] = understand(listingsAnswer, rows);
  const sellerId = rows[0]?.seller_id ?? null;
  return listing
    ? { listing, isOwn: sellerId !== null && sellers.some((row) => row.id === sellerId) }
    : null;
}

/** The pictures there are, as data URLs by listing. */
export async function getPictures(ids: string[]): Promise<Map<string, string>> {
  const rows = await rest(
    db().from("listing_pictures").select("listing_id,data").in("listing_id", ids),
  );
  return new Map(understand(picturesAnswer, rows).map((row) => [row.listing_id, row.data]));
}

/** The smallest price that can be charged, by currency. */
export async function getCurrencies(): Promise<Record<string, number>> {
  const rows = await rest(db().from("marketplace_currencies").select("currency,minimum_minor"));
  const known = understand(currenciesAnswer, rows);
  return Object.fromEntries(known.map((row) => [row.currency, row.minimum_minor]));
}

/** Opens a Checkout session; it comes back to /library?purchase=success or to the listing. */
export async function buyListing(listingId: string): Promise<string> {
  return (await call("purchase", { listing_id: listingId }, redirectAnswer)).url;
}
