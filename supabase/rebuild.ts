/**
 * `npm run rebuild -- --dry-run` prints where our rows differ from Stripe, for every customer; `--apply` also makes them
 * equal. Works on any project: SUPABASE_URL and SUPABASE_SECRET_KEY say which. Exit code 2: differences were found.
 */
import { z } from "zod";

const Answer = z.object({
  customers: z.number(),
  differences: z.array(z.record(z.string(), z.unknown())),
  next: z.string().nullable(),
});

async function batch(dryRun: boolean, after: string | null): Promise<z.infer<typeof Answer>> {
  const url = Deno.env.get("SUPABASE_URL");
  const key = Deno.env.get("SUPABASE_SECRET_KEY");
  if (!url || !key) throw new Error("Set SUPABASE_URL and SUPABASE_SECRET_KEY.");
  const response = await fetch(`${url.replace(/\/$/, "")}/functions/v1/rebuild`, {
    method: "POST",
    headers: { apikey: key, "content-type": "application/json" },
    body: JSON.stringify({ dry_run: dryRun, ...(after !== null && { after }) }),
  });
  if (!response.ok) throw new Error(`rebuild answered ${response.status}: ${await response.text()}`);
  return Answer.parse(await response.json());
}

async function main(args: string[]): Promise<number> {
  const [mode, ...rest] = args;
  if (rest.length > 0 || (mode !== "--dry-run" && mode !== "--apply")) {
    throw new Error("Say --dry-run or --apply.");
  }
  let customers = 0;
  let differences = 0;
  let after: string | null = null;
  do {
    const answer = await batch(mode === "--dry-run", after);
    for (const difference of answer.differences) console.log(JSON.stringify(difference));
    customers += answer.customers;
    differences += answer.differences.length;
    after = answer.next;
  } while (after !== null);
  const done = mode === "--apply" ? "repaired" : "found";
  console.log(`${customers} customers, ${differences} differences ${done}`);
  return differences > 0 && mode === "--dry-run" ? 2 : 0;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exitCode = 1;
  }
}
