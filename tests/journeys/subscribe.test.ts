import assert from "node:assert/strict";
import { CARDS, mustLeave, mustStay, openPage, pay, press, textOf } from "../support/hosted.ts";
import { eventually, type Person, request, signUp, sql, stack, stripe } from "../support/stack.ts";

const FREE_MESSAGES = 50;

interface Entitlements {
  plan: { id: string };
  source: string;
  status: string | null;
  limits: Record<string, number | null>;
  subscription: { id: string; status: string; ends_at: string | null } | null;
}

interface Refusal {
  code: string;
  message: string;
  details: string;
  hint: string | null;
}

async function startConversation(person: Person): Promise<string> {
  const { data, error } = await person.client.from("conversations").insert({ title: "Journey" })
    .select("id")
    .single();
  if (error) throw error;
  return data.id;
}

function say(person: Person, conversation: string, content: string) {
  return request("/rest/v1/messages", {
    token: person.token,
    body: { conversation_id: conversation, role: "user", content },
  });
}

async function entitlements(person: Person): Promise<Entitlements> {
  const { body, status } = await request("/rest/v1/rpc/my_entitlements", {
    token: person.token,
    body: {},
  });
  assert.equal(status, 200);
  return body as Entitlements;
}

async function checkout(person: Person, lookupKey = "pro_monthly"): Promise<string> {
  const { status, body, text } = await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: lookupKey },
  });
  assert.equal(status, 200, text);
  return (body as { url: string }).url;
}

async function portal(person: Person, flow?: string): Promise<string> {
  const { status, body, text } = await request("/functions/v1/portal", {
    token: person.token,
    body: { flow },
  });
  assert.equal(status, 200, text);
  return (body as { url: string }).url;
}

/** Puts the person's customer on a test clock, which Stripe allows only at creation; so the customer is made first. */
async function onTestClock(person: Person): Promise<string> {
  const clock = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000),
  });
  const customer = await stripe().customers.create({
    email: person.email,
    test_clock: clock.id,
    metadata: { user_id: person.id },
  });
  const db = sql();
  await db`select public.link_customer(${person.id}, ${customer.id})`;
  await db.end();
  return clock.id;
}

async function advance(clock: string, to: number): Promise<void> {
  await stripe().testHelpers.testClocks.advance(clock, { frozen_time: to });
  await eventually(
    () => stripe().testHelpers.testClocks.retrieve(clock),
    ({ status }) => status === "ready",
  );
}

Deno.test("sign up, fifty messages, refused, subscribe by webhook, go on, cancel, end, Free again", async (t) => {
  const ada = await signUp("ada");
  const clock = await onTestClock(ada);
  const conversation = await startConversation(ada);

  await t.step("a new person is on Free without any subscription", async () => {
    const { plan, source, limits, subscription } = await entitlements(ada);
    assert.deepEqual({ plan: plan.id, source, limits, subscription }, {
      plan: "free",
      source: "default",
      limits: { message: FREE_MESSAGES, agent: 1, tool: 20 },
      subscription: null,
    });
  });

  await t.step("fifty messages are accepted", async () => {
    for (let number = 1; number <= FREE_MESSAGES; number++) {
      const { status, text } = await say(ada, conversation, `Message ${number}`);
      assert.equal(status, 201, text);
    }
  });

  await t.step(
    "the next one is refused with 429, says when it resets, and burns nothing",
    async () => {
      const { status, headers, body } = await say(ada, conversation, "One too many");
      assert.equal(status, 429);
      const refusal = body as Refusal;
      assert.equal(refusal.code, "message_quota_exceeded");
      const details = JSON.parse(refusal.details);
      const midnight = new Date();
      midnight.setUTCHours(24, 0, 0, 0);
      assert.deepEqual(
        { ...details, resets_at: new Date(details.resets_at).getTime() },
        { metric: "message", limit: 50, used: 50, resets_at: midnight.getTime(), plan: "free" },
      );
      const retryAfter = Number(headers.get("retry-after"));
      assert.ok(
        Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 86_400,
        `${retryAfter}`,
      );
      const usage = await ada.client.rpc("my_usage");
      assert.equal(usage.data?.find((row) => row.metric === "message")?.used, FREE_MESSAGES);
      const { count } = await ada.client.from("messages").select("id", {
        count: "exact",
        head: true,
      });
      assert.equal(count, FREE_MESSAGES);
    },
  );

  await t.step("paying on the hosted page leads back to our own account page", async () => {
    const back = mustLeave(await pay(await checkout(ada), CARDS.success));
    assert.equal(back.origin, new URL(stack().web_url).origin);
    assert.equal(back.pathname, "/account");
    assert.equal(back.searchParams.get("checkout"), "success");
    assert.match(back.searchParams.get("session_id") ?? "", /^cs_/);
  });

  await t.step("the webhook alone brings Pro, and the refused message is accepted", async () => {
    await eventually(() => entitlements(ada), ({ plan }) => plan.id === "pro");
    const { status, text } = await say(ada, conversation, "One too many");
    assert.equal(status, 201, text);
  });

  await t.step("a second checkout is refused, with the way to a change", async () => {
    const { status, body } = await request("/functions/v1/checkout", {
      token: ada.token,
      body: { lookup_key: "business_monthly" },
    });
    assert.equal(status, 409);
    const { error } = body as { error: { code: string; action: unknown } };
    assert.equal(error.code, "already_subscribed");
    assert.deepEqual(error.action, { function: "subscription" });
  });

  let endsAt = 0;
  await t.step("cancelling in the portal keeps Pro until the period ends", async () => {
    const page = await openPage(await portal(ada, "cancel"));
    const back = mustLeave(await press(page, "Confirm cancellation"));
    assert.equal(back.href, `${new URL(stack().web_url).origin}/account?portal=return`);
    const { plan, subscription } = await eventually(
      () => entitlements(ada),
      ({ subscription }) => subscription?.ends_at != null,
    );
    assert.equal(plan.id, "pro");
    endsAt = new Date(subscription?.ends_at ?? 0).getTime() / 1000;
    assert.ok(endsAt > Date.now() / 1000 + 27 * 86_400);
  });

  await t.step("after the clock has passed the period's end, Free again", async () => {
    await advance(clock, endsAt + 3_600);
    const { plan, subscription } = await eventually(
      () => entitlements(ada),
      ({ plan }) => plan.id === "free",
    );
    assert.equal(plan.id, "free");
    assert.equal(subscription, null);
    const { status, body } = await say(ada, conversation, "After the end");
    assert.equal(status, 429);
    assert.equal((body as Refusal).code, "message_quota_exceeded");
  });

  await t.step("and a new checkout is possible", async () => {
    mustLeave(await pay(await checkout(ada, "business_yearly"), CARDS.success));
    await eventually(() => entitlements(ada), ({ plan }) => plan.id === "business");
  });
});

