import { z } from "zod";
import { sendNotices } from "../_shared/billing/notices.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({});

/** Called by pg_cron every minute while e-mails are switched on: sends notices → `{sent, failed}`. */
export default {
  fetch: secretFunction("notify", body, (_, { supabaseAdmin }) => sendNotices(supabaseAdmin)),
};
