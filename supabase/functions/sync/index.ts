import { z } from "zod";
import { syncMine } from "../_shared/billing/sync.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({});

/** POST `{}` → `{entitlements}`: fetches the caller's state from Stripe, so that a plan is there before its webhook is. */
export default {
  fetch: userFunction("sync", body, (_, call) => syncMine(call)),
};