Deno.test("the plan is there on return from Checkout, without waiting for a webhook", async () => {
  const bo = await signUp("bo");
  mustLeave(await pay(await checkout(bo, "business_monthly"), CARDS.success));
  const { status, body } = await request("/functions/v1/sync", { token: bo.token, body: {} });
  assert.equal(status, 200);
  const { entitlements: now } = body as { entitlements: Entitlements };
  assert.equal(now.plan.id, "business");
  assert.equal(now.limits["message"], 2000);
});

Deno.test("a declined card leaves no subscription, and the same page takes another card", async () => {
  const cy = await signUp("cy");
  const url = await checkout(cy);
  const page = mustStay(await pay(url, CARDS.declined));
  assert.match(textOf(page.html), /declined/i);
  assert.equal((await entitlements(cy)).plan.id, "free");
  mustLeave(await pay(url, CARDS.success));
  await eventually(() => entitlements(cy), ({ plan }) => plan.id === "pro");
});

Deno.test("a card that asks for authentication pays only once it is given", async () => {
  const di = await signUp("di");
  const url = await checkout(di);
  const challenge = mustStay(await pay(url, CARDS.authentication));
  const refused = mustStay(await press(challenge, "Fail authentication"));
  assert.match(textOf(refused.html), /authenticat/i);
  assert.equal((await entitlements(di)).plan.id, "free");
  const again = mustStay(await pay(url, CARDS.authentication));
  mustLeave(await press(again, "Complete authentication"));
  await eventually(() => entitlements(di), ({ plan }) => plan.id === "pro");
});

Deno.test("going back from Checkout costs nothing and leads to the pricing page", async () => {
  const eve = await signUp("eve");
  const back = mustLeave(await press(await openPage(await checkout(eve)), "Back"));
  assert.equal(`${back.pathname}${back.search}`, "/pricing?checkout=cancelled");
  assert.equal((await entitlements(eve)).plan.id, "free");
});

Deno.test("resuming in the portal takes the cancellation back", async () => {
  const flo = await signUp("flo");
  mustLeave(await pay(await checkout(flo), CARDS.success));
  await eventually(() => entitlements(flo), ({ plan }) => plan.id === "pro");
  mustLeave(await press(await openPage(await portal(flo, "cancel")), "Confirm cancellation"));
  await eventually(() => entitlements(flo), ({ subscription }) => subscription?.ends_at != null);

  // The cancel flow of a subscription that is ending already opens the front page instead of failing.
  await press(await openPage(await portal(flo, "cancel")), "Resume subscription");
  const { plan, subscription } = await eventually(
    () => entitlements(flo),
    ({ subscription }) => subscription !== null && subscription.ends_at === null,
  );
  assert.equal(plan.id, "pro");
  assert.equal(subscription?.status, "active");
});

