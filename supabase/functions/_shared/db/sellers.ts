import { z } from "zod";
import type { Json } from "../database.types.ts";
import type { SellerSnapshot } from "../domain/seller.ts";
import { type Client, rows } from "./client.ts";
import { refusable } from "./refusals.ts";

const begun = z.object({ seller_id: z.string(), stripe_account_id: z.string().nullable() });

/** The caller's seller, made on first need. Refuses with `seller_closed`. */
export async function beginSeller(
  admin: Client,
  userId: string,
  wish: { display_name: string; country: string },
): Promise<z.infer<typeof begun>> {
  const answer = await refusable(admin.rpc("begin_seller", {
    p_user_id: userId,
    p_display_name: wish.display_name,
    p_country: wish.country,
  }));
  return begun.parse(answer);
}

/** Binds a connected account to a seller; answers the one that was bound first when another request was quicker. */
export function linkSellerAccount(
  admin: Client,
  sellerId: string,
  account: string,
): Promise<string> {
  return rows(
    admin.rpc("link_seller_account", { p_seller_id: sellerId, p_account: account }),
  );
}

/** The seller of a connected account, or null when it is none of ours. */
export function sellerOfAccount(admin: Client, account: string): Promise<string | null> {
  return rows<string | null>(admin.rpc("seller_of_account", { p_account: account }));
}

const ownSeller = z.object({ stripe_account_id: z.string().nullable(), status: z.string() });

/** The signed-in person's own seller, read with the secret key because clients do not see account ids. */
export async function findSeller(
  admin: Client,
  userId: string,
): Promise<z.infer<typeof ownSeller> | null> {
  const row = await rows(
    admin.from("sellers").select("stripe_account_id, status").eq("user_id", userId).maybeSingle(),
  );
  return row === null ? null : ownSeller.parse(row);
}

export function applySellerSnapshot(
  admin: Client,
  account: string,
  token: number,
  snapshot: SellerSnapshot,
): Promise<Json> {
  return rows(admin.rpc("apply_seller_snapshot", {
    p_account: account,
    p_token: token,
    p_snapshot: { ...snapshot, payouts: snapshot.payouts.map((payout) => ({ ...payout })) },
  }));
}

/** What a creator sees of their own selling; null when they do not sell. */
export function mySeller(client: Client): Promise<Json> {
  return rows(client.rpc("my_seller"));
}
