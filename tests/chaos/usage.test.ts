import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import type postgres from "postgres";
import { operator, priceOf, quiet, sandbox } from "../support/sandbox.ts";
import { sql } from "../support/stack.ts";
import { type Batch, batches } from "./usage_schedule.ts";
import {
  admit,
  cause,
  createPayers,
  die,
  disagreements,
  passTime,
  type Payer,
  report,
} from "./usage_world.ts";

/** Runs side by side, each a customer of its own. */
const AT_A_TIME = 50;
const RUNS = Number(Deno.env.get("CHAOS_RUNS") ?? 1_000);
const SEED = Number(Deno.env.get("CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));

const BATCHES = Math.ceil(RUNS / AT_A_TIME);

interface World {
  db: postgres.Sql;
  prices: ReadonlyMap<string, string>;
}

Deno.test(`chaos: after ${RUNS} runs of reporting usage Stripe's sum is the ledger (seed ${SEED})`, async () => {
  await alone(async (world) => {
    const everybody: string[] = [];
    const refusedBefore = refusedForConcurrency();
    const create = () => createPayers(world.db, world.prices, AT_A_TIME);
    // Reporting is mostly waiting: meanwhile the next ones are made.
    let next = create();
    const property = fc.asyncProperty(batches(AT_A_TIME), async (batch) => {
      const payers = await next;
      everybody.push(...payers.map(({ customer }) => customer));
      next = everybody.length < RUNS ? create() : Promise.resolve([]);
      await Promise.all([live(world.db, payers, batch), next]);
    });
    try {
      // Shrinking would take as long again; what failed is printed whole, and the seed repeats it.
      await fc.assert(property, { numRuns: BATCHES, seed: SEED, endOnFailure: true });
    } catch (error) {
      console.error(`Repeat with: npm run test:chaos -- --runs ${RUNS} --seed ${SEED}`);
      throw error;
    }
    assert.ok(everybody.length >= RUNS, `${everybody.length} runs`);
    assert.deepEqual(await verdicts(world.db, everybody), ["equal"]);
    assert.equal(refusedForConcurrency(), refusedBefore, "two calls at once of one customer");
  });
});

/** Nobody reports but this test, and no event of the sandbox wakes anybody. */
async function alone(work: (world: World) => Promise<void>): Promise<void> {
  const db = sql({ max: 20 });
  const prices = new Map<string, string>();
  for (const key of ["pro_monthly", "pro_message_overage", "pro_tool_overage"]) {
    prices.set(key, await priceOf(key));
  }
  await quiet();
  await sandbox("/delivery", { mode: "drop" });
  await schedule(db, false);
  try {
    // If the clock has just called it, this waits behind it.
    await report();
    await work({ db, prices });
  } finally {
    await sandbox("/faults", undefined, "DELETE");
    await schedule(db, true);
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
}

async function schedule(db: postgres.Sql, active: boolean): Promise<void> {
  await db`
    select cron.alter_job(jobid, active := ${active}) from cron.job
    where jobname in ('tollgate-usage-sync', 'tollgate-usage-check')`;
}

async function live(db: postgres.Sql, payers: Payer[], batch: Batch): Promise<void> {
  for (const [turn, { calls, again }] of batch.rounds.entries()) {
    const present = payers.flatMap((payer, index) => {
      const round = batch.customers[index]?.[turn];
      return round === undefined ? [] : [{ payer, round }];
    });
    const admitAll = (late: boolean) =>
      Promise.all(present.map(async ({ payer, round }) => {
        for (const admission of round.admissions) {
          if (admission.late === late) await admit(db, payer, admission);
        }
      }));
    await admitAll(false);
    await Promise.all(present.map(async ({ payer, round }) => {
      if (round.death !== null) await die(db, round.death, payer);
      if (round.trouble !== null) await cause(round.trouble, payer.customer);
    }));
    await Promise.all([admitAll(true), ...Array.from({ length: calls }, report)]);
    if (again) await report();
    const passing = present.filter(({ round }) => round.passes);
    await passTime(db, passing.map(({ payer }) => payer.customer));
  }
  await settle(db, payers.map(({ customer }) => customer));
  const wrong = await Promise.all(payers.map(async (payer, index) => {
    const found = await disagreements(db, payer);
    if (found.length === 0) return [];
    const lived = JSON.stringify(batch.customers[index]);
    return [`${payer.customer}:\n  ${found.join("\n  ")}\n  ${lived}`];
  }));
  assert.equal(wrong.flat().join("\n"), "", JSON.stringify(batch.rounds));
}

/** The trouble is over, time passes, and the clock calls a few times. */
async function settle(db: postgres.Sql, customers: string[]): Promise<void> {
  await sandbox("/faults", undefined, "DELETE");
  for (let call = 0; call < 3; call++) {
    await passTime(db, customers);
    const { failed, parked } = await report();
    assert.deepEqual([failed, parked], [0, 0]);
  }
}

/** What the check that runs every hour says of these customers. */
async function verdicts(db: postgres.Sql, customers: string[]): Promise<string[]> {
  const [begun] = await db<{ id: string }[]>`
    select coalesce(max(id), 0) as id from billing.usage_checks`;
  // Empty: everybody, from the first on.
  let after: string | null = "";
  do {
    const { status, body, text } = await operator("usage-check", { after });
    assert.equal(status, 200, text);
    after = (body as { next: string | null }).next;
  } while (after !== null);
  const found = await db<{ verdict: string; customers: string[] }[]>`
    select verdict, array_agg(distinct stripe_customer_id) as customers from billing.usage_checks
    where id > ${begun?.id ?? 0} and stripe_customer_id = any (${customers}) group by verdict`;
  return found.map(({ verdict }) => verdict);
}

/** The sandbox answers 429 (or 409) by itself only to a second call at once; faults never get as far as its log. */
function refusedForConcurrency(): number {
  const log = join(dirname(Deno.env.get("TEST_STACK") ?? ""), "logs", "stripe.log");
  return readFileSync(log, "utf8").split("\n")
    .filter((line) => / stripe (409|429) POST \/v1\/billing\/meter_event/.test(line)).length;
}
