import assert from "node:assert/strict";
import fc from "fast-check";
import type postgres from "postgres";
import { priceOf, quiet, sandbox } from "../support/sandbox.ts";
import { sql } from "../support/stack.ts";
import { lifecycles, type Schedule, schedules } from "./schedule.ts";
import { differences, ending } from "./truth.ts";
import { createSubject, live, settle } from "./world.ts";
import type { Subject } from "./lifecycle.ts";

/** Schedules that run side by side, each with a customer of its own. */
const AT_A_TIME = 50;
const RUNS = Number(Deno.env.get("CHAOS_RUNS") ?? 500);
const SEED = Number(Deno.env.get("CHAOS_SEED") ?? Math.floor(Math.random() * 2 ** 31));
/** Of the second property: lifecycles, each lived by this many people under as many schedules. */
const LIFECYCLES = Math.ceil(RUNS / 100);
const PEOPLE = 25;

Deno.test(`chaos: ${RUNS} schedules end where Stripe is (seed ${SEED})`, async () => {
  await inChaos(async (world) => {
    const batches = fc.array(schedules, { minLength: AT_A_TIME, maxLength: AT_A_TIME });
    let done = 0;
    await check(batches, Math.ceil(RUNS / AT_A_TIME), async (batch) => {
      await everybodyLives(world, batch);
      done += batch.length;
    });
    assert.ok(done >= RUNS, `${done} schedules`);
  });
});

Deno.test(`chaos: one lifecycle ends the same under every schedule (seed ${SEED})`, async () => {
  await inChaos(async (world) => {
    await check(lifecycles(PEOPLE), LIFECYCLES, async ({ actions, arrivals }) => {
      const batch = arrivals.map((ofOne) => ({
        steps: actions.flatMap((action, index) => {
          const arrival = ofOne[index];
          return arrival === undefined ? [] : [{ action, arrival }];
        }),
      }));
      const subjects = await everybodyLives(world, batch);
      const endings = await Promise.all(subjects.map((subject) => ending(world.db, subject)));
      assert.deepEqual([...new Set(endings)], endings.slice(0, 1), actions.join(", "));
    });
  });
});

interface World {
  db: postgres.Sql;
  prices: ReadonlyMap<string, string>;
}

/** Everything that is delivered waits until the test lets it go. */
async function inChaos(work: (world: World) => Promise<void>): Promise<void> {
  const db = sql({ max: 20 });
  const prices = new Map<string, string>();
  for (const key of ["pro_monthly", "business_monthly"]) prices.set(key, await priceOf(key));
  await quiet();
  await sandbox("/delivery", { mode: "hold" });
  try {
    await settle(db, []);
    await work({ db, prices });
  } finally {
    await sandbox("/faults", undefined, "DELETE");
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
}

/** Shrinking would take as long again; what failed is printed whole, and the seed repeats it. */
async function check<T>(
  arbitrary: fc.Arbitrary<T>,
  numRuns: number,
  property: (value: T) => Promise<void>,
): Promise<void> {
  try {
    const asyncProperty = fc.asyncProperty(arbitrary, property);
    await fc.assert(asyncProperty, { numRuns, seed: SEED, endOnFailure: true });
  } catch (error) {
    console.error(`Repeat with: npm run test:chaos -- --runs ${RUNS} --seed ${SEED}`);
    throw error;
  }
}

async function everybodyLives({ db, prices }: World, batch: Schedule[]): Promise<Subject[]> {
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
  return subjects;
}
