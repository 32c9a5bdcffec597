/**
 * `npm run rebuild -- --dry-run | --apply`: compares what the database keeps of every customer with what Stripe says now;
 * `--apply` makes them equal. Exit code 0: no difference, or all repaired; 2: `--dry-run` found some;
 * 1: some customers could not be read.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { callFunction, OperatorError, operatorProject, runCommand } from "./project.ts";

const page = z.object({
  customers: z.number(),
  differences: z.array(z.object({
    customer: z.string(),
    field: z.string(),
    ours: z.unknown(),
    stripe: z.unknown(),
  })),
  failed: z.array(z.object({ customer: z.string(), code: z.string() })),
  next: z.string().nullable(),
});

await runCommand(async () => {
  const dryRun = isDryRun();
  const project = await operatorProject();
  console.log(`${dryRun ? "Comparing" : "Rebuilding"} every customer of ${project.url}`);
  let [customers, differences, failed] = [0, 0, 0];
  let after: string | null = null;
  do {
    const answer = page.parse(
      await callFunction(project, "rebuild", {
        dry_run: dryRun,
        ...(after !== null && { after }),
      }),
    );
    for (const { customer, field, ours, stripe } of answer.differences) {
      console.log(
        `${customer}  ${field}: here ${JSON.stringify(ours)}, Stripe ${JSON.stringify(stripe)}`,
      );
    }
    for (const { customer, code } of answer.failed) {
      console.log(`${customer}  could not be read: ${code}`);
    }
    failed += answer.failed.length;
    customers += answer.customers;
    differences += answer.differences.length;
    after = answer.next;
  } while (after !== null);
  const what = `${differences} ${differences === 1 ? "difference" : "differences"}`;
  console.log(`${customers} customers, ${what}${dryRun || differences === 0 ? "" : ", repaired"}.`);
  if (failed > 0) console.log(`${failed} could not be read; the functions' log says why.`);
  if (failed > 0) return 1;
  return dryRun && differences > 0 ? 2 : 0;
});

function isDryRun(): boolean {
  const { values } = parseArgs({
    args: Deno.args,
    options: { "dry-run": { type: "boolean" }, apply: { type: "boolean" } },
  });
  const dryRun = values["dry-run"] === true;
  if (dryRun === (values["apply"] === true)) {
    throw new OperatorError("Say --dry-run (only compare) or --apply (repair).");
  }
  return dryRun;
}
