import { z } from "zod";
import { reconcile } from "../_shared/billing/reconcile.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({});

/** Called by pg_cron every hour, or by an operator, with the secret key → what it found so far. */
export default {
  fetch: secretFunction("reconcile", body, (_, { supabaseAdmin }) => reconcile(supabaseAdmin)),
};
