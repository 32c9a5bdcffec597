import { z } from "zod";
import type { Json } from "../database.types.ts";
import { type Client, rows } from "./client.ts";

/** Begins the deletion of a user, once; answers `{state, requested_at, finished_at}`. They cannot sign in any more. */
export function requestDeletion(admin: Client, userId: string): Promise<Json> {
  return rows(admin.rpc("request_deletion", { p_user_id: userId }));
}

const deletion = z.object({
  user_id: z.uuid(),
  stripe_customer_id: z.string().nullable(),
  stripe_account_id: z.string().nullable(),
  /** No request that was admitted before it can still be running. */
  ripe: z.boolean(),
});
export type Deletion = z.infer<typeof deletion>;

export async function leaseDeletions(admin: Client, limit: number): Promise<Deletion[]> {
  return z.array(deletion).parse(await rows(admin.rpc("lease_deletions", { p_limit: limit })));
}

export async function noteDeletionStep(admin: Client, userId: string, step: string) {
  await rows(admin.rpc("note_deletion_step", { p_user_id: userId, p_step: step }));
}

export async function deletionFailed(admin: Client, userId: string, error: string) {
  await rows(admin.rpc("deletion_failed", { p_user_id: userId, p_error: error }));
}

/** Gives a deletion back until it is ripe. */
export async function deletionWaits(admin: Client, userId: string): Promise<void> {
  await rows(admin.rpc("deletion_waits", { p_user_id: userId }));
}

/** Removes at most `limit` messages; answers how many. */
export function removeChat(admin: Client, userId: string, limit: number): Promise<number> {
  return rows(admin.rpc("remove_chat", { p_user_id: userId, p_limit: limit }));
}

/** Ids of subscriptions, plans and licences, that may still bill as far as our rows know. */
export function mirroredSubscriptions(admin: Client, userId: string): Promise<string[]> {
  return rows(admin.rpc("mirrored_subscriptions", { p_user_id: userId }));
}

/** Purchases whose end must be in our rows before their buyer goes. */
export function purchasesOfBuyer(admin: Client, userId: string): Promise<string[]> {
  return rows(admin.rpc("purchases_of_buyer", { p_user_id: userId }));
}

/** Removes the user; false when their billing has not ended, or another customer is bound than the one it ended for. */
export function erasePerson(
  admin: Client,
  { user_id, stripe_customer_id }: Deletion,
): Promise<boolean> {
  return rows(admin.rpc("erase_person", {
    p_user_id: user_id,
    // The generated type does not say that it may be null.
    p_stripe_customer_id: stripe_customer_id ?? "",
  }));
}

const page = z.object({ rows: z.array(z.unknown()), next: z.string().nullable() });

/** One page of a section of everything about the caller. */
export async function myData(
  client: Client,
  section: string,
  after: string,
): Promise<z.infer<typeof page>> {
  return page.parse(await rows(client.rpc("my_data", { p_section: section, p_after: after })));
}
