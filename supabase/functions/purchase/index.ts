import { z } from "zod";
import { openPurchase } from "../_shared/billing/purchase.ts";
import { userFunction } from "../_shared/http.ts";

// Strict: a price, a fee or a seller in a request is refused, not ignored.
const body = z.strictObject({ listing_id: z.uuid() });

/** POST `{listing_id}` → `{url}`: the address of Stripe's Checkout for one listing, at the price of this moment. */
export default {
  fetch: userFunction("purchase", body, ({ listing_id }, call) => openPurchase(listing_id, call)),
};
