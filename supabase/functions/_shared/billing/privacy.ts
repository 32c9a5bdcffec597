import type { Json } from "../database.types.ts";
import * as db from "../db.ts";
import { AppError } from "../domain/errors.ts";
import { SECTIONS } from "../domain/export.ts";
import { log } from "../log.ts";

/**
 * Asks for the deletion of the caller, who types their own address to confirm it (their id when they have none).
 * Everything else is `workDeletions`'.
 *
 * Errors: `confirmation_wrong`.
 */
export async function askForDeletion(
  confirm: string,
  { user, supabaseAdmin }: db.UserCall,
): Promise<Json> {
  const expected = (user.email ?? user.id).toLowerCase();
  if (confirm.trim().toLowerCase() !== expected) {
    throw new AppError("confirmation_wrong", "That is not the e-mail address of this account.");
  }
  return await db.requestDeletion(supabaseAdmin, user.id);
}

/**
 * Everything about the caller as one JSON document, `{format, exported_at, <section>: [row, …], …}`, written page by page while
 * it is read: it may be larger than the memory of a function. When a page fails the stream breaks, so that what arrived is not
 * valid JSON and nobody takes a half for the whole. 401 before anything is written when the account is gone already.
 */
export async function exportEverything(
  call: db.UserCall,
  now: Date,
): Promise<ReadableStream<Uint8Array>> {
  await db.requireUser(call.supabaseAdmin, call.user.id);
  const encoder = new TextEncoder();
  const parts = writeExport(call, now);
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        log("error", "export_failed", { user_id: call.user.id });
        controller.error(error);
      }
    },
  });
}

async function* writeExport({ supabase }: db.UserCall, now: Date): AsyncGenerator<string> {
  yield `{"format":"tollgate-export/1","exported_at":${JSON.stringify(now.toISOString())}`;
  for (const section of SECTIONS) {
    yield `,\n${JSON.stringify(section)}:[`;
    let after: string | null = "";
    let separator = "\n";
    while (after !== null) {
      const page: { rows: unknown[]; next: string | null } = await db.myData(
        supabase,
        section,
        after,
      );
      for (const row of page.rows) {
        yield `${separator}${JSON.stringify(row)}`;
        separator = ",\n";
      }
      after = page.next;
    }
    yield "]";
  }
  yield "}\n";
}
