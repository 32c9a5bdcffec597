import assert from "node:assert/strict";
import { request, signUp, stripe } from "../support/stack.ts";
import {
  breakCard,
  call,
  type Changed,
  entitlements,
  ok,
  type Preview,
  refused,
  subscribed,
} from "../support/subscription.ts";

Deno.test("an upgrade charges at once exactly what was previewed", async () => {
  const { person, customer } = await subscribed("up", "pro_monthly");
  const preview = await ok<Preview>(person, { action: "preview", lookup_key: "business_monthly" });
  assert.equal(preview.kind, "now");
  assert.equal(preview.currency, "usd");
  assert.ok(preview.credit_minor > 0 && preview.credit_minor <= 1500, `${preview.credit_minor}`);
  const sum = preview.lines.reduce((total, line) => total + line.amount_minor, 0);
  assert.equal(preview.amount_due_now_minor, sum);
  assert.equal(preview.next_amount_minor, 4900);
  assert.equal((await entitlements(person)).plan.id, "pro", "a preview changes nothing");

  const changed = await ok<Changed>(person, {
    action: "change",
    lookup_key: "business_monthly",
    proration_date: preview.proration_date,
  });
  assert.deepEqual([changed.kind, changed.outcome, changed.payment_url], ["now", "done", null]);
  assert.equal(changed.entitlements.plan.id, "business");
  const { data } = await stripe().invoices.list({ customer, limit: 1 });
  assert.equal(data[0]?.amount_paid, preview.amount_due_now_minor);
  assert.deepEqual(
    await refused(person, { action: "preview", lookup_key: "business_monthly" }),
    [409, "already_on_price"],
  );
});

Deno.test("a month becomes a year at once, and its next payment is a year away", async () => {
  const { person } = await subscribed("year", "pro_monthly");
  const preview = await ok<Preview>(person, { action: "preview", lookup_key: "pro_yearly" });
  assert.deepEqual([preview.kind, preview.next_amount_minor], ["now", 15000]);
  const days = (new Date(preview.next_payment_at).getTime() - Date.now()) / 86_400_000;
  assert.ok(days > 364 && days < 367, `${days} days`);
  const changed = await ok<Changed>(person, {
    action: "change",
    lookup_key: "pro_yearly",
    proration_date: preview.proration_date,
  });
  assert.equal(changed.entitlements.subscription?.price_lookup_key, "pro_yearly");
});

for (
  const [from, to, plan] of [
    ["business_monthly", "pro_monthly", "business"],
    ["pro_yearly", "pro_monthly", "pro"],
  ] as const
) {
  Deno.test(`${from} to ${to} happens when the period is over, and can be taken back`, async () => {
    const { person, subscription } = await subscribed("down", from);
    const end = subscription.items.data[0]?.current_period_end ?? 0;
    const preview = await ok<Preview>(person, { action: "preview", lookup_key: to });
    assert.deepEqual(
      [preview.kind, preview.amount_due_now_minor, preview.lines, preview.next_amount_minor],
      ["at_period_end", 0, [], 1500],
    );
    const changed = await ok<Changed>(person, {
      action: "change",
      lookup_key: to,
      proration_date: preview.proration_date,
    });
    assert.deepEqual([changed.kind, changed.outcome], ["at_period_end", "done"]);
    assert.equal(changed.entitlements.plan.id, plan, "until then nothing changes");
    assert.equal(changed.entitlements.pending_change?.lookup_key, to);
    const at = new Date(changed.entitlements.pending_change?.at ?? 0).getTime() / 1000;
    assert.equal(at, end);

    const { entitlements: back } = await ok<Changed>(person, { action: "resume" });
    assert.deepEqual([back.pending_change, back.plan.id], [null, plan]);
  });
}

