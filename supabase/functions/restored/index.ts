import { z } from "zod";
import { adoptSince } from "../_shared/billing/restored.ts";
import { secretFunction } from "../_shared/http.ts";

/** Stripe takes no time before 1970, nor one that its clock does not know. */
const isPast = (at: string) => Date.parse(at) >= 0 && Date.parse(at) <= Date.now();

const body = z.strictObject({
  since: z.iso.datetime({ offset: true }).refine(isPast, "must be in the past"),
  after: z.string().regex(/^(customers|sessions):\w*$/, "must be a next of this function")
    .optional(),
});

/**
 * Called by an operator after a backup was restored (`npm run restored`): `{since, after?}` → `{customers, purchases, next}`, the counts of
 * what became of each customer and sale that Stripe has since then. Call again with `after: next` until it is null.
 */
export default {
  fetch: secretFunction(
    "restored",
    body,
    ({ since, after }, { supabaseAdmin }) => adoptSince(supabaseAdmin, { since, after }),
  ),
};
