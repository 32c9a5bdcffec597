import assert from "node:assert/strict";
import { type Fault, quiet, sandbox } from "../support/sandbox.ts";
import { eventually, request, sql, stripe } from "../support/stack.ts";
import {
  aMoment,
  choose,
  consume,
  consumed,
  HOUR,
  lines,
  myOverage,
  newestInvoice,
  passTo,
  payer,
  payerInRealTime,
  periodEnd,
  PRO_ALLOWANCE,
  verdicts,
} from "../support/usage.ts";

for (const when of ["cancel_now", "cancel"] as const) {
  Deno.test(`${when} with usage that is not billed yet bills it`, async () => {
    const { person, customer, clock, subscription } = when === "cancel"
      ? await payer(when)
      : await payerInRealTime(when);
    assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
    await consumed(person, PRO_ALLOWANCE + 10);
    await aMoment();
    const end = await periodEnd(subscription);
    const answer = await request("/functions/v1/subscription", {
      token: person.token,
      body: { action: when },
    });
    assert.equal(answer.status, 200, answer.text);
    if (when === "cancel") {
      await consumed(person, 1);
      await passTo(clock, end + 60);
      await quiet();
      await passTo(clock, end + 2 * HOUR);
    }
    const last = await newestInvoice(customer);
    assert.equal(last.total, when === "cancel" ? 22 : 20, JSON.stringify(await lines(last.id)));
    assert.deepEqual(await verdicts(customer), { equal: 1 });
    assert.equal((await consume(person, 1)).status, 429);
    assert.equal((await myOverage(person)).enabled, false);
  });
}

Deno.test("cancel_now bills also what failed before and waits for a later attempt", async () => {
  const { person, customer } = await payerInRealTime("backoff");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 10);
  await aMoment();
  const db = sql({ max: 1 });
  await db`select public.claim_usage(100, ${customer})`;
  await db`
    update billing.usage_outbox set attempts = 6, next_attempt_at = now() + interval '1 hour'
    where stripe_customer_id = ${customer}`;
  await db.end();
  const answer = await request("/functions/v1/subscription", {
    token: person.token,
    body: { action: "cancel_now" },
  });
  assert.equal(answer.status, 200, answer.text);
  assert.equal((await newestInvoice(customer)).total, 20);
});

Deno.test("nothing ends while usage is on its way and nobody knows how it goes", async () => {
  const { person, customer, subscription } = await payerInRealTime("leased");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 10);
  const db = sql({ max: 1 });
  try {
    await db`select public.claim_usage(100, ${customer})`;
    await db`select * from public.lease_usage(100, ${customer})`;
    const answer = await request("/functions/v1/subscription", {
      token: person.token,
      body: { action: "cancel_now" },
    });
    assert.equal(answer.status, 502, answer.text);
    assert.equal((await stripe().subscriptions.retrieve(subscription)).status, "active");
  } finally {
    await db`
      select public.usage_failed(o.id, 'the test is over') from billing.usage_outbox o
      where o.stripe_customer_id = ${customer} and o.status = 'pending'`;
    await db.end();
  }
});

Deno.test("while a subscription ends nothing more is admitted that its last invoice would miss", async () => {
  const { person, customer, subscription } = await payerInRealTime("window");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 10);
  await aMoment();
  const { id } = await sandbox<Fault>("/faults", {
    kind: "delay",
    ms: 2_000,
    times: 1,
    match: { method: "DELETE", path: `/v1/subscriptions/${subscription}` },
  });
  try {
    const ending = request("/functions/v1/subscription", {
      token: person.token,
      body: { action: "cancel_now" },
    });
    await eventually(
      () => sandbox<{ data: Fault[] }>("/faults"),
      ({ data }) => data.some((fault) => fault.id === id && fault.hits.length > 0),
    );
    assert.equal((await consume(person, 1)).status, 429);
    assert.equal((await ending).status, 200);
  } finally {
    await sandbox(`/faults/${id}`, undefined, "DELETE");
  }
  assert.equal((await newestInvoice(customer)).total, 20);
});

Deno.test("a year that was cancelled keeps its end when pay as you go is switched on", async () => {
  const { person, clock, subscription } = await payer("ending", "pro_yearly");
  const year = await periodEnd(subscription);
  const cancelled = await request("/functions/v1/subscription", {
    token: person.token,
    body: { action: "cancel" },
  });
  assert.equal(cancelled.status, 200, cancelled.text);
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  const ending = await stripe().subscriptions.retrieve(subscription);
  assert.deepEqual([ending.items.data.length, ending.cancel_at], [3, year]);
  await passTo(clock, await periodEnd(subscription) + 60);
  await quiet();
  assert.equal((await stripe().subscriptions.retrieve(subscription)).status, "active");
});
