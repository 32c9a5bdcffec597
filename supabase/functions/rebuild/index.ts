import { z } from "zod";
import { rebuild } from "../_shared/billing/reconcile.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({
  dry_run: z.boolean(),
  after: z.string().min(1).max(200).optional(),
});

/** Called by an operator with the secret key: `{dry_run, after?}` → `{customers, differences, next}`. */
export default {
  fetch: secretFunction(
    "rebuild",
    body,
    (options, { supabaseAdmin }) => rebuild(options, supabaseAdmin),
  ),
};
