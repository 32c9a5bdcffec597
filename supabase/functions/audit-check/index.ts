import { z } from "zod";
import { checkAudit } from "../_shared/billing/audit.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({
  after: z.int().nonnegative().optional(),
  known: z.strictObject({
    seq: z.int().nonnegative(),
    hash: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits"),
  }).optional(),
});

/**
 * Called by pg_cron every night, or by an operator: `{after?, known?: {seq, hash}}` → `{checked, fault, next, head, anchor}`. Whether
 * nothing in the audit log was changed, removed or slipped in, and whether it still has a head of earlier.
 */
export default {
  fetch: secretFunction(
    "audit-check",
    body,
    ({ after, known }, { supabaseAdmin }) =>
      checkAudit(supabaseAdmin, { after: after ?? null, known: known ?? null }),
  ),
};
