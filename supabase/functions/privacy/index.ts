import { z } from "zod";
import { askForDeletion, exportEverything } from "../_shared/billing/privacy.ts";
import { userFunction } from "../_shared/http.ts";

const body = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("export") }),
  z.strictObject({ action: z.literal("delete"), confirm: z.string().min(1).max(320) }),
]);

/** POST `{action: "export" | "delete", …}`: what is known about the caller, and its end; see docs/api.md. */
export default {
  fetch: userFunction("privacy", body, async (wish, call) => {
    if (wish.action === "delete") {
      const deletion = await askForDeletion(wish.confirm, call);
      return Response.json({ deletion }, { status: 202 });
    }
    const now = new Date();
    return new Response(await exportEverything(call, now), {
      headers: {
        "content-type": "application/json",
        "content-disposition": `attachment; filename="tollgate-${
          now.toISOString().slice(0, 10)
        }.json"`,
      },
    });
  }),
};
