import assert from "node:assert/strict";
import type postgres from "postgres";
import { codeOf, note } from "../support/attacks.ts";
import { creator, publish } from "../support/marketplace.ts";
import { customerOf, operator } from "../support/sandbox.ts";
import { type Person, request, signUp, sql, stack, stripe } from "../support/stack.ts";
import { payerInRealTime } from "../support/usage.ts";

/** A thousand calls at once of whatever costs money or ends something: however many get through, the outcome is one. */
const CALLS = 1_000;

type Answer = Awaited<ReturnType<typeof request>>;

function thousand(call: (index: number) => Promise<Answer>): Promise<Answer[]> {
  return Promise.all(Array.from({ length: CALLS }, (_, index) => call(index)));
}

/** With the limit that the function has in production, and not the one that tests never meet. */
async function limited(
  db: postgres.Sql,
  { name, burst }: { name: string; burst: number },
  work: () => Promise<void>,
): Promise<void> {
  const own = db`from billing.rate_limits where name = ${name} and scope = 'user'`;
  const before = await db`select * ${own}`;
  const row = { name, scope: "user", burst, period_seconds: before[0]?.["period_seconds"] ?? 60 };
  try {
    await db`delete ${own}`;
    await db`insert into billing.rate_limits ${db(row)}`;
    await work();
  } finally {
    await db`delete ${own}`;
    if (before.length > 0) await db`insert into billing.rate_limits ${db(before)}`;
  }
}

/** Those that were let through; all others are 429 and say when to come back. */
async function admitted(calls: Promise<Answer[]>, burst: number): Promise<Answer[]> {
  const began = performance.now();
  const answers = await calls;
  const minutes = (performance.now() - began) / 60_000;
  const through = answers.filter(({ status }) => status !== 429);
  for (const { body, headers } of answers.filter(({ status }) => status === 429)) {
    assert.equal(codeOf(body), "rate_limited");
    assert.ok(Number(headers.get("retry-after")) > 0);
  }
  // One more for every part of the minute that went by meanwhile.
  const most = Math.ceil(burst * (1 + minutes)) + 1;
  assert.ok(through.length >= burst && through.length <= most, `${through.length} of ${most}`);
  const odd = through.filter(({ status }) => status >= 500);
  assert.deepEqual(odd.map(({ text }) => text), []);
  return through;
}

const asked = (name: string, person: Person, body: unknown) =>
  request(`/functions/v1/${name}`, { token: person.token, body });

Deno.test("a thousand checkouts at once are one customer and one session that can be paid", async () => {
  const db = sql();
  const person = await signUp("thousand-checkouts");
  await limited(db, { name: "checkout", burst: 30 }, async () => {
    const answers = await admitted(
      thousand(() => asked("checkout", person, { lookup_key: "pro_monthly" })),
      30,
    );
    const urls = new Set(
      answers.filter(({ status }) => status === 200).map(({ body }) =>
        (body as { url: string }).url
      ),
    );
    assert.equal(urls.size, 1);
    assert.ok(answers.every(({ status }) => [200, 409].includes(status)));
  });
  const [row] = await db<{ id: string }[]>`
    select stripe_customer_id as id from public.customers where user_id = ${person.id}`;
  const { data } = await stripe().checkout.sessions.list({
    customer: row?.id ?? "",
    status: "open",
  });
  assert.equal(data.length, 1);
  const customers = await stripe().customers.list({ email: person.email });
  assert.equal(customers.data.length, 1);
  note("checkouts at the same time", CALLS);
  await db.end();
});

Deno.test("a thousand purchases at once are one purchase and one session that can be paid", async () => {
  const db = sql();
  const listing = await publish(await creator(db, "thousand-sales"));
  const person = await signUp("thousand-purchases");
  await limited(db, { name: "purchase", burst: 30 }, async () => {
    const answers = await admitted(
      thousand(() => asked("purchase", person, { listing_id: listing })),
      30,
    );
    const urls = new Set(
      answers.filter(({ status }) => status === 200).map(({ body }) =>
        (body as { url: string }).url
      ),
    );
    assert.equal(urls.size, 1);
    assert.ok(answers.every(({ status }) => [200, 409].includes(status)));
  });
  const rows = await db<{ customer: string }[]>`
    select stripe_customer_id as customer from public.purchases where buyer_id = ${person.id}`;
  assert.equal(rows.length, 1);
  const { data } = await stripe().checkout.sessions.list({
    customer: rows[0]?.customer ?? "",
    status: "open",
  });
  assert.equal(data.length, 1);
  note("purchases at the same time", CALLS);
  await db.end();
});

