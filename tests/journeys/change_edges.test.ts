import assert from "node:assert/strict";
import { counting, priceOf, quiet, sandbox } from "../support/sandbox.ts";
import { eventually, type Person, request, sql, stripe } from "../support/stack.ts";
import {
  breakCard,
  call,
  change,
  type Changed,
  entitlements,
  ok,
  type Preview,
  refused,
  subscribed,
} from "../support/subscription.ts";

async function paid(customer: string): Promise<number[]> {
  const { data } = await stripe().invoices.list({ customer, status: "paid" });
  return data.map(({ amount_paid }) => amount_paid);
}

async function refuseOnce(path: string, status = 400): Promise<void> {
  await sandbox("/faults", { kind: "status", status, times: 1, match: { method: "POST", path } });
}

for (const form of ["cancel_at_period_end", "cancel_at"] as const) {
  Deno.test(`who has cancelled (${form}) resumes first; nothing is paid for and then lost`, async () => {
    const { person, customer, subscription } = await subscribed("ending", "pro_monthly");
    const end = Math.floor(Date.now() / 1000) + 86_400;
    if (form === "cancel_at") {
      await stripe().subscriptions.update(subscription.id, { cancel_at: end });
    } else await ok(person, { action: "cancel" });
    const proration_date = Math.floor(Date.now() / 1000);
    for (const lookup_key of ["business_yearly", "business_monthly", "pro_yearly"]) {
      const expected = [409, "subscription_ending"];
      assert.deepEqual(await refused(person, { action: "preview", lookup_key }), expected);
      const body = { action: "change", lookup_key, proration_date };
      assert.deepEqual(await refused(person, body), expected);
    }
    const { body } = await call(person, { action: "preview", lookup_key: "pro_yearly" });
    const { action } = (body as { error: { action: unknown } }).error;
    assert.deepEqual(action, { function: "subscription", action: "resume" });
    assert.deepEqual(await paid(customer), [1500]);

    await ok(person, { action: "resume" });
    const changed = await change(person, "business_yearly");
    assert.equal(changed.entitlements.plan.id, "business");
    assert.equal(changed.entitlements.subscription?.ends_at, null);
  });
}

Deno.test("who has cancelled a higher plan cannot plan a lower one: 409, never 500", async () => {
  const { person } = await subscribed("endlow", "business_yearly");
  await ok(person, { action: "cancel" });
  for (const lookup_key of ["pro_monthly", "pro_yearly", "business_monthly"]) {
    const answer = await refused(person, { action: "preview", lookup_key });
    assert.deepEqual(answer, [409, "subscription_ending"]);
  }
});

Deno.test("an upgrade in a trial charges nothing, says so, and the trial goes on", async () => {
  for (
    const [lookup_key, then] of [["business_monthly", 4900], ["business_yearly", 49000]] as const
  ) {
    const terms = { trial_period_days: 14 };
    const { person, customer, subscription } = await subscribed("trial", "pro_monthly", terms);
    const preview = await ok<Preview>(person, { action: "preview", lookup_key });
    assert.deepEqual(
      [preview.kind, preview.amount_due_now_minor, preview.credit_minor, preview.lines],
      ["now", 0, 0, []],
    );
    const end = new Date((subscription.trial_end ?? 0) * 1000).toISOString();
    assert.equal(preview.next_payment_at, end);
    assert.equal(preview.next_amount_minor, then);
    const { proration_date } = preview;
    const done = await ok<Changed>(person, { action: "change", lookup_key, proration_date });
    assert.deepEqual([done.outcome, done.entitlements.plan.id], ["done", "business"]);
    assert.deepEqual((await paid(customer)).filter((amount) => amount > 0), []);
    const now = await stripe().subscriptions.retrieve(subscription.id);
    assert.deepEqual([now.status, now.trial_end], ["trialing", subscription.trial_end]);
  }
});

