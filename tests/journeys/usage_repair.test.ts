import assert from "node:assert/strict";
import type postgres from "postgres";
import { createPayers, passTime, type Payer, report } from "../chaos/usage_world.ts";
import { run } from "../support/run.ts";
import { operator, priceOf, sandbox } from "../support/sandbox.ts";
import { sql, stack, stripe } from "../support/stack.ts";

/** One subscriber beyond the allowance, and what an operator does with their usage. */
async function withPayer(work: (db: postgres.Sql, payer: Payer) => Promise<void>): Promise<void> {
  const db = sql({ max: 2 });
  const prices = new Map<string, string>();
  for (const key of ["pro_monthly", "pro_message_overage", "pro_tool_overage"]) {
    prices.set(key, await priceOf(key));
  }
  try {
    const [payer] = await createPayers(db, prices, 1);
    assert.ok(payer);
    await work(db, payer);
  } finally {
    await sandbox("/faults", undefined, "DELETE");
    await db.end();
  }
}

/** Uses so many messages and has them made into a row of the outbox, which is not sent yet. */
async function claimed(db: postgres.Sql, payer: Payer, quantity: number): Promise<string> {
  await db`select public.consume_usage(${payer.userId}, 'message', ${quantity})`;
  await db`select public.claim_usage(100, ${payer.customer})`;
  const [row] = await db<{ id: string }[]>`
    select id from billing.usage_outbox where stripe_customer_id = ${payer.customer} and kind = 'event'
    order by id desc limit 1`;
  return row?.id ?? "";
}

async function used(db: postgres.Sql, payer: Payer, quantity: number): Promise<string> {
  const id = await claimed(db, payer, quantity);
  await report();
  return id;
}

async function counted({ customer }: Payer): Promise<number> {
  const { meters } = await sandbox<
    { meters: { event_name: string; aggregated_value: number | null }[] }
  >(`/state?customer=${customer}`);
  const meter = meters.find(({ event_name }) => event_name === "tollgate_message");
  return meter?.aggregated_value ?? 0;
}

async function verdicts({ customer }: Payer): Promise<Record<string, number>> {
  const { status, body, text } = await operator("usage-check", { customer });
  assert.equal(status, 200, text);
  return (body as { verdicts: Record<string, number> }).verdicts;
}

async function ledger(db: postgres.Sql, { customer }: Payer): Promise<unknown[]> {
  const [row] = await db<{ quantity: string; corrected: string; amount_minor: string }[]>`
    select quantity, corrected, trim_scale(amount_minor) as amount_minor
    from billing.overage_usage where stripe_customer_id = ${customer} and metric_id = 'message'`;
  return [row?.quantity, row?.corrected, row?.amount_minor];
}

async function statusOf(db: postgres.Sql, id: string): Promise<unknown[]> {
  const [row] = await db<{ status: string; parked_reason: string | null; problem: boolean }[]>`
    select o.status, o.parked_reason, exists (
      select from billing.problems p
      where p.kind = 'usage_parked' and p.subject = o.identifier and p.resolved_at is null
    ) as problem
    from billing.usage_outbox o where o.id = ${id}`;
  return [row?.status, row?.parked_reason, row?.problem];
}

Deno.test("what an operator takes back Stripe does not bill, and the ledger says so", async () => {
  await withPayer(async (db, payer) => {
    const first = await used(db, payer, 10);
    await used(db, payer, 7);
    assert.equal(await counted(payer), 17);
    await db`select billing.correct_usage(${first}, 'They were ours')`;
    assert.deepEqual(await ledger(db, payer), ["17", "10", "14"]);
    await report();
    assert.equal(await counted(payer), 7);
    assert.deepEqual(await verdicts(payer), { equal: 1 });
    // Twice is refused, and reporting goes on.
    await assert.rejects(db`select billing.correct_usage(${first}, 'Again')`, /duplicate key/);
    await used(db, payer, 1);
    assert.equal(await counted(payer), 8);
    assert.deepEqual(await verdicts(payer), { equal: 1 });
  });
});

for (const kind of ["timeout_after", "timeout_before"] as const) {
  Deno.test(`a correction whose answer is lost (${kind}) is made once`, async () => {
    await withPayer(async (db, payer) => {
      const first = await used(db, payer, 10);
      const correction = db<{ id: string }[]>`
        select billing.correct_usage(${first}, 'They were ours') as id`;
      const id = (await correction)[0]?.id ?? "";
      await sandbox("/faults", {
        kind,
        times: 3,
        match: { path: "/v1/billing/meter_event_adjustments", contains: payer.customer },
      });
      await report();
      assert.deepEqual(await statusOf(db, id), ["pending", null, false]);
      assert.deepEqual(
        await verdicts(payer),
        kind === "timeout_after" ? { under_way: 1 } : { equal: 1 },
      );
      await passTime(db, [payer.customer]);
      await report();
      assert.deepEqual(await statusOf(db, id), ["sent", null, false]);
      assert.equal(await counted(payer), 0);
      assert.deepEqual(await verdicts(payer), { equal: 1 });
    });
  });
}

Deno.test("usage too old for Stripe is parked, and what comes after it is not held up", async () => {
  await withPayer(async (db, payer) => {
    const old = await claimed(db, payer, 5);
    await db`update billing.usage_outbox set event_time = now() - interval '36 days' where id = ${old}`;
    const next = await used(db, payer, 2);
    assert.deepEqual(await statusOf(db, old), ["parked", "too_old", true]);
    assert.deepEqual(await statusOf(db, next), ["sent", null, false]);
    assert.equal(await counted(payer), 2);
    assert.deepEqual(await verdicts(payer), { parked: 1 });
  });
});

