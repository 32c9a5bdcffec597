import { z } from "zod";
import { checkLedger } from "../_shared/billing/ledger_check.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({ after: z.uuid().optional() });

/**
 * Called by pg_cron every hour (`{}`: goes on where the last call stopped), or by an operator: `{after?}` →
 * `{checked, movements, drifts, failed, next}`. The ledger beside what Stripe says of every creator's balance and transfers
 * and, by the clock, of the movements of our own balance.
 */
export default {
  fetch: secretFunction(
    "ledger-check",
    body,
    ({ after }, { supabaseAdmin }) => checkLedger(supabaseAdmin, after),
  ),
};