Deno.test("an upgrade that is declined keeps the planned change, and paying for it lets go", async () => {
  const { person, customer, subscription } = await subscribed("declined", "business_monthly");
  const { entitlements: before } = await change(person, "pro_monthly");
  await breakCard(customer);
  const tried = await change(person, "business_yearly");
  assert.equal(tried.outcome, "payment_required");
  assert.deepEqual(tried.entitlements.pending_change, before.pending_change);

  const { latest_invoice } = await stripe().subscriptions.retrieve(subscription.id);
  const visa = await stripe().paymentMethods.attach("pm_card_visa", { customer });
  await stripe().invoices.pay(String(latest_invoice), { payment_method: visa.id });
  const now = await eventually(
    () => entitlements(person),
    ({ subscription: mine }) => mine?.price_lookup_key === "business_yearly",
  );
  assert.equal(now.pending_change, null, "a paid year is not ended by an older plan");
  await eventually(
    () => stripe().subscriptions.retrieve(subscription.id),
    ({ schedule }) => schedule === null,
  );
});

Deno.test("an upgrade that Stripe refuses keeps it too; one that is cut short after the payment lets go", async () => {
  const { person, subscription } = await subscribed("cut", "business_monthly");
  const { entitlements: before } = await change(person, "pro_monthly");
  await refuseOnce(`/v1/subscriptions/${subscription.id}`);
  const wish = { action: "preview", lookup_key: "business_yearly" };
  const { proration_date } = await ok<Preview>(person, wish);
  const answer = await call(person, { ...wish, action: "change", proration_date });
  assert.equal(answer.status, 500);
  assert.deepEqual((await entitlements(person)).pending_change, before.pending_change);

  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const preview = await ok<Preview>(person, wish);
  assert.equal(preview.next_amount_minor, 49000, "not what was planned before");
  const { data: [schedule] } = await stripe().subscriptionSchedules.list({ limit: 1 });
  await refuseOnce(`/v1/subscription_schedules/${schedule?.id}/release`);
  await call(person, { ...wish, action: "change", proration_date: preview.proration_date });
  await eventually(
    () => stripe().subscriptions.retrieve(subscription.id),
    (now) => now.schedule === null,
  );
  const now = await entitlements(person);
  assert.equal(now.subscription?.price_lookup_key, "business_yearly");
  assert.equal(now.pending_change, null);
});

Deno.test("a change that was taken back can be planned again with the same preview", async () => {
  const { person } = await subscribed("again", "business_monthly");
  const wish = { action: "preview", lookup_key: "pro_monthly" };
  const { proration_date } = await ok<Preview>(person, wish);
  for (let round = 0; round < 3; round++) {
    const body = { ...wish, action: "change", proration_date };
    const { outcome, entitlements: planned } = await ok<Changed>(person, body);
    assert.equal(outcome, "done");
    assert.equal(planned.pending_change?.lookup_key, "pro_monthly");
    const { entitlements: back } = await ok<Changed>(person, { action: "resume" });
    assert.equal(back.pending_change, null);
  }
});

Deno.test("of two upgrades at once one is made, exactly as it was shown", async () => {
  const { person, customer } = await subscribed("twice", "pro_monthly");
  const keys = ["business_monthly", "pro_yearly"] as const;
  const previews = await Promise.all(
    keys.map((lookup_key) => ok<Preview>(person, { action: "preview", lookup_key })),
  );
  const answers = await Promise.all(keys.map((lookup_key, i) =>
    call(person, {
      ...{ action: "change", lookup_key },
      proration_date: previews[i]?.proration_date,
    })
  ));
  const made = answers.findIndex(({ status }) => status === 200);
  const other = answers[1 - made];
  assert.equal(other?.status, 409, other?.text);
  const { code } = (other?.body as { error: { code: string } }).error;
  assert.ok(["change_in_progress", "preview_expired"].includes(code), code);
  assert.deepEqual(await paid(customer), [previews[made]?.amount_due_now_minor, 1500]);
  const body = { action: "change", lookup_key: keys[1 - made] };
  const { proration_date } = previews[1 - made] ?? {};
  assert.deepEqual(await refused(person, { ...body, proration_date }), [409, "preview_expired"]);
});

