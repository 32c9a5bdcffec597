import { z } from "zod";
import { onboard, refreshSeller, updateSeller } from "../_shared/billing/seller.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.literal("onboard"),
    display_name: z.string().trim().min(1).max(100),
    country: z.string().regex(/^[A-Z]{2}$/, "must be two upper-case letters"),
  }),
  z.strictObject({ action: z.literal("update") }),
  z.strictObject({ action: z.literal("refresh") }),
]);

/** POST `{action: "onboard" | "update" | "refresh", …}`: a creator's connected account; see docs/api.md. */
export default {
  fetch: userFunction("seller", body, (wish, call): Promise<unknown> => {
    switch (wish.action) {
      case "onboard":
        return onboard(wish, call);
      case "update":
        return updateSeller(call);
      case "refresh":
        return refreshSeller(call);
    }
  }),
};
