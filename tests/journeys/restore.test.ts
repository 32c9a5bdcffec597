import assert from "node:assert/strict";
import postgres from "postgres";
import type { Ports } from "../../local/env.ts";
import { reservePorts } from "../../local/ports.ts";
import { SECRET_KEY, type Stack, startStack } from "../../local/stack.ts";
import { CARDS, pay } from "../support/hosted.ts";
import {
  buy,
  type Creator,
  creator,
  marketplaceSync,
  owned,
  publish,
} from "../support/marketplace.ts";
import { mustRun, ROOT, run } from "../support/run.ts";
import { operator, quiet, sandbox } from "../support/sandbox.ts";
import { eventually, type Person, request, signUp, stripe } from "../support/stack.ts";
import { entitlements, refused as refusedChange } from "../support/subscription.ts";
import {
  choose,
  consumed,
  payerInRealTime,
  PRO_ALLOWANCE,
  report,
  verdicts,
} from "../support/usage.ts";

/**
 * A backup of the database is restored while Stripe has gone on: what docs/operations.md promises, done for real. The
 * backup is a copy of the server's files, as Supabase's own are.
 */
class World {
  stack!: Stack;
  db!: postgres.Sql;
  #before = Deno.env.get("TEST_STACK");
  constructor(readonly dataDir: string, readonly ports: Ports) {}

  async start(): Promise<void> {
    const { dataDir, ports } = this;
    this.stack = await startStack({ dataDir, ports, web: false, cron: false, log: () => {} });
    this.db = postgres(this.stack.dbUrl, { max: 2, onnotice: () => {} });
    await this.db`update billing.rate_limits set burst = 1000000`;
    Deno.env.set("TEST_STACK", `${dataDir}/stack.json`);
  }

  async stop(): Promise<void> {
    await this.db.end();
    await this.stack.stop();
    if (this.#before === undefined) Deno.env.delete("TEST_STACK");
    else Deno.env.set("TEST_STACK", this.#before);
  }

  async backUp(): Promise<void> {
    await this.stop();
    await mustRun("cp", ["-a", `${this.dataDir}/postgres`, `${this.dataDir}/backup`]);
    await this.start();
  }

  async restore(): Promise<void> {
    await this.stop();
    await Deno.remove(`${this.dataDir}/postgres`, { recursive: true });
    await mustRun("mv", [`${this.dataDir}/backup`, `${this.dataDir}/postgres`]);
    await this.start();
  }
}

async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-restore-" });
  await Deno.chmod(dataDir, 0o755);
  const { ports, release } = await reservePorts();
  const world = new World(dataDir, ports);
  try {
    await world.start();
    await work(world);
  } finally {
    await world.stop().catch(() => {});
    release();
    await Deno.remove(dataDir, { recursive: true }).catch(() => {});
  }
}

/** A subscriber who pays beyond the allowance, which is used up. */
async function spender(name: string) {
  const one = await payerInRealTime(name);
  assert.equal((await choose(one.person, { enabled: true, cap_minor: 10_000 })).status, 200);
  await consumed(one.person, PRO_ALLOWANCE);
  return one;
}

async function checkOut(person: Person): Promise<void> {
  const { status, body, text } = await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: "pro_monthly" },
  });
  assert.equal(status, 200, text);
  await pay((body as { url: string }).url, CARDS.success);
  await eventually(() => entitlements(person), ({ plan }) => plan.id === "pro");
}

async function counted(customer: string): Promise<number> {
  const { meters } = await sandbox<
    { meters: { event_name: string; aggregated_value: number | null }[] }
  >(`/state?customer=${customer}`);
  return meters.find(({ event_name }) => event_name === "tollgate_message")?.aggregated_value ?? 0;
}

async function ledgerOf(db: postgres.Sql, customer: string): Promise<number[]> {
  const [row] = await db<{ quantity: string; claimed: string; spent: string }[]>`
    select u.quantity, u.claimed, a.spent_minor as spent
    from billing.overage_usage u join billing.overage_accounts a on a.user_id = u.user_id
    where u.stripe_customer_id = ${customer} and u.metric_id = 'message'`;
  return [Number(row?.quantity), Number(row?.claimed), Number(row?.spent)];
}

function restored(world: World, since: Date) {
  return run(Deno.execPath(), [
    ...["run", "-A", `${ROOT}local/operator/restored.ts`],
    `--since=${since.toISOString()}`,
  ], { env: { SUPABASE_URL: world.stack.apiUrl, SUPABASE_SECRET_KEY: SECRET_KEY } });
}

