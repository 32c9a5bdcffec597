import { z } from "zod";
import { changeLicence } from "../_shared/billing/licences.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.strictObject({ licence_id: z.uuid(), action: z.enum(["cancel", "resume"]) });

/** POST `{licence_id, action}` → `{licence}`: lets a monthly licence end with its period, or takes that back. */
export default {
  fetch: userFunction("licence", body, changeLicence),
};
