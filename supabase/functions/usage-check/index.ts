import { z } from "zod";
import { checkUsage } from "../_shared/billing/usage.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({
  customer: z.string().min(1).max(200).optional(),
  after: z.string().max(200).optional(),
});

/**
 * Called by pg_cron every hour (`{}`: goes on where the last call stopped), or by an operator: `{customer?, after?}` →
 * `{checked, verdicts, differences, next}`. Ledger, outbox and Stripe side by side.
 */
export default {
  fetch: secretFunction(
    "usage-check",
    body,
    (options, { supabaseAdmin }) => checkUsage(supabaseAdmin, options),
  ),
};