Deno.test("usage that may have got through a day ago waits for an operator, who knows what to do", async (t) => {
  const uncertain = (db: postgres.Sql, id: string) =>
    db`update billing.usage_outbox set uncertain_since = now() - interval '1 day' where id = ${id}`;
  await t.step("Stripe does not have it: retry_usage", async () => {
    await withPayer(async (db, payer) => {
      const id = await claimed(db, payer, 5);
      await uncertain(db, id);
      await report();
      assert.deepEqual(await statusOf(db, id), ["parked", "uncertain", true]);
      await db`select billing.retry_usage(${id})`;
      await report();
      assert.deepEqual(await statusOf(db, id), ["sent", null, false]);
      assert.deepEqual([await counted(payer), await verdicts(payer)], [5, { equal: 1 }]);
    });
  });
  await t.step("Stripe has it: usage_sent", async () => {
    await withPayer(async (db, payer) => {
      const id = await claimed(db, payer, 5);
      await stripe().billing.meterEvents.create({
        event_name: "tollgate_message",
        payload: { stripe_customer_id: payer.customer, value: "5" },
      });
      await uncertain(db, id);
      await report();
      assert.deepEqual(await verdicts(payer), { parked: 1 });
      await db`select public.usage_sent(${id})`;
      assert.deepEqual(await statusOf(db, id), ["sent", null, false]);
      assert.deepEqual([await counted(payer), await verdicts(payer)], [5, { equal: 1 }]);
    });
  });
});

Deno.test("a customer whom Stripe does not know is checked like the others, and stops nobody's check", async () => {
  await withPayer(async (db, payer) => {
    await used(db, payer, 5);
    const customer = `cus_gone${crypto.randomUUID().replaceAll("-", "")}`;
    await db`
      insert into billing.overage_usage (
        stripe_customer_id, metric_id, period_start, period_end, quantity, amount_minor
      ) values (${customer}, 'message', now(), now() + interval '1 month', 2, 4)`;
    await report();
    assert.deepEqual(await verdicts({ ...payer, customer }), { parked: 1 });
  });
});

Deno.test("npm run usage:check prints what is not equal, and ends with 2 when Stripe has another number", async () => {
  await withPayer(async (db, payer) => {
    await used(db, payer, 5);
    const check = () =>
      run(Deno.execPath(), ["run", "-A", "local/operator/usage_check.ts"], {
        env: { SUPABASE_URL: stack().api_url, SUPABASE_SECRET_KEY: stack().secret_key },
      });
    const before = await check();
    // Others may have left some.
    const drifted = / drift\b/.test(before.stdout);
    assert.equal(before.code, drifted ? 2 : 0, before.stdout + before.stderr);
    assert.match(before.stdout, /^\d+ checked: .*\b\d+ equal/m);
    assert.ok(!before.stdout.includes(payer.customer), before.stdout);

    // Somebody reports with our key and not through the ledger.
    await stripe().billing.meterEvents.create({
      event_name: "tollgate_message",
      identifier: `stray-${payer.customer}`,
      payload: { stripe_customer_id: payer.customer, value: "3" },
    });
    const after = await check();
    assert.equal(after.code, 2, after.stdout + after.stderr);
    const line = after.stdout.split("\n").find((text) => text.startsWith(payer.customer)) ?? "";
    assert.deepEqual(line.split(/\s+/).slice(3), ["drift", "5", "5", "0", "0", "8"], line);
    const drifts = () =>
      db<{ resolved: boolean }[]>`
        select resolved_at is not null as resolved from billing.problems
        where kind = 'usage_drift' and subject like ${`${payer.customer} %`}`;
    assert.deepEqual([...await drifts()], [{ resolved: false }]);

    await stripe().billing.meterEventAdjustments.create({
      event_name: "tollgate_message",
      type: "cancel",
      cancel: { identifier: `stray-${payer.customer}` },
    });
    assert.deepEqual(await verdicts(payer), { equal: 1 });
    assert.deepEqual([...await drifts()], [{ resolved: true }]);
  });
});

Deno.test("the hourly check goes on where it stopped, begins again after the last, and nobody else moves it", async () => {
  const db = sql({ max: 1 });
  const checked = async (body: unknown) => {
    const answer = await operator("usage-check", body);
    assert.equal(answer.status, 200, answer.text);
    return (answer.body as { checked: number }).checked;
  };
  try {
    const [row] = await db<{ rows: number; last: string }[]>`
      select count(*)::int as rows, max(stripe_customer_id) as last from billing.overage_usage
      where period_end > now() - interval '100 days'`;
    assert.ok(row && row.rows > 0);
    // As a run leaves it whose time was up.
    await db`select public.move_usage_check(${row.last})`;
    assert.equal(await checked({ after: "" }), row.rows, "an operator sees everybody");
    assert.equal(await checked({ customer: row.last }) > 0, true);
    assert.equal(await checked({}), 0, "the last one was done");
    assert.ok(await checked({}) >= row.rows, "and the next round begins with the first");
    assert.equal((await db`select public.usage_check_cursor() as after`)[0]?.["after"], "");
  } finally {
    await db.end();
  }
});
