import { z } from "zod";
import { syncMarketplace } from "../_shared/billing/marketplace.ts";
import { secretFunction } from "../_shared/http.ts";

/** Called by pg_cron every five minutes → `{refunded, refused, disputes, synced, failed}`. */
export default {
  fetch: secretFunction(
    "marketplace-sync",
    z.strictObject({}),
    (_, { supabaseAdmin }) => syncMarketplace(supabaseAdmin),
  ),
};
