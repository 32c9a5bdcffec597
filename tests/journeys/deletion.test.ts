import assert from "node:assert/strict";
import type postgres from "postgres";
import { buy, call, creator, publish, purchase, refused } from "../support/marketplace.ts";
import { customerOf, operator, priceOf, quiet, sandbox } from "../support/sandbox.ts";
import {
  eventually,
  type Person,
  request,
  signUp,
  sql,
  stack,
  stranger,
  stripe,
} from "../support/stack.ts";
import {
  aMoment,
  choose,
  consume,
  consumed,
  payerInRealTime,
  PRO_ALLOWANCE,
} from "../support/usage.ts";

const DAY = 86_400;
const SECRET_TEXT = "my very private question about xylophones";

interface Record {
  state: string;
  requested_at: string;
  finished_at: string | null;
}

async function ask(person: Person): Promise<Record> {
  const answer = await request("/functions/v1/privacy", {
    token: person.token,
    body: { action: "delete", confirm: person.email.toUpperCase() },
  });
  assert.equal(answer.status, 202, answer.text);
  return (answer.body as { deletion: Record }).deletion;
}

/** Lets the time pass in which a request that was admitted before could still be running. */
async function ripen(db: postgres.Sql, person: Person): Promise<void> {
  await db`update billing.deletions set requested_at = requested_at - interval '8 minutes',
    next_attempt_at = now() where user_id = ${person.id} and finished_at is null`;
}

/** What the scheduled job does. */
async function work(): Promise<{ finished: number; waiting: number; failed: number }> {
  const answer = await operator("deletions");
  assert.equal(answer.status, 200, answer.text);
  return answer.body as { finished: number; waiting: number; failed: number };
}

async function finish(db: postgres.Sql, person: Person): Promise<void> {
  for (let round = 0; round < 10; round++) {
    await ripen(db, person);
    await work();
    const [row] = await db<{ done: boolean }[]>`
      select finished_at is not null as done from billing.deletions where user_id = ${person.id}`;
    if (row?.done) return;
  }
  const rows = await db`select * from billing.deletions where user_id = ${person.id}`;
  assert.fail(`not finished: ${JSON.stringify(rows)}`);
}

/** Where an id that leads nowhere any more is kept. */
const PROOF = ["billing.audit_log", "billing.deletions"];

