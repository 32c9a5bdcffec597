import * as db from "../db.ts";
import { log } from "../log.ts";

const BUDGET_MS = 40_000;

export type AuditCheck = Pick<db.AuditPage, "checked" | "fault" | "next" | "head" | "anchor">;

/**
 * Proves the audit log page by page, as far as it comes in its time; `next` says where to go on. The end of the chain goes
 * into the log of the functions, which the database cannot change: a log that was cut off and chained anew does not have it.
 */
export async function checkAudit(
  admin: db.Client,
  from: { after: number | null; known: db.AuditHead | null },
): Promise<AuditCheck> {
  const until = Date.now() + BUDGET_MS;
  let [checked, after] = [0, from.after];
  while (true) {
    const page = await db.verifyAudit(admin, after, from.known);
    checked += page.checked;
    const { fault, next, head, anchor } = page;
    if (fault !== null) log("error", "audit_broken", { ...fault });
    else if (next === null) log("info", "audit_head", { ...head });
    if (fault !== null || next === null) await db.noteAuditCheck(admin, fault);
    if (fault !== null || next === null || Date.now() > until) {
      // Only the command goes on by itself: a log this long is an operator's to prove.
      if (next !== null) log("warn", "audit_check_incomplete", { checked, next });
      return { checked, fault, next, head, anchor };
    }
    after = next;
  }
}
