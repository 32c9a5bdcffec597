import { z } from "zod";
import { attachMissing } from "../_shared/billing/metered.ts";
import { reportUsage } from "../_shared/billing/usage.ts";
import { secretFunction } from "../_shared/http.ts";

const ATTACH_AT_A_TIME = 25;

/** Called by pg_cron every five minutes: reports what was used → `{attached, claimed, sent, failed, parked}`. */
export default {
  fetch: secretFunction("usage-sync", z.strictObject({}), async (_, { supabaseAdmin }) => ({
    ...await reportUsage(supabaseAdmin),
    attached: await attachMissing(supabaseAdmin, ATTACH_AT_A_TIME),
  })),
};
