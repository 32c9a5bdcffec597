import { z } from "zod";
import { chooseOverage } from "../_shared/billing/metered.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({
  enabled: z.boolean(),
  cap_minor: z.int().optional(),
});

/** POST `{enabled, cap_minor?}` → `my_overage()`: pays beyond the allowance up to a cap in minor units per month, or not. */
export default {
  fetch: userFunction("overage", body, chooseOverage),
};