/** Everybody as they are at the time of the backup. */
async function population(db: postgres.Sql) {
  const seller: Creator = await creator(db);
  const listing = await publish(seller);
  // On the free plan a creator has one agent.
  const other = await publish(await creator(db, "second"));
  const [payer, late] = [await spender("payer"), await spender("late")];
  const leaver = await payerInRealTime("leaver");
  const [joins, buyer, refunded] = [
    await signUp("joins"),
    await signUp("buyer"),
    await signUp("back"),
  ];
  await buy(refunded, listing);
  await owned(refunded);
  // 3 units are reported, 4 in the outbox, 2 in the ledger only.
  await consumed(payer.person, 3);
  await report();
  await consumed(payer.person, 4);
  await db`select public.claim_usage(100, ${payer.customer})`;
  await consumed(payer.person, 2);
  await quiet();
  return { seller, listing, other, payer, late, leaver, joins, buyer, refunded };
}

type People = Awaited<ReturnType<typeof population>>;

/** What the backup does not know of. */
async function goOn(db: postgres.Sql, people: People): Promise<Person> {
  const { payer, late, leaver, joins, buyer, refunded, listing, other } = people;
  await consumed(payer.person, 5);
  await consumed(late.person, 6);
  await report();
  assert.deepEqual([await counted(payer.customer), await counted(late.customer)], [14, 6]);
  await checkOut(joins);
  await stripe().subscriptions.cancel(leaver.subscription);
  await buy(buyer, other);
  await owned(buyer);
  const [sale] = await db<{ charge_id: string }[]>`
    select charge_id from public.purchases where buyer_id = ${refunded.id} and listing_id = ${listing}`;
  await stripe().refunds.create({
    charge: sale?.charge_id ?? "",
    reverse_transfer: true,
    refund_application_fee: true,
  });
  const stranger = await signUp("new");
  await checkOut(stranger);
  await quiet();
  return stranger;
}

