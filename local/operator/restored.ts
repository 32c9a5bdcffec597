/**
 * `npm run restored -- --since=<time of the backup>`: after a backup was restored, makes our rows say what Stripe says, and takes over
 * the usage that Stripe has counted, so that nothing is billed twice (docs/operations.md). May be repeated. Exit code 0: all is
 * equal; 2: something is left for you, which it prints and `billing.problems` keeps.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { callFunction, callRpc, OperatorError, operatorProject, runCommand } from "./project.ts";
import type { Project } from "./project.ts";

const counts = z.record(z.string(), z.number());
const adoptedPage = z.object({ customers: counts, purchases: counts, next: z.string().nullable() });
const rebuiltPage = z.object({
  customers: z.number(),
  differences: z.array(z.unknown()),
  failed: z.array(z.object({ customer: z.string(), code: z.string() })),
  next: z.string().nullable(),
});
const reconciled = z.object({
  busy: z.boolean().optional(),
  finished: z.boolean().optional(),
  failed: z.number().optional(),
});
const usagePage = z.object({ checked: z.number(), verdicts: counts, next: z.string().nullable() });
const ledgerPage = z.object({
  checked: z.number(),
  drifts: z.number(),
  failed: z.number(),
  next: z.string().nullable(),
});
const takenOver = z.array(z.object({
  stripe_customer_id: z.string(),
  metric_id: z.string(),
  taken: z.number(),
  lost: z.number(),
}));

/** What is all right; the rest is for the operator. */
const FINE = ["linked", "known", "foreign", "recreated", "expired", "equal", "under_way"];
const RECONCILE_ROUNDS = 500;
const FIRST_SELLER = "00000000-0000-0000-0000-000000000000";

await runCommand(async () => {
  const since = sinceWhen();
  const project = await operatorProject();
  console.log(`Converging ${project.url} with Stripe, from ${since} on`);
  await callRpc(project, "hold_usage", {});
  let left = await adoptRows(project, since);
  left += await refresh(project);
  await callRpc(project, "open_ledgers", {});
  await checkUsage(project);
  await takeUsageOver(project);
  await callRpc(project, "release_usage", {});
  left += await checkUsage(project);
  left += await checkLedger(project);
  console.log(left === 0 ? "✓ All is equal." : `✗ ${left} left for you: see billing.problems.`);
  return left === 0 ? 0 : 2;
});

function sinceWhen(): string {
  const { values } = parseArgs({ args: Deno.args, options: { since: { type: "string" } } });
  // Before anything is touched. Without a zone it would be read in this machine's.
  const since = z.iso.datetime({ offset: true }).safeParse(values.since);
  if (!since.success || new Date(since.data) > new Date()) {
    throw new OperatorError(
      "Say --since=<time of the backup>, in the past and with its zone, e.g. --since=2026-11-20T03:00:00Z.",
    );
  }
  return new Date(since.data).toISOString();
}

function add(sum: Record<string, number>, more: Record<string, number>): void {
  for (const [key, value] of Object.entries(more)) sum[key] = (sum[key] ?? 0) + value;
}

/** Prints the counts and answers how many are not all right. */
function tell(what: string, sum: Record<string, number>): number {
  const parts = Object.entries(sum).toSorted().map(([key, value]) => `${value} ${key}`);
  console.log(`${what}: ${parts.join(", ") || "none"}`);
  return Object.entries(sum).reduce((left, [key, n]) => FINE.includes(key) ? left : left + n, 0);
}

async function adoptRows(project: Project, since: string): Promise<number> {
  const [customers, purchases]: [Record<string, number>, Record<string, number>] = [{}, {}];
  let after: string | null = null;
  do {
    const page: z.infer<typeof adoptedPage> = adoptedPage.parse(
      await callFunction(project, "restored", { since, ...(after !== null && { after }) }),
    );
    add(customers, page.customers);
    add(purchases, page.purchases);
    after = page.next;
  } while (after !== null);
  return tell("Customers since", customers) + tell("Sales since", purchases);
}

/** Everybody's snapshot, then what Stripe's list of events has of purchases and sellers. */
async function refresh(project: Project): Promise<number> {
  let [customers, differences, failed] = [0, 0, 0];
  let after: string | null = null;
  do {
    const page: z.infer<typeof rebuiltPage> = rebuiltPage.parse(
      await callFunction(project, "rebuild", {
        dry_run: false,
        ...(after !== null && { after }),
      }),
    );
    for (const { customer, code } of page.failed) {
      console.log(`${customer} could not be read: ${code}`);
    }
    customers += page.customers;
    differences += page.differences.length;
    failed += page.failed.length;
    after = page.next;
  } while (after !== null);
  console.log(`Snapshots: ${customers} customers, ${differences} differences repaired`);
  failed += await reconcile(project);
  await callFunction(project, "marketplace-sync", {});
  return failed;
}

/** Answers how many customers could not be read. */
async function reconcile(project: Project): Promise<number> {
  for (let round = 0; round < RECONCILE_ROUNDS; round++) {
    const answer = reconciled.parse(await callFunction(project, "reconcile", {}));
    if (answer.finished) return answer.failed ?? 0;
    await new Promise((resolve) => setTimeout(resolve, answer.busy ? 5_000 : 500));
  }
  throw new OperatorError("reconcile did not come to its end. Run the same command again.");
}

async function checkUsage(project: Project): Promise<number> {
  const verdicts: Record<string, number> = {};
  let after: string | null = "";
  do {
    const page: z.infer<typeof usagePage> = usagePage.parse(
      await callFunction(project, "usage-check", { after }),
    );
    add(verdicts, page.verdicts);
    after = page.next;
  } while (after !== null);
  return tell("Usage", verdicts);
}

async function takeUsageOver(project: Project): Promise<void> {
  const rows = takenOver.parse(await callRpc(project, "adopt_usage", {}));
  for (const { stripe_customer_id: customer, metric_id: metric, taken, lost } of rows) {
    console.log(
      `${customer} ${metric}: ${taken} taken over from Stripe, ${lost} of them lost here`,
    );
  }
}

async function checkLedger(project: Project): Promise<number> {
  const sum = { checked: 0, drift: 0, failed: 0 };
  let after: string | null = FIRST_SELLER;
  do {
    const page: z.infer<typeof ledgerPage> = ledgerPage.parse(
      await callFunction(project, "ledger-check", { after }),
    );
    sum.checked += page.checked;
    sum.drift += page.drifts;
    sum.failed += page.failed;
    after = page.next;
  } while (after !== null);
  console.log(`Ledger: ${sum.checked} creators, ${sum.drift} drifts, ${sum.failed} failed`);
  return sum.drift + sum.failed;
}
