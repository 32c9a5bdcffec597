import assert from "node:assert/strict";
import Stripe from "stripe";
import { DELIVERIES } from "../../supabase/functions/_shared/domain/events.ts";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { eventually, request, signUp, sql, stack, stripe } from "../support/stack.ts";

const WEBHOOK = "/functions/v1/stripe-webhook";

interface InboxRow {
  status: string;
  attempts: number;
}

async function signed(event: unknown, options: { secret?: string; timestamp?: number } = {}) {
  const payload = JSON.stringify(event);
  const signature = await Stripe.webhooks.generateTestHeaderStringAsync({
    payload,
    secret: options.secret ?? stack().webhook_secret,
    ...(options.timestamp !== undefined && { timestamp: options.timestamp }),
  });
  return { payload, signature };
}

function deliver(payload: string, signature?: string) {
  return request(WEBHOOK, {
    body: payload,
    headers: signature ? { "stripe-signature": signature } : {},
  });
}

function anEvent(
  type: string,
  object: Record<string, unknown>,
): { id: string } & Record<string, unknown> {
  return {
    id: `evt_test_${crypto.randomUUID().replaceAll("-", "")}`,
    object: "event",
    api_version: "2026-10-28.endive",
    created: Math.floor(Date.now() / 1000),
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type,
    data: { object },
  };
}

async function inbox(id: string): Promise<InboxRow | undefined> {
  const db = sql({ max: 1 });
  const [row] = await db<
    InboxRow[]
  >`select status, attempts from billing.stripe_events where id = ${id}`;
  await db.end();
  return row;
}

Deno.test("a body that Stripe did not sign is refused with 400 and leaves nothing", async () => {
  const event = anEvent("customer.subscription.updated", {
    object: "subscription",
    customer: "cus_1",
  });
  const { payload, signature } = await signed(event);
  const now = Math.floor(Date.now() / 1000);
  const attempts: [string, string, string | undefined][] = [
    ["no signature", payload, undefined],
    ["garbage", payload, "t=1,v1=abc"],
    ["another secret", payload, (await signed(event, { secret: "whsec_other" })).signature],
    ["ten minutes old", payload, (await signed(event, { timestamp: now - 600 })).signature],
    ["another body", payload.replace("cus_1", "cus_2"), signature],
    ["truncated", payload.slice(0, -2), signature],
  ];
  for (const [what, body, header] of attempts) {
    const answer = await deliver(body, header);
    assert.equal(answer.status, 400, what);
    assert.equal(
      (answer.body as { error: { code: string } }).error.code,
      "signature_invalid",
      what,
    );
  }
  assert.equal(await inbox(event.id), undefined);
});

Deno.test("events of no interest are kept, marked as ignored and answered with 200", async () => {
  const events = [
    anEvent("product.created", { object: "product", id: "prod_1" }),
    anEvent("some.event.of.tomorrow", { object: "novelty" }),
    anEvent("customer.subscription.updated", { object: "subscription", customer: "cus_not_ours" }),
  ];
  for (const event of events) {
    const { payload, signature } = await signed(event);
    const answer = await deliver(payload, signature);
    assert.deepEqual([answer.status, answer.body], [200, { outcome: "ignored" }]);
    assert.equal((await inbox(event.id))?.status, "ignored");
  }
});

Deno.test("every type that we ask Stripe for is taken in, whoever it is about", async () => {
  const thin = (type: string) => ({
    id: `evt_test_${crypto.randomUUID().replaceAll("-", "")}`,
    object: "v2.core.event",
    created: new Date().toISOString(),
    livemode: false,
    type,
    context: "acct_none",
    related_object: {
      id: "acct_none",
      type: "v2.core.account",
      url: "/v2/core/accounts/acct_none",
    },
  });
  const { webhook, connect, accounts } = DELIVERIES;
  const events = [
    ...[...webhook, ...connect].map((type) => anEvent(type, { object: "novelty" })),
    ...accounts.map(thin),
  ];
  for (const event of events) {
    const { payload, signature } = await signed(event);
    const answer = await deliver(payload, signature);
    assert.deepEqual([answer.status, answer.body], [200, { outcome: "ignored" }], payload);
  }
});

