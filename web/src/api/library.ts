/** What somebody bought. */

import * as z from "zod/mini";
import type { LibraryItem } from "../lib/library.ts";
import { libraryAnswer } from "../lib/marketplace-answers.ts";
import { call, db, rest, understand } from "./client.ts";

const COLUMNS =
  "purchase_id,licence_id,listing_id,reference,title,category,kind,seller_name,status,reason,valid_until,purchase_status,amount_minor,refunded_minor,currency,receipt_url,current_period_end,cancel_at_period_end,paid_at,created_at,copies,open_invoice_url,open_minor";

export async function getLibrary(): Promise<LibraryItem[]> {
  return understand(libraryAnswer, await rest(db().rpc("my_library").select(COLUMNS)));
}

/** A copy of a bought agent among one's own; its name. */
export async function cloneListing(listingId: string): Promise<string> {
  const agent = await rest(db().rpc("clone_listing", { p_listing_id: listingId }));
  return understand(z.object({ name: z.string() }), agent).name;
}

/** Deletes the copies of what one may no longer use; how many there were. */
export async function discardCopies(listingId: string): Promise<number> {
  return understand(
    z.coerce.number(),
    await rest(db().rpc("discard_copies", { p_listing_id: listingId })),
  );
}

export type LicenceAction = "cancel" | "resume";

/** Ends a monthly licence with its paid month, or takes that back. */
export async function changeLicence(licenceId: string, action: LicenceAction): Promise<void> {
  await call("licence", { licence_id: licenceId, action }, z.looseObject({}));
}
