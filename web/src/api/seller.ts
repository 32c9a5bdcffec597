/** Selling: the creator's account, listings, and what they earn. */

import * as z from "zod/mini";
import { redirectAnswer } from "../lib/answers.ts";
import { fromRest } from "../lib/errors.ts";
import {
  earningsAnswer,
  ownListingsAnswer,
  payoutsAnswer,
  salesAnswer,
  sellerAnswer,
} from "../lib/marketplace-answers.ts";
import type { EarningDay, ListingFields, OwnListing, Payout, Sale, Seller } from "../lib/seller.ts";
import type { Range } from "../lib/usage-history.ts";
import { call, db, rest, understand } from "./client.ts";

const COLUMNS =
  "id,seller_id,title,description,category,kind,price_minor,currency,seller_name,sales_count,sales_paused,status,agent_id,version,updated_at";

/** null for who does not sell. */
export async function getSeller(): Promise<Seller | null> {
  const { data, error, status } = await db().rpc("my_seller");
  if (error) throw fromRest(error, status);
  return understand(z.nullable(sellerAnswer), data);
}

/** Opens Stripe's page where a creator introduces themselves; it comes back to /sell?onboarding=return. */
export async function openOnboarding(displayName: string, country: string): Promise<string> {
  const body = { action: "onboard", display_name: displayName, country };
  return (await call("seller", body, redirectAnswer)).url;
}

/** The same page again, for what is missing or has changed. */
export async function openSellerUpdate(): Promise<string> {
  return (await call("seller", { action: "update" }, redirectAnswer)).url;
}

/** Asks Stripe, through the server, how the account stands now. */
export async function refreshSeller(): Promise<Seller | null> {
  const answer = await call(
    "seller",
    { action: "refresh" },
    z.object({ seller: z.nullable(sellerAnswer) }),
  );
  return answer.seller;
}

/** One's own listings, the latest change first. */
export async function listOwnListings(): Promise<OwnListing[]> {
  const sellers = await rest(db().from("sellers").select("id"));
  const sellerId = sellers[0]?.id;
  if (!sellerId) return [];
  const rows = await rest(
    db().from("listings").select(COLUMNS).eq("seller_id", sellerId)
      .order("updated_at", { ascending: false }).order("id"),
  );
  return understand(ownListingsAnswer, rows);
}

function toRow({ agentId, title, description, kind, priceMinor, currency }: ListingFields) {
  return { agent_id: agentId, title, description, kind, price_minor: priceMinor, currency };
}

/** The id is ours, so that a repeat after a lost answer finds the first try instead of a second row. */
export async function createListing(id: string, fields: ListingFields): Promise<void> {
  const { error, status } = await db().from("listings").insert({ id, ...toRow(fields) });
  // The first try has arrived; what was typed since is stored now.
  if (error?.code === "23505") return updateListing(id, fields);
  if (error) throw fromRest(error, status);
}

export async function updateListing(id: string, fields: ListingFields): Promise<void> {
  const { error, status } = await db().from("listings").update(toRow(fields)).eq("id", id);
  if (error) throw fromRest(error, status);
}

/** Only what was never published. */
export async function deleteListing(id: string): Promise<void> {
  const { error, status } = await db().from("listings").delete().eq("id", id);
  if (error) throw fromRest(error, status);
}

/** null: no picture. */
export async function savePicture(listingId: string, data: string | null): Promise<void> {
  const table = db().from("listing_pictures");
  const { error, status } = data === null
    ? await table.delete().eq("listing_id", listingId)
    : await table.upsert({ listing_id: listingId, data });
  if (error) throw fromRest(error, status);
}

/** From now on buyers get the agent as it is now. */
export async function publishListing(id: string): Promise<void> {
  await rest(db().rpc("publish_listing", { p_listing_id: id }));
}

/** Ends the sale; licences stay. */
export async function withdrawListing(id: string): Promise<void> {
  await rest(db().rpc("withdraw_listing", { p_listing_id: id }));
}

/** Newest first. */
export async function listSales({ from, to }: Range): Promise<Sale[]> {
  return understand(salesAnswer, await rest(db().rpc("my_sales", { p_from: from, p_to: to })));
}

/** Days that have any; both ends included. */
export async function listEarnings({ from, to }: Range, currency: string): Promise<EarningDay[]> {
  const args = { p_from: from, p_to: to, p_currency: currency };
  return understand(earningsAnswer, await rest(db().rpc("my_earnings", args)));
}

export async function listPayouts(): Promise<Payout[]> {
  return understand(payoutsAnswer, await rest(db().rpc("my_payouts")));
}