Deno.test("an event that lies about its object changes nothing: only what Stripe says now counts", async () => {
  const person = await signUp("liar");
  const checkout = await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: "pro_monthly" },
  });
  mustLeave(await pay((checkout.body as { url: string }).url, CARDS.success));
  await request("/functions/v1/sync", { token: person.token, body: {} });
  const { data } = await person.client.from("customers").select("stripe_customer_id").single();
  const lie = anEvent("customer.subscription.deleted", {
    object: "subscription",
    id: "sub_x",
    status: "canceled",
    customer: data?.stripe_customer_id,
  });
  const { payload, signature } = await signed(lie);
  const answers = await Promise.all([1, 2, 3].map(() => deliver(payload, signature)));
  for (const { status, body } of answers) {
    // One of them does the work; who comes while it does has nothing to add.
    const { outcome } = body as { outcome: string };
    assert.ok(status === 200 && ["processed", "queued"].includes(outcome), `${status} ${outcome}`);
  }
  await eventually(() => inbox(lie.id), (row) => row?.status === "processed");
  const { data: entitlement } = await person.client.from("entitlements").select("plan_id").single();
  assert.equal(entitlement?.plan_id, "pro");
});

Deno.test("what fails is answered with 5xx, kept with its reason, and done later by the drain", async () => {
  const person = await signUp("later");
  const db = sql({ max: 1 });
  const customer = await stripe().customers.create({ email: person.email });
  await db`select public.link_customer(${person.id}, ${customer.id})`;
  const id = anEvent("invoice.paid", { object: "invoice", customer: customer.id });
  // A fault of the database in the middle of the work, and only for this customer.
  await db.unsafe(`
    create function billing.test_fault() returns trigger language plpgsql as $$
    begin
      if new.user_id = '${person.id}' then raise exception 'fault injected by a test'; end if;
      return new;
    end $$;
    create trigger test_fault before insert or update on billing.sync_state
      for each row execute function billing.test_fault();`);
  try {
    const { payload, signature } = await signed(id);
    const answer = await deliver(payload, signature);
    assert.equal(answer.status, 500, answer.text);
    assert.doesNotMatch(answer.text, /fault injected|at .*\.ts/);
  } finally {
    await db.unsafe("drop function billing.test_fault() cascade");
  }
  const failed = await inbox(id.id);
  assert.deepEqual([failed?.status, failed?.attempts], ["pending", 1]);

  await db`update billing.stripe_events set next_attempt_at = now() where id = ${id.id}`;
  const { secret_key } = stack();
  await eventually(async () => {
    await request("/functions/v1/events-drain", { body: {}, headers: { apikey: secret_key } });
    return await inbox(id.id);
  }, (row) => row?.status === "processed");
  await db.end();
});

Deno.test("pg_cron wakes the drain by itself", async () => {
  const db = sql({ max: 1 });
  const id = `evt_test_cron_${crypto.randomUUID().replaceAll("-", "")}`;
  await db`
    insert into billing.stripe_events (id, type, stripe_created_at, next_attempt_at)
    values (${id}, 'invoice.paid', now(), now())`;
  const row = await eventually(() => inbox(id), (found) => found?.status === "ignored", 100_000);
  assert.equal(row?.status, "ignored");
  const [run] = await db<{ status: string }[]>`
    select d.status from cron.job_run_details d join cron.job j using (jobid)
    where j.jobname = 'tollgate-drain-events' and d.status = 'succeeded' limit 1`;
  assert.equal(run?.status, "succeeded");
  await db.end();
});

Deno.test("a body larger than any event is refused before it is read to the end", async () => {
  const answer = await deliver(`{"padding":"${"x".repeat(1_200_000)}"}`, "t=1,v1=abc");
  assert.equal(answer.status, 413);
});
