import { z } from "zod";
import { openPortal } from "../_shared/billing/portal.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({ flow: z.enum(["cancel", "update", "payment_method"]).optional() });

/** POST `{flow?}` → `{url}`: the address of Stripe's Billing Portal. */
export default {
  fetch: userFunction("portal", body, ({ flow }, call) => openPortal(flow, call)),
};
