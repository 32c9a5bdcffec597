import assert from "node:assert/strict";
import { quiet } from "../support/sandbox.ts";
import { eventually, request, signUp, sql, stripe } from "../support/stack.ts";
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
  periodEndBefore,
  PRO_ALLOWANCE,
  report,
  verdicts,
} from "../support/usage.ts";

Deno.test("beyond the allowance a payer who said yes goes on, and the invoice says what it was", async (t) => {
  const { person, customer, clock, subscription } = await payer("overage");
  await t.step("without a yes the day ends with 429", async () => {
    await consumed(person, PRO_ALLOWANCE);
    assert.equal((await consume(person, 1)).status, 429);
  });
  await t.step("a yes puts the metered items into the subscription", async () => {
    const { status, overage, text } = await choose(person, { enabled: true, cap_minor: 1_000 });
    assert.equal(status, 200, text);
    assert.deepEqual([overage.enabled, overage.attached, overage.spent_minor], [true, true, 0]);
    const { items } = await stripe().subscriptions.retrieve(subscription);
    assert.equal(items.data.length, 3);
    // Said again, nothing is added.
    assert.equal((await choose(person, { enabled: true, cap_minor: 2_000 })).status, 200);
    assert.equal((await stripe().subscriptions.retrieve(subscription)).items.data.length, 3);
  });
  await t.step("messages and tools go on, and are counted to the cent", async () => {
    const conversation = crypto.randomUUID();
    await person.client.from("conversations").insert({ id: conversation });
    const { error } = await person.client.from("messages")
      .insert({ conversation_id: conversation, role: "user", content: "One more" });
    assert.equal(error, null);
    await consumed(person, 9);
    await consumed(person, 203, "tool");
    const { spent_minor, metrics } = await myOverage(person);
    assert.equal(spent_minor, 10 * 2 + 3);
    assert.deepEqual(metrics.map(({ metric, quantity }) => [metric, quantity]).toSorted(), [
      ["message", 10],
      ["tool", 3],
    ]);
  });
  await t.step(
    "what was reported, what is here and what Stripe counted is one number",
    async () => {
      const { sent, failed, parked } = await report();
      assert.ok(sent >= 2);
      assert.deepEqual([failed, parked], [0, 0]);
      assert.deepEqual(await verdicts(customer), { equal: 2 });
    },
  );
  await t.step("what nobody reported before the period's end is on its invoice too", async () => {
    await consumed(person, 5);
    await passTo(clock, await periodEnd(subscription) + 60);
    await quiet();
    await passTo(clock, await periodEndBefore(subscription) + 2 * HOUR);
    const invoice = await newestInvoice(customer);
    const found = await lines(invoice.id);
    assert.ok(found.some(([quantity, amount]) => quantity === 15 && amount === 30), String(found));
    assert.ok(found.some(([quantity, amount]) => quantity === 3 && amount === 3), String(found));
    assert.equal(invoice.total, 1_500 + 30 + 3);
    assert.deepEqual(await verdicts(customer), { equal: 2 });
    await eventually(
      async () =>
        (await person.client.from("invoices").select("total_minor").eq("id", invoice.id)).data,
      (rows) => rows?.[0]?.total_minor === 1_533,
    );
  });
  await t.step("a new period begins at zero", async () => {
    const { spent_minor, enabled } = await eventually(
      () => myOverage(person),
      (overage) => overage.spent_minor === 0,
    );
    assert.deepEqual([spent_minor, enabled], [0, true]);
  });
});

