import { z } from "zod";
import { changePlan, previewChange } from "../_shared/billing/subscription_change.ts";
import { cancelAtPeriodEnd, cancelNow, resume } from "../_shared/billing/subscription_end.ts";
import { userFunction } from "../_shared/http.ts";

const lookup_key = z.string().min(1).max(200);
const quantity = z.int().min(1).max(10_000).optional();
const body = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("preview"), lookup_key, quantity }),
  z.strictObject({
    action: z.literal("change"),
    lookup_key,
    quantity,
    proration_date: z.int().min(0).max(4_102_444_800),
  }),
  z.strictObject({ action: z.literal("cancel") }),
  z.strictObject({ action: z.literal("resume") }),
  z.strictObject({ action: z.literal("cancel_now") }),
]);

/** POST `{action: "preview" | "change" | "cancel" | "resume" | "cancel_now", …}`: see docs/api.md. */
export default {
  fetch: userFunction("subscription", body, (wish, call) => {
    switch (wish.action) {
      case "preview":
        return previewChange(wish, call);
      case "change":
        return changePlan(wish, call);
      case "cancel":
        return cancelAtPeriodEnd(call);
      case "resume":
        return resume(call);
      case "cancel_now":
        return cancelNow(call);
    }
  }),
};
