import { z } from "zod";
import { workDeletions } from "../_shared/billing/deletion.ts";
import { secretFunction } from "../_shared/http.ts";

/** Called by pg_cron every five minutes: works on the deletions that were asked for → `{finished, waiting, failed}`. */
export default {
  fetch: secretFunction(
    "deletions",
    z.strictObject({}),
    (_, { supabaseAdmin }) => workDeletions(supabaseAdmin),
  ),
};