Deno.test("at the cap it stops with 402, raised it goes on, and a no ends it", async () => {
  const { person } = await payer("capped");
  await consumed(person, PRO_ALLOWANCE - 50);
  await consumed(person, 50);
  assert.equal((await choose(person, { enabled: true, cap_minor: 12 })).status, 200);
  await consumed(person, 4);
  await consumed(person, 1);
  await consumed(person, 1);
  const refused = await consume(person, 1);
  assert.equal(refused.status, 402, refused.text);
  const { code, details } = refused.body as { code: string; details: string };
  assert.equal(code, "spending_cap_reached");
  assert.deepEqual(
    { ...JSON.parse(details), period_end: "" },
    { metric: "message", cap_minor: 12, spent_minor: 12, currency: "usd", period_end: "" },
  );
  assert.equal((await myOverage(person)).spent_minor, 12);
  assert.equal((await choose(person, { enabled: true, cap_minor: 14 })).status, 200);
  await consumed(person, 1);
  assert.equal((await consume(person, 1)).status, 402);
  assert.equal((await choose(person, { enabled: false })).overage.enabled, false);
  assert.equal((await consume(person, 1)).status, 429);
  const { data } = await person.client.from("notifications").select("kind, threshold");
  const kinds = (data ?? []).map(({ kind, threshold }) => `${kind} ${threshold}`);
  for (const kind of ["allowance 80", "allowance 100", "spending_cap 80", "spending_cap 100"]) {
    assert.ok(kinds.includes(kind), `${kind} in ${kinds}`);
  }
});

Deno.test("Free cannot, nonsense cannot, and a stranger cannot", async () => {
  const person = await signUp("freeloader");
  const refused = await choose(person, { enabled: true, cap_minor: 1_000 });
  assert.equal(refused.status, 403, refused.text);
  assert.equal(
    (refused.body as { error: { code: string } }).error.code,
    "overage_not_available",
  );
  const { person: paying } = await payer("nonsense");
  for (const cap_minor of [0, -1, 10_000_001]) {
    assert.equal((await choose(paying, { enabled: true, cap_minor })).status, 422, `${cap_minor}`);
  }
  assert.equal((await choose(paying, { enabled: true })).status, 422);
  for (const body of [{ enabled: "yes" }, { enabled: true, cap_minor: 1.5 }, {}, { user_id: 1 }]) {
    assert.equal((await choose(paying, body)).status, 400, JSON.stringify(body));
  }
  const visitor = await request("/functions/v1/overage", { body: { enabled: false } });
  assert.equal(visitor.status, 401);
  for (const name of ["usage-sync", "usage-check"]) {
    const { status } = await request(`/functions/v1/${name}`, { token: paying.token, body: {} });
    assert.equal(status, 401, name);
  }
  const direct = await request("/rest/v1/rpc/consume_usage", {
    token: paying.token,
    body: { p_user_id: person.id, p_metric: "message", p_quantity: 1 },
  });
  assert.ok([401, 403, 404].includes(direct.status), direct.text);
});

Deno.test("ten tabs that say yes at once add the items once", async () => {
  const { person, subscription } = await payer("tabs");
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => choose(person, { enabled: true, cap_minor: 1_000 })),
  );
  // Stripe answers a request that comes while its like is under way with 409, which the SDK repeats for a while.
  for (const { status, text } of answers) assert.ok(status === 200 || status === 502, text);
  assert.equal((await stripe().subscriptions.retrieve(subscription)).items.data.length, 3);
});

Deno.test("the RPC alone is enough: usage-sync puts the items there, and until then nothing is admitted", async () => {
  const { person, subscription } = await payer("rpc");
  await consumed(person, PRO_ALLOWANCE);
  const { error } = await person.client.rpc("set_overage", { p_enabled: true, p_cap_minor: 100 });
  assert.equal(error, null);
  assert.equal((await consume(person, 1)).status, 429);
  await report();
  assert.equal((await stripe().subscriptions.retrieve(subscription)).items.data.length, 3);
  await consumed(person, 1);
});

