import { z } from "zod";
import { type Client, rows } from "./client.ts";

const page = z.object({
  checked: z.number(),
  fault: z.object({ fault: z.string() }).catchall(z.union([z.string(), z.number()])).nullable(),
  next: z.number().nullable(),
  head: z.object({ seq: z.number(), hash: z.string() }),
  anchor: z.object({ seq: z.number(), retained_from: z.string() }),
});

export type AuditPage = z.infer<typeof page>;
export type AuditHead = AuditPage["head"];

/** A page of the proof that the audit log holds, after a link; the last page also says whether it still has a head of earlier. */
export async function verifyAudit(
  admin: Client,
  after: number | null,
  known: AuditHead | null,
): Promise<AuditPage> {
  return page.parse(
    await rows(admin.rpc("verify_audit", {
      ...(after !== null && { p_after: after }),
      ...(known !== null && { p_known_seq: known.seq, p_known_hash: known.hash }),
    })),
  );
}

export async function noteAuditCheck(admin: Client, fault: AuditPage["fault"]): Promise<void> {
  // The RPC takes null for a chain that holds, which the generated types cannot say.
  await rows(admin.rpc("note_audit_check", { p_fault: fault as NonNullable<typeof fault> }));
}
