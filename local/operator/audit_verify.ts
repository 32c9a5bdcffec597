/**
 * `npm run audit:verify [-- --since=<seq>:<hash>]`: recomputes the chain of the audit log and names the first link that does
 * not hold. Prints the head; given one of earlier, which you kept elsewhere, it also proves that nothing up to there was
 * written anew. Exit code 0: it holds; 2: it does not.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { callFunction, OperatorError, operatorProject, runCommand } from "./project.ts";

const page = z.object({
  checked: z.number(),
  fault: z.object({
    fault: z.string(),
    seq: z.number().nullish(),
    audit_id: z.number().nullish(),
  }).nullable(),
  next: z.number().nullable(),
  head: z.object({ seq: z.number(), hash: z.string() }),
  anchor: z.object({ seq: z.number(), retained_from: z.string() }),
});

const MEANING: Record<string, string> = {
  links_missing: "links before it are missing",
  link_changed: "the link was changed",
  row_missing: "its row is missing, or was dated otherwise",
  row_changed: "its row was changed",
  row_not_chained: "a row was slipped in",
  head_differs: "the head is not the last link: the end is missing",
  ends_missing: "where it begins or ends is missing",
  history_forgotten:
    "the log begins later: it is past its retention, or somebody has moved the beginning",
  end_missing: "the end is missing: the log once was longer",
  history_differs: "the log was written anew: it does not have that head",
};

await runCommand(async () => {
  const known = knownHead();
  const project = await operatorProject();
  console.log(`Proving the audit log of ${project.url}`);
  let checked = 0;
  let after: number | null = null;
  while (true) {
    const answer: z.infer<typeof page> = page.parse(
      await callFunction(project, "audit-check", {
        ...(after !== null && { after }),
        ...(known !== null && { known }),
      }),
    );
    checked += answer.checked;
    if (answer.fault !== null) {
      const { fault, seq, audit_id } = answer.fault;
      const where = [seq != null && `link ${seq}`, audit_id != null && `row ${audit_id}`];
      console.log(`✗ ${where.filter(Boolean).join(", ")}: ${MEANING[fault] ?? fault}.`);
      return 2;
    }
    after = answer.next;
    if (after !== null) continue;
    const { seq, retained_from } = answer.anchor;
    if (seq > 0) console.log(`Begins behind link ${seq}: retention, from ${retained_from} on.`);
    console.log(`✓ ${checked} links hold. Head: ${answer.head.seq}:${answer.head.hash}`);
    return 0;
  }
});

function knownHead(): { seq: number; hash: string } | null {
  const { values } = parseArgs({ args: Deno.args, options: { since: { type: "string" } } });
  if (values.since === undefined) return null;
  const parts = /^(\d{1,15}):([0-9a-f]{64})$/.exec(values.since);
  if (!parts) {
    throw new OperatorError("--since is a head as this command printed it: <seq>:<hash>.");
  }
  return { seq: Number(parts[1]), hash: parts[2] ?? "" };
}