Deno.test("another plan in mid-period: what was used until then costs what it did, the rest the new price", async () => {
  const { person, customer, subscription } = await payerInRealTime("upgrade");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 10);
  await aMoment();
  const preview = await request("/functions/v1/subscription", {
    token: person.token,
    body: { action: "preview", lookup_key: "business_monthly" },
  });
  assert.equal(preview.status, 200, preview.text);
  const { proration_date } = preview.body as { proration_date: number };
  const change = await request("/functions/v1/subscription", {
    token: person.token,
    body: { action: "change", lookup_key: "business_monthly", proration_date },
  });
  assert.equal(change.status, 200, change.text);
  const keys = (await stripe().subscriptions.retrieve(subscription)).items.data
    .map(({ price }) => price.lookup_key).toSorted();
  assert.deepEqual(keys, [
    "business_message_overage",
    "business_monthly",
    "business_tool_overage",
  ]);
  await aMoment();
  await consumed(person, 2_000 - PRO_ALLOWANCE - 10 + 10 + 4);
  const overage = await myOverage(person);
  assert.equal(overage.metrics.find(({ metric }) => metric === "message")?.unit_amount_minor, 1.5);
  await aMoment();
  await report();
  const { data: items } = await stripe().invoiceItems.list({ customer });
  assert.ok(items.some(({ quantity, amount }) => quantity === 10 && amount === 20));
  const next = await stripe().invoices.createPreview({ subscription });
  const found = next.lines.data.map(({ quantity, amount }) => [quantity, amount]);
  assert.ok(found.some(([quantity, amount]) => quantity === 14 && amount === 21), String(found));
  assert.deepEqual(await verdicts(customer), { equal: 1 });
});

Deno.test("who pays in euros pays overage in euros, at the price in euros", async () => {
  const { person, customer, clock, subscription } = await payer("euros", "pro_monthly", "eur");
  const { overage } = await choose(person, { enabled: true, cap_minor: 5_000 });
  assert.equal(overage.currency, "eur");
  await consumed(person, PRO_ALLOWANCE + 10);
  assert.equal((await myOverage(person)).spent_minor, 19);
  await passTo(clock, await periodEnd(subscription) + 60);
  await quiet();
  await passTo(clock, await periodEndBefore(subscription) + 2 * HOUR);
  const invoice = await newestInvoice(customer);
  assert.deepEqual([invoice.currency, invoice.total], ["eur", 1_400 + 19]);
});

Deno.test("a yearly plan bills its overage every month", async () => {
  const { person, customer, clock, subscription } = await payer("yearly", "pro_yearly");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 7);
  await report();
  const month = await periodEnd(subscription);
  await passTo(clock, month + 60);
  await quiet();
  await passTo(clock, month + 2 * HOUR);
  const invoice = await newestInvoice(customer);
  assert.deepEqual([invoice.total, invoice.status], [14, "paid"]);
  assert.deepEqual(await verdicts(customer), { equal: 1 });
});

Deno.test("usage that Stripe took and did not count is parked, with Stripe's reason", async () => {
  const { person, customer } = await payer("thin");
  assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
  await consumed(person, PRO_ALLOWANCE + 3);
  const db = sql({ max: 1 });
  try {
    await db`select public.claim_usage(100, ${customer})`;
    const [row] = await db<{ identifier: string }[]>`
      select identifier from billing.usage_outbox where stripe_customer_id = ${customer}`;
    // Sent as a version of us that uses the other API would: accepted first, and refused in a report afterwards.
    await stripe().v2.billing.meterEvents.create({
      event_name: "tollgate_message",
      identifier: row?.identifier ?? "",
      payload: { stripe_customer_id: "cus_nobody", value: "3" },
    });
    const parked = await eventually(
      () =>
        db<{ status: string; parked_reason: string }[]>`
        select status, parked_reason from billing.usage_outbox where identifier = ${
          row?.identifier ?? ""
        }`,
      ([found]) => found?.status === "parked",
    );
    assert.match(parked[0]?.parked_reason ?? "", /customer/);
    const [problem] = await db`
      select from billing.problems where kind = 'usage_parked' and subject = ${
      row?.identifier ?? ""
    }`;
    assert.ok(problem);
    assert.deepEqual(await verdicts(customer), { parked: 1 });
  } finally {
    await db.end();
  }
});
