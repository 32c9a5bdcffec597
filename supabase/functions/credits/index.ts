import { z } from "zod";
import { buyCredits } from "../_shared/billing/credit_sale.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({ lookup_key: z.string().min(1).max(200) });

/** POST `{lookup_key}` → `{url}`: the address of Stripe's Checkout for one credit pack. */
export default {
  fetch: userFunction("credits", body, ({ lookup_key }, call) => buyCredits(lookup_key, call)),
};