Deno.test("three cancellations of a planned change at once, and one that breaks off half-way", async () => {
  const { person } = await subscribed("three", "business_monthly");
  await change(person, "pro_monthly");
  const answers = await Promise.all([1, 2, 3].map(() => call(person, { action: "cancel" })));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  const ended = await entitlements(person);
  assert.ok(ended.subscription?.ends_at);
  assert.deepEqual([ended.plan.id, ended.pending_change], ["business", null]);

  const { entitlements: back } = await ok<Changed>(person, { action: "resume" });
  assert.equal(back.subscription?.ends_at, null);
  await change(person, "pro_monthly");
  const { data: [schedule] } = await stripe().subscriptionSchedules.list({ limit: 1 });
  await refuseOnce(`/v1/subscription_schedules/${schedule?.id}/release`);
  assert.equal((await call(person, { action: "cancel" })).status, 500);
  await quiet();
  assert.ok((await entitlements(person)).subscription?.ends_at, "they do not pay again");
  const { entitlements: again } = await ok<Changed>(person, { action: "cancel" });
  assert.equal(again.subscription?.ends_at, ended.subscription?.ends_at);
});

Deno.test("cancel now ends a subscription whose change is planned", async () => {
  const { person } = await subscribed("endnow", "business_monthly");
  await change(person, "pro_monthly");
  const { entitlements: now } = await ok<Changed>(person, { action: "cancel_now" });
  assert.deepEqual([now.plan.id, now.pending_change], ["free", null]);
});

Deno.test("a price without tiers is not sold by quantity", async () => {
  const { person } = await subscribed("seats", "pro_monthly");
  const expected = [400, "invalid_request"];
  for (const lookup_key of ["pro_monthly", "business_monthly", "pro_yearly"]) {
    const wish = { action: "preview", lookup_key, quantity: 3 };
    assert.deepEqual(await refused(person, wish), expected);
    const proration_date = Math.floor(Date.now() / 1000);
    assert.deepEqual(
      await refused(person, { ...wish, action: "change", proration_date }),
      expected,
    );
  }
  await ok(person, { action: "preview", lookup_key: "business_monthly", quantity: 1 });
});

function portal(person: Person, body: unknown = {}) {
  return request("/functions/v1/portal", { token: person.token, body });
}

Deno.test("the portal of a customer that Stripe does not know any more is a 409; checkout goes on", async () => {
  const db = sql({ max: 1 });
  const { person, customer } = await subscribed("gone", "pro_monthly");
  await stripe().customers.del(customer);
  await quiet();
  for (const id of [customer, "cus_of_another_account"]) {
    await db`update public.customers set stripe_customer_id = ${id} where user_id = ${person.id}`;
    for (const body of [{}, { flow: "payment_method" }]) {
      const answer = await portal(person, body);
      assert.equal(answer.status, 409, answer.text);
      assert.equal((answer.body as { error: { code: string } }).error.code, "customer_not_found");
    }
  }
  const body = { lookup_key: "pro_monthly" };
  const bought = await request("/functions/v1/checkout", { token: person.token, body });
  assert.equal(bought.status, 200, bought.text);
  await db.end();
});

Deno.test("the portal changes the subscription that gives the plan, not a newer unpaid one", async () => {
  const { person, customer, subscription } = await subscribed("newer", "pro_monthly");
  await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("business_monthly") }],
    payment_behavior: "default_incomplete",
  });
  await quiet();
  const match = { path: "/v1/billing_portal/sessions", contains: subscription.id };
  const seen = await counting(match, async () => {
    for (const flow of ["cancel", "update"]) {
      const answer = await portal(person, { flow });
      assert.equal(answer.status, 200, answer.text);
    }
  });
  assert.equal(seen, 2);
});
