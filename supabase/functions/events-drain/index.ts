import { z } from "zod";
import { drainEvents } from "../_shared/billing/inbox.ts";
import { secretFunction } from "../_shared/http.ts";

const body = z.strictObject({});

/** Called by pg_cron every minute with the secret key → `{processed, failed}`. */
export default {
  fetch: secretFunction("events-drain", body, (_, { supabaseAdmin }) => drainEvents(supabaseAdmin)),
};