Deno.test("two tabs make one customer, and share one session for the same price", async () => {
  const gus = await signUp("gus");
  const urls = await Promise.all(Array.from({ length: 8 }, () => checkout(gus)));
  assert.equal(new Set(urls).size, 1, urls.join("\n"));
  const customers = await stripe().customers.list({ email: gus.email });
  assert.equal(customers.data.length, 1);
});

Deno.test("two tabs with different plans cannot both be paid", async () => {
  const hal = await signUp("hal");
  const first = await checkout(hal, "pro_monthly");
  const second = await checkout(hal, "business_monthly");
  const stale = await openPage(first);
  assert.match(textOf(stale.html), /expired/i);
  mustLeave(await pay(second, CARDS.success));
  await eventually(() => entitlements(hal), ({ plan }) => plan.id === "business");
  const [customer] = (await stripe().customers.list({ email: hal.email })).data;
  assert.ok(customer);
  const { data } = await stripe().subscriptions.list({ customer: customer.id, status: "all" });
  assert.equal(data.length, 1);
});

Deno.test("who paid, left at once and comes back the same day gets a fresh checkout, not the paid one", async () => {
  const kim = await signUp("kim");
  const first = await checkout(kim);
  mustLeave(await pay(first, CARDS.success));
  const { subscription } = await eventually(
    () => entitlements(kim),
    ({ plan }) => plan.id === "pro",
  );
  await stripe().subscriptions.cancel(subscription?.id ?? "");
  await eventually(() => entitlements(kim), ({ plan }) => plan.id === "free");
  const second = await checkout(kim);
  assert.notEqual(second, first);
  mustLeave(await pay(second, CARDS.success));
  await eventually(() => entitlements(kim), ({ plan }) => plan.id === "pro");
});

Deno.test("a changed price leaves what was bought: the old price's subscribers keep their plan", async () => {
  const lea = await signUp("lea");
  mustLeave(await pay(await checkout(lea, "pro_yearly"), CARDS.success));
  await eventually(() => entitlements(lea), ({ plan }) => plan.id === "pro");
  const [old] = (await stripe().prices.list({ lookup_keys: ["pro_yearly"] })).data;
  assert.ok(old?.unit_amount);
  const moved = await stripe().prices.create({
    product: String(old.product),
    currency: old.currency,
    unit_amount: old.unit_amount,
    recurring: { interval: "year" },
    lookup_key: "pro_yearly",
    transfer_lookup_key: true,
    metadata: old.metadata,
  });
  const { data: [subscription] } = await stripe().subscriptions.list({ price: old.id, limit: 1 });
  assert.equal(
    subscription?.items.data[0]?.price.lookup_key,
    null,
    "an item answers its price as it is now",
  );
  await request("/functions/v1/sync", { token: lea.token, body: {} });
  assert.equal((await entitlements(lea)).plan.id, "pro");
  assert.notEqual(moved.id, old.id);
});

Deno.test("a customer deleted at Stripe does not lock the person out", async () => {
  const mia = await signUp("mia");
  await checkout(mia);
  const [gone] = (await stripe().customers.list({ email: mia.email })).data;
  await stripe().customers.del(gone?.id ?? "");
  mustLeave(await pay(await checkout(mia, "business_monthly"), CARDS.success));
  await eventually(() => entitlements(mia), ({ plan }) => plan.id === "business");
  const { data } = await mia.client.from("customers").select("stripe_customer_id").single();
  assert.notEqual(data?.stripe_customer_id, gone?.id);
});

Deno.test("tabs that race for different plans leave at most one session that can be paid", async () => {
  const ida = await signUp("ida");
  const keys = ["pro_monthly", "pro_yearly", "business_monthly", "business_yearly"];
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      request("/functions/v1/checkout", {
        token: ida.token,
        body: { lookup_key: keys[index % keys.length] },
      })),
  );
  for (const { status, body, text } of answers) {
    const code = status === 200 ? null : (body as { error: { code: string } }).error.code;
    assert.ok(code === null || code === "checkout_superseded", `${status} ${text}`);
  }
  const customers = await stripe().customers.list({ email: ida.email });
  assert.equal(customers.data.length, 1);
  const open = await stripe().checkout.sessions.list({
    customer: customers.data[0]?.id ?? "",
    status: "open",
  });
  assert.ok(open.data.length <= 1, `${open.data.length} open sessions`);
});