/** Every row of every table of ours and of Auth that has this text anywhere in it. */
async function mentions(db: postgres.Sql, text: string): Promise<string[]> {
  const tables = await db<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'billing', 'auth') and c.relkind in ('r', 'p') and not c.relispartition
    order by 1`;
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await db.unsafe(
      `select count(*)::int as rows from ${name} t where strpos(lower(t::text), lower($1)) > 0`,
      [text],
    );
    if (row?.["rows"] > 0) found.push(name);
  }
  return found;
}

/** Moves a clock, and waits until everything that was due has happened. */
async function advance(clock: string, frozen_time: number): Promise<void> {
  await stripe().testHelpers.testClocks.advance(clock, { frozen_time });
  await eventually(
    () => stripe().testHelpers.testClocks.retrieve(clock),
    ({ status }) => status === "ready",
  );
}

/** Somebody with everything: a plan on a clock, a monthly and a bought licence, a shop, a chat. */
async function everything(db: postgres.Sql) {
  const person = await creator(db, "leaver");
  const clock = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000),
  });
  const customer = await customerOf(person, { clock: clock.id });
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("pro_monthly") }],
  });
  await eventually(
    async () => (await person.client.from("entitlements").select("source")).data,
    (rows) => rows?.[0]?.source === "subscription",
  );
  const own = await publish(person, { title: "Leaver's tutor" });
  const conversation = await person.client.from("conversations").insert({ title: "Secrets" })
    .select("id").single();
  const { error } = await person.client.from("messages").insert({
    conversation_id: conversation.data?.id ?? "",
    role: "user",
    content: SECRET_TEXT,
  });
  assert.equal(error, null);
  const seller = await creator(db, "stayer");
  const monthly = await publish(seller, { kind: "monthly", price_minor: 900, title: "Monthly" });
  await buy(person, monthly, { button: "Subscribe" });
  await quiet();
  return { person, clock: clock.id, customer, subscription, own, seller, monthly };
}

/** The states of somebody's shop and of what is in it. */
async function shop(db: postgres.Sql, { account }: { account: string }): Promise<string[]> {
  const rows = await db<{ seller: string; listing: string }[]>`
    select s.status as seller, l.status as listing from public.sellers s join public.listings l on l.seller_id = s.id
    where s.stripe_account_id = ${account}`;
  return [...new Set(rows.flatMap(({ seller, listing }) => [seller, listing]))];
}

async function rpcRefused(person: Person, name: string, body: unknown): Promise<[number, string]> {
  const answer = await request(`/rest/v1/rpc/${name}`, { token: person.token, body });
  return [answer.status, (answer.body as { code: string }).code];
}

Deno.test("whoever leaves is signed out and stays out, and nothing can be bought in their name", async (t) => {
  const db = sql({ max: 2 });
  const person = await signUp("outgoing");
  await customerOf(person);
  const seller = await creator(db, "shop");
  const listing = await publish(seller);
  try {
    await t.step("only with their own address, and only oneself", async () => {
      for (const confirm of ["", "yes", `x${person.email}`, seller.email]) {
        const answer = await request("/functions/v1/privacy", {
          token: person.token,
          body: { action: "delete", confirm },
        });
        const { code } = (answer.body as { error: { code: string } }).error;
        assert.ok(["confirmation_wrong", "invalid_request"].includes(code), answer.text);
      }
      for (const extra of [{ user_id: seller.id }, { email: seller.email }]) {
        assert.deepEqual(
          await refused(person, "privacy", { action: "delete", confirm: person.email, ...extra }),
          [400, "invalid_request"],
        );
      }
      const { body } = await request("/functions/v1/privacy", { body: { action: "export" } });
      assert.equal((body as { error: { code: string } }).error.code, "unauthorized");
      const rows = await db`select from billing.deletions where user_id in ${
        db([person.id, seller.id])
      }`;
      assert.equal(rows.length, 0);
    });

    const { data: before } = await person.client.auth.getSession();
    await t.step("asking twice is one deletion", async () => {
      const first = await ask(person);
      assert.equal(first.state, "requested");
      assert.deepEqual(await ask(person), first);
    });

    await t.step("no password, no old session lets them in again", async () => {
      const again = await stranger().auth.signInWithPassword(person);
      assert.ok(again.error);
      const refreshed = await stranger().auth.refreshSession({
        refresh_token: before.session?.refresh_token ?? "",
      });
      assert.ok(refreshed.error);
    });

    await t.step("a token that is still good starts nothing that costs money", async () => {
      const asked: [string, unknown][] = [
        ["checkout", { lookup_key: "pro_monthly" }],
        ["purchase", { listing_id: listing }],
        ["seller", { action: "onboard", display_name: "Me again", country: "US" }],
        ["credits", { lookup_key: "credits_10" }],
      ];
      for (const [name, body] of asked) {
        const [status, code] = await refused(person, name, body);
        assert.ok(status >= 400 && status < 500, `${name}: ${status} ${code}`);
        if (name !== "credits") assert.equal(code, "account_deleted", name);
      }
    });
  } finally {
    await db.end();
  }
});

Deno.test("a deleted person is gone from every table and from Stripe, and is never billed again", async (t) => {
  const db = sql({ max: 2 });
  try {
    const { person, clock, customer, subscription, own, monthly } = await everything(db);
    const open = await purchase(person, await publish(await creator(db, "other")));
    const buyer = await signUp("buyer");
    await buy(buyer, own);
    await quiet();
    assert.match(open, /cs_test_/);

    await t.step("the first run ends the billing at once, and waits with the rest", async () => {
      await ask(person);
      assert.equal((await work()).failed, 0);
      assert.equal((await stripe().subscriptions.retrieve(subscription.id)).status, "canceled");
      const subscriptions = await stripe().subscriptions.list({ customer, status: "all" });
      assert.equal(subscriptions.data.length, 2, "the plan and the licence");
      assert.deepEqual(new Set(subscriptions.data.map((one) => one.status)), new Set(["canceled"]));
      const sessions = await stripe().checkout.sessions.list({ customer, status: "open" });
      assert.deepEqual(sessions.data, []);
      const [row] =
        await db`select finished_at from billing.deletions where user_id = ${person.id}`;
      assert.equal(row?.["finished_at"], null);
      assert.deepEqual(await shop(db, person), ["closed", "withdrawn"]);
      await sandbox(`/accounts/${person.account}`, { transfers: "active" });
      await quiet();
      assert.deepEqual(await shop(db, person), ["closed", "withdrawn"], "nothing opens it again");
      assert.deepEqual(
        await rpcRefused(person, "publish_listing", { p_listing_id: own }),
        [409, "seller_paused"],
      );
    });

    await t.step("then it is finished", async () => {
      await finish(db, person);
      assert.equal((await db`select from auth.users where id = ${person.id}`).length, 0);
    });

    await t.step("nothing here says who they were, or what they said", async () => {
      await quiet();
      assert.deepEqual(await mentions(db, person.email), []);
      assert.deepEqual(await mentions(db, SECRET_TEXT), []);
      assert.deepEqual(await mentions(db, "The leaver"), []);
      // The proof, and nothing else, still has the id; the ledger and events have Stripe's.
      assert.deepEqual(await mentions(db, person.id), PROOF);
    });

    await t.step("what Stripe goes on saying of their account brings no name back", async () => {
      await sandbox(`/accounts/${person.account}`, { transfers: "restricted" });
      await sandbox(`/accounts/${person.account}`, { transfers: "active" });
      await quiet();
      assert.deepEqual(await shop(db, person), ["closed", "withdrawn"]);
      assert.deepEqual(await mentions(db, "The leaver"), []);
    });

    await t.step("what the law has us keep is there without them", async () => {
      const sold = await db`select buyer_id, receipt_url, status from public.purchases
        where listing_id = ${monthly}`;
      assert.deepEqual([sold[0]?.["buyer_id"], sold[0]?.["receipt_url"]], [null, null]);
      assert.equal(sold[0]?.["status"], "canceled");
      const invoices = await db`select from public.invoices where user_id is null`;
      assert.ok(invoices.length >= 1);
      const balance = await db`select sum(amount_minor)::int as sum from billing.ledger_entries`;
      assert.equal(balance[0]?.["sum"], 0);
    });

    await t.step("what they sold is theirs who bought it, and is not sold any more", async () => {
      const mine = await call<{ length: number }>(buyer, "sync");
      assert.ok(mine);
      const { data } = await buyer.client.from("licences").select("status");
      assert.deepEqual(data, [{ status: "active" }]);
      const other = await signUp("late");
      const [status, code] = await refused(other, "purchase", { listing_id: own });
      assert.deepEqual([status, code], [409, "listing_not_available"]);
    });

    await t.step("Stripe has no customer, no card and no address of theirs", async () => {
      const gone = await stripe().customers.retrieve(customer).catch((error) => error);
      assert.ok(gone.deleted === true || gone.code === "resource_missing");
    });

    await t.step("a year goes by and nothing is billed", async () => {
      const charges = async () =>
        (await stripe().charges.list({ customer, limit: 100 })).data.length;
      const bills = async () =>
        (await stripe().invoices.list({ customer, limit: 100 })).data.length;
      const [paid, billed] = [await charges(), await bills()];
      let { frozen_time } = await stripe().testHelpers.testClocks.retrieve(clock);
      for (let month = 0; month < 12; month++) {
        frozen_time += 31 * DAY;
        await advance(clock, frozen_time);
      }
      await quiet();
      assert.deepEqual([await charges(), await bills()], [paid, billed]);
      assert.deepEqual(await mentions(db, person.email), []);
      assert.deepEqual(await mentions(db, person.id), PROOF);
    });

    await t.step("the address is free again, and whoever comes is somebody new", async () => {
      const { data, error } = await stranger().auth.signUp(person);
      assert.equal(error, null);
      assert.notEqual(data.user?.id, person.id);
    });
  } finally {
    await db.end();
  }
});

Deno.test("a deletion that dies at any request to Stripe goes on and ends the same", async () => {
  const db = sql({ max: 2 });
  try {
    const { person, customer } = await everything(db);
    await ask(person);
    let deaths = 0;
    // The nth request is not answered, then the one after it, until a run needs none that fails.
    for (let nth = 1; nth < 60; nth++) {
      await ripen(db, person);
      const { id } = await sandbox<{ id: string }>("/faults", {
        kind: "status",
        status: 500,
        skip: nth - 1,
        times: 6,
        match: { path: "/v1/" },
      });
      const run = await work();
      await sandbox(`/faults/${id}`, undefined, "DELETE");
      deaths += run.failed;
      const [row] = await db`select finished_at is not null as done, steps from billing.deletions
        where user_id = ${person.id}`;
      if (row?.["done"]) break;
    }
    await finish(db, person);
    assert.ok(deaths >= 5, `it died ${deaths} times`);
    assert.deepEqual(await mentions(db, person.email), []);
    const subscriptions = await stripe().subscriptions.list({ customer, status: "active" })
      .catch(() => ({ data: [] }));
    assert.deepEqual(subscriptions.data, []);
  } finally {
    await db.end();
  }
});

Deno.test("what was used beyond the allowance until then is billed once, and settled", async () => {
  const db = sql({ max: 2 });
  try {
    const { person, customer } = await payerInRealTime("spender");
    assert.equal((await choose(person, { enabled: true, cap_minor: 5_000 })).status, 200);
    await consumed(person, PRO_ALLOWANCE + 100);
    await aMoment();
    await ask(person);
    assert.equal((await consume(person, 1)).status, 429, "nothing more is spent");
    await finish(db, person);
    const { data } = await stripe().invoices.list({ customer, limit: 100 });
    const last = data.filter(({ total }) => total === 200);
    assert.equal(last.length, 1, JSON.stringify(data.map(({ total, status }) => [total, status])));
    assert.equal(last[0]?.status, "paid");
    const [left] = await db`select count(*)::int as rows from billing.overage_usage
      where stripe_customer_id = ${customer} and (claimed <> quantity or user_id is not null)`;
    assert.equal(left?.["rows"], 0);
  } finally {
    await db.end();
  }
});

Deno.test("an invoice that cannot be paid is written off, and not tried again", async () => {
  const db = sql({ max: 2 });
  try {
    const person = await signUp("owing");
    const clock = await stripe().testHelpers.testClocks.create({
      frozen_time: Math.floor(Date.now() / 1000),
    });
    const customer = await customerOf(person, { clock: clock.id });
    await stripe().subscriptions.create({
      customer,
      items: [{ price: await priceOf("pro_monthly") }],
    });
    await quiet();
    // The next renewal is declined and stays open.
    const failing = await stripe().paymentMethods.attach("pm_card_chargeCustomerFail", {
      customer,
    });
    await stripe().customers.update(customer, {
      invoice_settings: { default_payment_method: failing.id },
    });
    const later = Math.floor(Date.now() / 1000) + 32 * DAY;
    await advance(clock.id, later);
    await quiet();
    const open = await stripe().invoices.list({ customer, status: "open" });
    assert.equal(open.data.length, 1);
    await ask(person);
    await finish(db, person);
    const after = await stripe().invoices.list({ customer, limit: 100 });
    assert.deepEqual(
      after.data.filter(({ status }) => status === "open" || status === "draft"),
      [],
    );
    const attempts = after.data.map(({ attempt_count }) => attempt_count);
    await advance(clock.id, later + 60 * DAY);
    const atLast = await stripe().invoices.list({ customer, limit: 100 });
    assert.deepEqual(atLast.data.map(({ attempt_count }) => attempt_count), attempts);
  } finally {
    await db.end();
  }
});

Deno.test("a run goes on while there is time, however many leave at once", async () => {
  const db = sql({ max: 1 });
  try {
    const people = await Promise.all(Array.from({ length: 25 }, () => signUp("crowd")));
    await Promise.all(people.map(ask));
    const ids = people.map(({ id }) => id);
    await db`update billing.deletions set requested_at = requested_at - interval '8 minutes'
      where user_id = any (${ids})`;
    assert.ok((await work()).finished >= 25);
    const [left] = await db<{ rows: number }[]>`
      select count(*)::int as rows from auth.users where id = any (${ids})`;
    assert.equal(left?.rows, 0);
  } finally {
    await db.end();
  }
});

Deno.test("the scheduled job calls the function while somebody waits, and not otherwise", async () => {
  const db = sql({ max: 1 });
  const [job] = await db<{ command: string }[]>`
    select command from cron.job where jobname = 'tollgate-deletions'`;
  await db.end();
  assert.match(job?.command ?? "", /call_function\('deletions'\)/);
  const closed = await request("/functions/v1/deletions", {
    token: (await signUp("meddler")).token,
    body: {},
  });
  assert.equal(closed.status, 401);
  assert.ok(stack().secret_key);
});
