/**
 * `npm run usage:check`: compares what was used beyond allowances with what was reported and with what Stripe counted, for every
 * customer, metric and billing period, and prints what is not equal. Exit code 0: no drift; 2: there is some.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { callFunction, operatorProject, runCommand } from "./project.ts";

const page = z.object({
  checked: z.number(),
  verdicts: z.record(z.string(), z.number()),
  differences: z.array(z.object({
    customer: z.string(),
    metric: z.string(),
    period_start: z.string(),
    verdict: z.string(),
    ledger: z.number(),
    sent: z.number(),
    waiting: z.number(),
    parked: z.number(),
    stripe: z.number(),
  })),
  next: z.string().nullable(),
});

type Difference = z.infer<typeof page>["differences"][number];

await runCommand(async () => {
  parseArgs({ args: Deno.args });
  const project = await operatorProject();
  console.log(`Checking the usage of every customer of ${project.url}`);
  const differences: Difference[] = [];
  const verdicts = new Map<string, number>();
  let checked = 0;
  // Empty: from the first on. Without it the call would go on where the scheduled check stopped.
  let after: string | null = "";
  do {
    const answer = page.parse(await callFunction(project, "usage-check", { after }));
    checked += answer.checked;
    differences.push(...answer.differences);
    for (const [verdict, count] of Object.entries(answer.verdicts)) {
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + count);
    }
    after = answer.next;
  } while (after !== null);
  if (differences.length > 0) console.log(table(differences));
  const summary = [...verdicts].toSorted().map(([verdict, count]) => `${count} ${verdict}`);
  console.log(`${checked} checked${summary.length > 0 ? `: ${summary.join(", ")}` : ""}.`);
  return verdicts.has("drift") ? 2 : 0;
});

function table(differences: Difference[]): string {
  const head = ["customer", "metric", "period", "verdict", "ledger", "sent", "waiting", "parked"];
  const rows = [
    [...head, "Stripe"],
    ...differences.map((one) => [
      one.customer,
      one.metric,
      new Date(one.period_start).toISOString().slice(0, 16),
      one.verdict,
      ...[one.ledger, one.sent, one.waiting, one.parked, one.stripe].map(String),
    ]),
  ];
  const widths = head.concat("Stripe").map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) => row.map((cell, column) => padded(cell, column, widths)).join("  "))
    .join("\n");
}

/** Words to the left, numbers to the right. */
function padded(cell: string, column: number, widths: number[]): string {
  const width = widths[column] ?? 0;
  return column < 4 ? cell.padEnd(width) : cell.padStart(width);
}