Deno.test("cancel, resume, cancel again, cancel now", async (t) => {
  const { person, subscription } = await subscribed("leave", "pro_monthly");
  await t.step("cancel keeps the plan until the period ends", async () => {
    const { entitlements: now } = await ok<Changed>(person, { action: "cancel" });
    assert.equal(now.plan.id, "pro");
    assert.ok(now.subscription?.ends_at);
  });
  await t.step("resume takes it back", async () => {
    const { entitlements: now } = await ok<Changed>(person, { action: "resume" });
    assert.equal(now.subscription?.ends_at, null);
  });
  await t.step("also Stripe's other form, and it can be said again", async () => {
    const end = subscription.items.data[0]?.current_period_end ?? 0;
    await stripe().subscriptions.update(subscription.id, { cancel_at: end - 86_400 });
    const { entitlements: now } = await ok<Changed>(person, { action: "resume" });
    assert.equal(now.subscription?.ends_at, null);
    const again = await ok<Changed>(person, { action: "cancel" });
    assert.ok(again.entitlements.subscription?.ends_at);
  });
  await t.step("cancel now ends it now", async () => {
    const { entitlements: now } = await ok<Changed>(person, { action: "cancel_now" });
    assert.deepEqual([now.plan.id, now.subscription], ["free", null]);
  });
  await t.step("then there is nothing to change", async () => {
    for (const action of ["cancel", "resume", "cancel_now"]) {
      assert.deepEqual(await refused(person, { action }), [409, "subscription_not_found"]);
    }
  });
});

Deno.test("an upgrade whose card is declined leaves the old plan, and a way to pay", async () => {
  const { person, customer } = await subscribed("broke", "pro_monthly");
  await breakCard(customer);
  const { proration_date } = await ok<Preview>(person, {
    action: "preview",
    lookup_key: "business_monthly",
  });
  const answer = await call(person, {
    action: "change",
    lookup_key: "business_monthly",
    proration_date,
  });
  if (answer.status === 200) {
    const { outcome, payment_url, entitlements: now } = answer.body as Changed;
    assert.equal(outcome, "payment_required");
    assert.match(payment_url ?? "", /^http/);
    assert.equal(now.plan.id, "pro");
  } else {
    assert.equal(answer.status, 402, answer.text);
  }
  assert.equal((await entitlements(person)).plan.id, "pro");
});

Deno.test("a preview that is no longer true is refused, and so is nonsense", async () => {
  const { person } = await subscribed("late", "pro_monthly");
  const change = { action: "change", lookup_key: "business_monthly" };
  const now = Math.floor(Date.now() / 1000);
  for (const proration_date of [now - 16 * 60, now + 3_600]) {
    assert.deepEqual(await refused(person, { ...change, proration_date }), [
      409,
      "preview_expired",
    ]);
  }
  // Another tab was quicker: what was billed since makes the older preview untrue.
  const { proration_date } = await ok<Preview>(person, {
    action: "preview",
    lookup_key: "business_yearly",
  });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const other = await ok<Preview>(person, { action: "preview", lookup_key: "pro_yearly" });
  await ok(person, {
    action: "change",
    lookup_key: "pro_yearly",
    proration_date: other.proration_date,
  });
  assert.deepEqual(
    await refused(person, { action: "change", lookup_key: "business_yearly", proration_date }),
    [409, "preview_expired"],
  );
  assert.deepEqual(await refused(person, { action: "preview", lookup_key: "gold" }), [
    404,
    "price_not_found",
  ]);
  for (
    const body of [
      {},
      { action: "upgrade" },
      { action: "cancel", subscription: "sub_other" },
      { action: "preview", lookup_key: "pro_yearly", quantity: 0 },
      { action: "change", lookup_key: "pro_yearly" },
    ]
  ) {
    assert.deepEqual(await refused(person, body), [400, "invalid_request"]);
  }
});

Deno.test("somebody without a subscription, or without a session, changes nothing", async () => {
  const person = await signUp("none");
  assert.deepEqual(await refused(person, { action: "preview", lookup_key: "pro_monthly" }), [
    409,
    "subscription_not_found",
  ]);
  const { status } = await request("/functions/v1/subscription", {
    token: null,
    body: { action: "cancel_now" },
  });
  assert.equal(status, 401);
});
