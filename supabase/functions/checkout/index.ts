import { z } from "zod";
import { openCheckout } from "../_shared/billing/checkout.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({
  lookup_key: z.string().min(1).max(200),
  currency: z.string().regex(/^[a-z]{3}$/).optional(),
});

/** POST `{lookup_key, currency?}` → `{url}`: the address of Stripe's Checkout for one price of the catalogue. */
export default {
  fetch: userFunction("checkout", body, openCheckout),
};
