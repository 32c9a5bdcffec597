/** One's own data: taking it along, and leaving. */

import { FunctionsHttpError } from "@supabase/supabase-js";
import * as z from "zod/mini";
import { fromFunction, fromNetwork } from "../lib/errors.ts";
import { call, db } from "./client.ts";

/** Everything that is known about the signed-in person, as a JSON file. */
export async function exportData(): Promise<Blob> {
  const { data, error } = await db().functions.invoke("privacy", { body: { action: "export" } });
  if (!error) return new Blob([JSON.stringify(data, null, 2)], { type: "application/json" });
  if (!(error instanceof FunctionsHttpError)) throw fromNetwork(error.context ?? error);
  const response: Response = error.context;
  throw fromFunction(response.status, await response.json().catch(() => null));
}

/** Asks for the deletion of the account; `confirm` is its e-mail address. Nobody can sign in to it from then on. */
export async function deleteAccount(confirm: string): Promise<void> {
  await call("privacy", { action: "delete", confirm }, z.object({ deletion: z.object({}) }));
}
