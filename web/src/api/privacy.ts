/** One's own data: taking it along, and leaving. */

import * as z from "zod/mini";
import { call, download } from "./client.ts";

/** Everything that is known about the signed-in person, as a JSON file. */
export function exportData(): Promise<Blob> {
  return download("privacy", { action: "export" });
}

/** Asks for the deletion of the account; `confirm` is its e-mail address. Nobody can sign in to it from then on. */
export async function deleteAccount(confirm: string): Promise<void> {
  await call("privacy", { action: "delete", confirm }, z.object({ deletion: z.object({}) }));
}