Deno.test("after a restored backup everything says what Stripe says, and nothing is billed twice", async (t) => {
  await withWorld(async (world) => {
    const people = await population(world.db);
    const { payer, late, leaver, joins, buyer, refunded, listing, seller } = people;
    // Stripe's seconds are whole: nobody above was created in this one.
    const since = new Date(Math.ceil((Date.now() + 1) / 1000) * 1000);
    await world.backUp();
    const lost = await goOn(world.db, people);
    await world.restore();
    const { db } = world;

    await t.step("the backup knows nothing of it", async () => {
      assert.deepEqual(await ledgerOf(db, payer.customer), [9, 7, 18]);
      const [row] = await db<{ waiting: string }[]>`
        select sum(quantity) as waiting from billing.usage_outbox where status = 'pending'`;
      // Four units that Stripe has would be sent again.
      assert.equal(row?.waiting, "4");
      assert.equal((await entitlements(joins)).plan.id, "free");
      assert.equal((await entitlements(leaver.person)).plan.id, "pro");
    });

    await t.step("usage is held back, and who must know that all is reported is told", async () => {
      await db`select public.hold_usage()`;
      await consumed(payer.person, 1);
      const { status } = await request("/functions/v1/usage-sync", {
        body: {},
        headers: { apikey: SECRET_KEY },
      });
      assert.equal(status, 409);
      assert.equal(await counted(payer.customer), 14);
    });

    await t.step("npm run restored converges, and says what it could not put right", async () => {
      const { code, stdout, stderr } = await restored(world, since);
      assert.equal(code, 2, stdout + stderr);
      assert.match(stdout, /Customers since: 2 linked, 1 no_user/);
      assert.match(stdout, /Sales since: .*1 recreated/);
      assert.match(
        stdout,
        new RegExp(`${payer.customer} message: 11 taken over from Stripe, 5 of them lost here`),
      );
      assert.match(
        stdout,
        new RegExp(`${late.customer} message: 6 taken over from Stripe, 6 of them lost here`),
      );
      assert.match(stdout, /Ledger: 2 creators, 0 drifts, 0 failed/);
    });

    await t.step("usage is what Stripe counted, and one more that was used meanwhile", async () => {
      assert.deepEqual(await ledgerOf(db, payer.customer), [15, 14, 30]);
      assert.deepEqual(await ledgerOf(db, late.customer), [6, 6, 12]);
      assert.deepEqual([await counted(payer.customer), await counted(late.customer)], [14, 6]);
      await consumed(payer.person, 5);
      await consumed(late.person, 2);
      const { sent, failed, parked } = await report();
      assert.deepEqual([sent, failed, parked], [2, 0, 0]);
      assert.deepEqual([await counted(payer.customer), await counted(late.customer)], [20, 8]);
      assert.deepEqual(await ledgerOf(db, payer.customer), [20, 20, 40]);
      assert.deepEqual(await verdicts(payer.customer), { equal: 2 });
      assert.deepEqual(await verdicts(late.customer), { equal: 2 });
    });

    await t.step(
      "who subscribed has the plan and cannot pay for it again, who left has not",
      async () => {
        assert.equal((await entitlements(joins)).plan.id, "pro");
        const again = await request("/functions/v1/checkout", {
          token: joins.token,
          body: { lookup_key: "pro_monthly" },
        });
        assert.equal((again.body as { error: { code: string } }).error.code, "already_subscribed");
        assert.equal((await entitlements(leaver.person)).plan.id, "free");
        assert.deepEqual(await refusedChange(leaver.person, { action: "resume" }), [
          409,
          "subscription_not_found",
        ]);
      },
    );

    await t.step(
      "who bought has the licence and cannot buy it again, who was refunded has not",
      async () => {
        const { listing_id } = await owned(buyer);
        assert.equal(listing_id, people.other);
        const again = await request("/functions/v1/purchase", {
          token: buyer.token,
          body: { listing_id },
        });
        assert.equal((again.body as { error: { code: string } }).error.code, "already_owned");
        const given = await owned(refunded, ({ status }) => status === "revoked");
        assert.deepEqual([given.listing_id, given.reason], [listing, "refunded"]);
      },
    );

    await t.step("the books are Stripe's", async () => {
      await marketplaceSync();
      const [sum] = await db<{ off: string }[]>`
        select coalesce(sum(abs(total)), 0) as off from (
          select sum(balance_minor) as total from billing.ledger_balances group by currency) c`;
      assert.equal(sum?.off, "0");
      const [share] = await db<{ balance: string }[]>`
        select balance_minor as balance from billing.ledger_balances
        where seller_id = ${seller.seller} and kind = 'creator'`;
      const { available, pending } = await stripe().balance.retrieve({}, {
        stripeAccount: seller.account,
      });
      const held = [...available, ...pending].reduce((total, { amount }) => total + amount, 0);
      assert.equal(Number(share?.balance), held);
    });

    await t.step("who signed up since is an operator's to bind, by their customer", async () => {
      const problems = await db<{ subject: string; user_id: string }[]>`
        select subject, details ->> 'user_id' as user_id from billing.problems
        where kind = 'customer_without_user' and resolved_at is null`;
      assert.deepEqual(problems.map(({ user_id }) => user_id), [lost.id]);
      const again = await signUp("again");
      await db`select public.link_customer(${again.id}, ${problems[0]?.subject ?? ""})`;
      await request("/functions/v1/sync", { token: again.token, body: {} });
      assert.equal((await entitlements(again)).plan.id, "pro");
    });

    await t.step("once more changes nothing", async () => {
      await db`update billing.problems set resolved_at = now() where kind = 'customer_without_user'`;
      const before = await counted(payer.customer);
      const { code, stdout } = await restored(world, since);
      assert.doesNotMatch(stdout, /taken over/);
      // The stranger's customer still bears the id of who is gone.
      assert.equal(code, 2, stdout);
      assert.match(stdout, /Customers since: 2 known, 1 no_user/);
      await report();
      assert.equal(await counted(payer.customer), before);
      const [held] = await db<{ status: string }[]>`
        select status from billing.health where check_name = 'usage_held'`;
      assert.equal(held?.status, "ok");
    });
  });
});

Deno.test("a customer or a sale is bound to nobody who is not theirs", async () => {
  const [person, other] = [await signUp("bound"), await signUp("stranger")];
  for (
    const [name, body] of [
      ["adopt_customer", { p_user_id: person.id, p_stripe_customer_id: "cus_of_somebody" }],
      ["hold_usage", {}],
      ["release_usage", {}],
      ["adopt_usage", {}],
      ["open_ledgers", {}],
    ] as const
  ) {
    const answer = await request(`/rest/v1/rpc/${name}`, { token: other.token, body });
    assert.ok([403, 404].includes(answer.status), `${name}: ${answer.text}`);
  }
  const asUser = await request("/functions/v1/restored", {
    token: other.token,
    body: { since: new Date().toISOString() },
  });
  assert.equal(asUser.status, 401);
  await stripe().customers.create({ metadata: { user_id: "4711" } });
  const { body } = await operator("restored", {
    since: new Date(Date.now() - 60_000).toISOString(),
  });
  const { customers } = body as { customers: Record<string, number> };
  assert.ok(
    customers["foreign"] === 1 && customers["failed"] === undefined,
    "somebody else's customer",
  );
  for (const since of ["8799-02-13T23:24:00Z", "1969-12-31T23:59:59Z", "yesterday"]) {
    assert.equal((await operator("restored", { since })).status, 400, since);
  }
});
