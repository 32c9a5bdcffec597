import assert from "node:assert/strict";
import fc from "fast-check";
import { priceOf, quiet, sandbox } from "../support/sandbox.ts";
import { sql } from "../support/stack.ts";
import { type Schedule, schedules } from "./schedule.ts";
import { differences } from "./truth.ts";
import { createSubject, live, settle } from "./world.ts";

/** Schedules that run side by side, each with a customer of its own. */
const AT_A_TIME = 50;
const RUNS = Number(Deno.env.get("CHAOS_RUNS") ?? 500);
const SEED = Number(Deno.env.get("CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));

Deno.test(`chaos: ${RUNS} schedules end where Stripe is (seed ${SEED})`, async () => {
  const db = sql({ max: 20 });
  const prices = new Map<string, string>();
  for (const key of ["pro_monthly", "business_monthly"]) prices.set(key, await priceOf(key));
  await quiet();
  await sandbox("/delivery", { mode: "hold" });
  let done = 0;
  try {
    await settle(db, []);
    await fc.assert(
      fc.asyncProperty(
        fc.array(schedules, { minLength: AT_A_TIME, maxLength: AT_A_TIME }),
        async (batch) => {
          await oneBatch(batch);
          done += batch.length;
        },
      ),
      // Shrinking would take as long again; what failed is printed whole, and the seed repeats it.
      { numRuns: Math.ceil(RUNS / AT_A_TIME), seed: SEED, endOnFailure: true },
    );
    assert.ok(done >= RUNS, `${done} schedules`);
  } catch (error) {
    console.error(`Repeat with: npm run test:chaos -- --runs ${RUNS} --seed ${SEED}`);
    throw error;
  } finally {
    await sandbox("/faults", undefined, "DELETE");
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }

  async function oneBatch(batch: Schedule[]): Promise<void> {
    const subjects = await Promise.all(batch.map(() => createSubject(db)));
    await Promise.all(subjects.map(async (subject, index) => {
      const schedule = batch[index];
      if (schedule) await live(db, subject, schedule, prices);
    }));
    await settle(db, subjects.map(({ customer }) => customer));
    const wrong = await Promise.all(subjects.map(async (subject, index) => {
      const found = await differences(db, subject);
      return found.length === 0
        ? []
        : [`${subject.customer}:\n  ${found.join("\n  ")}\n  ${JSON.stringify(batch[index])}`];
    }));
    assert.equal(wrong.flat().join("\n"), "");
  }
});