Deno.test("a thousand choices of a spending cap at once are one of them, and one metered item", async () => {
  const db = sql();
  const { person, subscription } = await payerInRealTime("thousand-caps");
  const caps = new Set<number>();
  await limited(db, { name: "overage", burst: 60 }, async () => {
    const answers = await admitted(
      thousand((index) => asked("overage", person, { enabled: true, cap_minor: 1_000 + index })),
      60,
    );
    for (const { status, body } of answers) {
      if (status === 200) caps.add((body as { cap_minor: number }).cap_minor);
    }
    assert.ok(answers.some(({ status }) => status === 200));
    assert.ok(answers.every(({ status }) => [200, 409].includes(status)));
  });
  const [account, ...others] = await db<{ cap_minor: string }[]>`
    select cap_minor from billing.overage_accounts where user_id = ${person.id} and enabled`;
  assert.equal(others.length, 0);
  assert.ok(caps.has(Number(account?.cap_minor)), `${account?.cap_minor}`);
  const { items } = await stripe().subscriptions.retrieve(subscription);
  const prices = items.data.map(({ price }) => price.id);
  assert.equal(new Set(prices).size, prices.length, "no price twice");
  assert.equal(prices.length, 1 + 2, "the plan, messages and tools");
  note("spending caps at the same time", CALLS);
  await db.end();
});

Deno.test("a thousand uses at once are the day's allowance, and one use a thousand times is one", async () => {
  const db = sql();
  const person = await signUp("thousand-uses");
  const use = (p_request_id: string) =>
    request("/rest/v1/rpc/consume_usage", {
      headers: { apikey: stack().secret_key },
      body: { p_user_id: person.id, p_metric: "tool", p_quantity: 1, p_request_id },
    });
  const used = async () => {
    const [row] = await db<{ used: number }[]>`
      select used::int from billing.usage_counters where user_id = ${person.id} and metric_id = 'tool'`;
    return row?.used;
  };
  const id = crypto.randomUUID();
  const same = await thousand(() => use(id));
  assert.deepEqual(new Set(same.map(({ status }) => status)), new Set([200]));
  assert.equal(await used(), 1);
  const [limit] = await db<{ value: number }[]>`
    select limit_value::int as value from public.plan_limits where plan_id = 'free' and metric_id = 'tool'`;
  const others = await thousand(() => use(crypto.randomUUID()));
  assert.equal(others.filter(({ status }) => status === 200).length, (limit?.value ?? 0) - 1);
  assert.equal(
    others.filter(({ status }) => status === 429).length,
    CALLS - (limit?.value ?? 0) + 1,
  );
  assert.equal(await used(), limit?.value);
  note("uses at the same time", 2 * CALLS);
  await db.end();
});

Deno.test("a thousand requests to be deleted at once are one deletion, whoever works on it at once", async () => {
  const db = sql();
  const person = await signUp("thousand-goodbyes");
  const customer = await customerOf(person);
  await limited(db, { name: "privacy", burst: 10 }, async () => {
    const body = { action: "delete", confirm: person.email };
    const answers = await admitted(thousand(() => asked("privacy", person, body)), 10);
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1, "one answer");
  });
  await db`update billing.deletions set requested_at = requested_at - interval '8 minutes', next_attempt_at = now()
    where user_id = ${person.id}`;
  const runs = await Promise.all(Array.from({ length: 50 }, () => operator("deletions")));
  assert.deepEqual(new Set(runs.map(({ status }) => status)), new Set([200]));
  const rows = await db<{ finished: boolean; attempts: number }[]>`
    select finished_at is not null as finished, attempts from billing.deletions where user_id = ${person.id}`;
  assert.deepEqual([...rows], [{ finished: true, attempts: 0 }]);
  assert.equal((await db`select from auth.users where id = ${person.id}`).length, 0);
  const gone = await stripe().customers.retrieve(customer);
  assert.equal(gone.deleted, true);
  const told = await db<{ finished: boolean }[]>`
    select after ->> 'finished_at' is not null as finished from billing.audit_log
    where user_id = ${person.id} and action = 'person.deletion.changed' and before -> 'finished_at' = 'null'`;
  assert.equal(told.filter(({ finished }) => finished).length, 1, "finished once");
  note("deletions at the same time", CALLS);
  await db.end();
});
