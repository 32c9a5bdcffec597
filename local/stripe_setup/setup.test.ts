import assert from "node:assert/strict";
import type Stripe from "stripe";
import { API_VERSION, ENDPOINTS, SetupError } from "./mod.ts";
import {
  changesOf,
  converges,
  everything,
  type Fixture,
  HOOK,
  ROWS,
  withAmount,
  withSetup,
} from "./testing.ts";

Deno.test("the first run makes everything, the second one nothing", () =>
  withSetup(async (fixture) => {
    const first = await fixture.plan();
    assert.deepEqual(new Set(first.steps.map(({ change }) => change)), new Set(["create"]));
    assert.equal(first.changes.length, first.steps.length);
    const { secrets } = await first.apply();
    assert.deepEqual(secrets.map(({ name }) => name), ENDPOINTS.map(({ mark }) => mark));
    const second = await fixture.plan();
    // The secrets were not said to be shown; that is another test.
    const rest = second.steps.filter(({ kind }) => !["webhook", "destination"].includes(kind));
    assert.deepEqual(new Set(rest.map(({ change }) => change)), new Set(["keep"]));
    assert.equal(second.steps.length, first.steps.length);
    assert.deepEqual(second.notes, []);
  }));

Deno.test("a plan changes nothing, neither on an empty account nor on one that has drifted", () =>
  withSetup(async (fixture) => {
    const { plan, dataDir, stripe } = fixture;
    const empty = everything(dataDir);
    assert.ok((await plan()).changes.length > 10);
    assert.deepEqual(everything(dataDir), empty);
    await (await plan()).apply();
    await stripe.products.update(await productOf(stripe, "plan", "pro"), { name: "Changed" });
    const drifted = everything(dataDir);
    const found = await plan(withAmount("pro_monthly", 1900));
    assert.ok(changesOf(found).includes("replace price pro_monthly"));
    assert.deepEqual(everything(dataDir), drifted);
  }));

Deno.test("endpoints have the pinned version, exactly the types in use, and their own scope", () =>
  withSetup(async ({ plan, stripe }) => {
    await (await plan()).apply();
    const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
    for (const { mark, events, isThin } of ENDPOINTS.filter((kind) => !kind.isThin)) {
      const endpoint = data.find(({ metadata }) => metadata["tollgate"] === mark);
      assert.equal(isThin, false);
      assert.deepEqual(endpoint?.enabled_events.toSorted(), [...events].toSorted());
      assert.deepEqual([endpoint?.api_version, endpoint?.url], [API_VERSION, HOOK]);
    }
    const { data: thin } = await stripe.v2.core.eventDestinations.list();
    const scopes = thin.map(({ metadata, events_from }) => [metadata?.["tollgate"], events_from]);
    assert.deepEqual(scopes.toSorted(), [["accounts", ["@accounts"]], ["meters", ["@self"]]]);
    assert.ok(!data.some(({ enabled_events }) => enabled_events.includes("*")));
  }));

Deno.test("features of the plans on sale are attached to their products, and to nothing else", () =>
  withSetup(async ({ plan, stripe }) => {
    await (await plan()).apply();
    const keysOf = async (id: string) =>
      (await stripe.products.listFeatures(await productOf(stripe, "plan", id))).data
        .map(({ entitlement_feature }) => entitlement_feature.lookup_key).toSorted();
    assert.deepEqual(await keysOf("pro"), ["all_tools", "priority"]);
    assert.deepEqual(await keysOf("team"), ["all_tools"]);
    // Nobody can buy a plan with this one.
    assert.equal((await stripe.entitlements.features.list({ lookup_key: "sla" })).data.length, 0);
  }));

/** What somebody does to the account past us, and the plan that it takes to undo it. */
const DRIFTS: [string, (stripe: Stripe) => Promise<unknown>, string[]][] = [
  [
    "a product is renamed and described",
    async (stripe) =>
      await stripe.products.update(await productOf(stripe, "plan", "team"), {
        name: "Teams",
        description: "Hello",
      }),
    ["update product plan team"],
  ],
  [
    "a product is archived",
    async (stripe) =>
      await stripe.products.update(await productOf(stripe, "metric", "tool"), { active: false }),
    ["update product metric tool"],
  ],
  [
    "a price is archived",
    async (stripe) =>
      await stripe.prices.update(await priceOf(stripe, "credits_10"), { active: false }),
    ["update price credits_10"],
  ],
  [
    "a lookup key is stolen by a price of another product",
    async (stripe) => {
      await stripe.prices.create({
        currency: "usd",
        unit_amount: 1,
        recurring: { interval: "month" },
        product_data: { name: "Thief" },
        lookup_key: "pro_monthly",
        transfer_lookup_key: true,
      });
    },
    ["move price pro_monthly"],
  ],
  [
    "a lookup key is taken off and its price archived",
    async (stripe) =>
      await stripe.prices.update(await priceOf(stripe, "pro_tool_overage"), {
        lookup_key: "",
        active: false,
      }),
    ["move price pro_tool_overage"],
  ],
  [
    "a currency that no row has is added",
    async (stripe) =>
      await stripe.prices.update(await priceOf(stripe, "pro_yearly"), {
        currency_options: { eur: { unit_amount: 1 } },
      }),
    ["replace price pro_yearly", "update portal portal"],
  ],
  [
    "a price forgets what it is",
    async (stripe) =>
      await stripe.prices.update(await priceOf(stripe, "pro_monthly"), {
        metadata: { lookup_key: "", plan: "team" },
      }),
    ["update price pro_monthly"],
  ],
  [
    "a meter is deactivated and renamed",
    async (stripe) => {
      const { data } = await stripe.billing.meters.list();
      const meter = data.find(({ event_name }) => event_name === "tollgate_tool")?.id ?? "";
      await stripe.billing.meters.update(meter, { display_name: "Old" });
      await stripe.billing.meters.deactivate(meter);
    },
    ["update meter tollgate_tool"],
  ],
  [
    "a meter gives way to another one of the same name",
    async (stripe) => {
      const { data } = await stripe.billing.meters.list({ status: "active" });
      const meter = data.find(({ event_name }) => event_name === "tollgate_tool")?.id ?? "";
      await stripe.billing.meters.deactivate(meter);
      await stripe.billing.meters.create({
        display_name: "Tools",
        event_name: "tollgate_tool",
        default_aggregation: { formula: "sum" },
      });
    },
    ["replace price pro_tool_overage"],
  ],
  [
    "a feature is renamed, another archived, a third detached",
    async (stripe) => {
      const { data } = await stripe.entitlements.features.list();
      const idOf = (key: string) => data.find(({ lookup_key }) => lookup_key === key)?.id ?? "";
      await stripe.entitlements.features.update(idOf("all_tools"), { name: "Some tools" });
      await stripe.entitlements.features.update(idOf("priority"), { active: false });
      const team = await productOf(stripe, "plan", "team");
      for (const { id } of (await stripe.products.listFeatures(team)).data) {
        await stripe.products.deleteFeature(team, id);
      }
    },
    ["update feature all_tools", "create feature priority"],
  ],
  [
    "the portal lets people cancel at once and switch to nothing",
    async (stripe) => {
      const id = await portalOf(stripe, "portal");
      await stripe.billingPortal.configurations.update(id, {
        features: {
          subscription_cancel: { enabled: true, mode: "immediately" },
          subscription_update: { enabled: true, products: "" },
        },
      });
    },
    ["update portal portal"],
  ],
  [
    "the portal of licences is switched off",
    async (stripe) =>
      await stripe.billingPortal.configurations.update(await portalOf(stripe, "portal_licences"), {
        active: false,
      }),
    ["update portal portal_licences"],
  ],
  [
    "an endpoint hears of other events",
    async (stripe) => {
      const [endpoint] = (await stripe.webhookEndpoints.list()).data;
      const enabled_events = ["product.created" as const, "payout.paid" as const];
      await stripe.webhookEndpoints.update(endpoint?.id ?? "", { enabled_events });
    },
    ["update webhook connect"],
  ],
  [
    "an endpoint and a destination are disabled",
    async (stripe) => {
      const { data } = await stripe.webhookEndpoints.list();
      const own = data.find(({ metadata }) => metadata["tollgate"] === "webhook")?.id ?? "";
      await stripe.webhookEndpoints.update(own, { disabled: true });
      const { data: thin } = await stripe.v2.core.eventDestinations.list();
      const accounts = thin.find(({ metadata }) => metadata?.["tollgate"] === "accounts")?.id ?? "";
      await stripe.v2.core.eventDestinations.disable(accounts);
      await stripe.v2.core.eventDestinations.update(accounts, { enabled_events: ["*"] });
    },
    ["update webhook webhook", "update destination accounts"],
  ],
  [
    "an endpoint is deleted",
    async (stripe) => {
      const { data } = await stripe.webhookEndpoints.list();
      const own = data.find(({ metadata }) => metadata["tollgate"] === "connect")?.id ?? "";
      await stripe.webhookEndpoints.del(own);
    },
    ["create webhook connect"],
  ],
];

Deno.test("whatever drifts is put right, and nothing besides", async (t) => {
  await withSetup(async (fixture) => {
    await settle(fixture);
    for (const [name, drift, expected] of DRIFTS) {
      await t.step(name, async () => {
        await drift(fixture.stripe);
        await converges(fixture, ROWS, expected);
        await settle(fixture);
      });
    }
    await t.step("what was stolen from us is not marked as ours", async () => {
      const thief = (await fixture.stripe.products.list({ limit: 100 })).data
        .find(({ name }) => name === "Thief");
      const { data } = await fixture.stripe.prices.list({ product: thief?.id ?? "" });
      assert.deepEqual(data.map(({ metadata, active }) => [metadata, active]), [[{}, true]]);
    });
    await t.step("and after all of it each key has one price, as the row says", async () => {
      const { data } = await fixture.stripe.prices.list({ lookup_keys: ["pro_monthly"] });
      assert.deepEqual(data.map(({ active, unit_amount }) => [active, unit_amount]), [[
        true,
        1500,
      ]]);
    });
  });
});

Deno.test("a changed amount makes a price, and an amount of before takes its price again", () =>
  withSetup(async (fixture) => {
    const { stripe } = fixture;
    await settle(fixture);
    const before = await priceOf(stripe, "pro_monthly");
    const dearer = withAmount("pro_monthly", 1900);
    const plan = await fixture.plan(dearer);
    const details = plan.changes.find(({ name }) => name === "pro_monthly")?.details.join("; ");
    assert.match(details ?? "", /\$15\.00 a month.* → \$19\.00 a month/);
    await converges(fixture, dearer, ["replace price pro_monthly", "update portal portal"]);
    const after = await stripe.prices.retrieve(await priceOf(stripe, "pro_monthly"));
    assert.notEqual(after.id, before);
    const old = await stripe.prices.retrieve(before);
    assert.deepEqual([old.active, old.lookup_key, old.metadata["lookup_key"], old.unit_amount], [
      true,
      null,
      "pro_monthly",
      1500,
    ]);
    await converges(fixture, ROWS, ["move price pro_monthly", "update portal portal"]);
    assert.equal(await priceOf(stripe, "pro_monthly"), before);
    // Made again within a day under what was asked for before, which must not answer with the price of then.
    await converges(fixture, dearer, ["move price pro_monthly", "update portal portal"]);
    assert.equal(await priceOf(stripe, "pro_monthly"), after.id);
  }));

Deno.test("a price made by hand under the key gives it back, and its subscribers keep their plan", () =>
  withSetup(async (fixture) => {
    const { stripe } = fixture;
    await settle(fixture);
    const ours = await priceOf(stripe, "pro_yearly");
    const byHand = await stripe.prices.create({
      product: await productOf(stripe, "plan", "pro"),
      currency: "usd",
      unit_amount: 12_000,
      recurring: { interval: "year" },
      lookup_key: "pro_yearly",
      transfer_lookup_key: true,
    });
    await converges(fixture, ROWS, ["move price pro_yearly"]);
    assert.equal(await priceOf(stripe, "pro_yearly"), ours);
    const now = await stripe.prices.retrieve(byHand.id);
    assert.deepEqual([now.lookup_key, now.active, now.metadata], [null, true, {
      lookup_key: "pro_yearly",
    }]);
  }));

Deno.test("a currency and a plan that are new rows are added, and a row that is no longer sold is left alone", () =>
  withSetup(async (fixture) => {
    await settle(fixture);
    const before = await priceOf(fixture.stripe, "pro_yearly");
    const prices = ROWS.prices.map((row) =>
      row.lookup_key === "pro_yearly" ? { ...row, options: { eur: 14000 } } : row
    );
    await converges(fixture, { ...ROWS, prices }, ["update price pro_yearly"]);
    assert.equal(await priceOf(fixture.stripe, "pro_yearly"), before);
    const retired = prices.map((row) =>
      row.lookup_key === "team_seats" ? { ...row, is_active: false } : row
    );
    await converges(fixture, { ...ROWS, prices: retired }, ["update portal portal"]);
    const seats = await fixture.stripe.prices.retrieve(await priceOf(fixture.stripe, "team_seats"));
    assert.equal(seats.active, true);
  }));

Deno.test("rows that Stripe cannot have are refused as a whole", () =>
  withSetup(async ({ plan, stripe, dataDir }) => {
    const stray = { ...ROWS, plans: ROWS.plans.slice(0, 1) };
    await assert.rejects(plan(stray), (error) => error instanceof SetupError);
    await assert.rejects(plan({ ...ROWS, metrics: [] }), /names no meter: message/);
    const twins = ROWS.packs.map((pack) => ({ ...pack, lookup_key: "pro_yearly" }));
    await assert.rejects(plan({ ...ROWS, packs: twins }), /pro_yearly is the lookup key of two/);
    const many = Array.from({ length: 11 }, (_, index) => `p${index}`);
    const plans = many.map((id) => ({ id, name: id, description: null }));
    const prices = many.flatMap((id) =>
      ROWS.prices.slice(0, 1).map((row) => ({ ...row, plan_id: id, lookup_key: `${id}_monthly` }))
    );
    await assert.rejects(
      plan({ ...ROWS, plans, prices, plan_features: [] }),
      /11 plans are sold/,
    );
    await stripe.billing.meters.create({
      display_name: "Last",
      event_name: "tollgate_message",
      default_aggregation: { formula: "last" },
    });
    const before = everything(dataDir);
    await assert.rejects(plan(), /does not sum up/);
    assert.deepEqual(everything(dataDir), before);
  }));

/** All is as the rows say, and the secrets have reached somebody. */
async function settle({ plan, stripe }: Fixture): Promise<void> {
  const { markShown } = await import("./mod.ts");
  const { secrets } = await (await plan()).apply();
  await markShown(stripe, secrets);
  assert.deepEqual(changesOf(await plan()), []);
}

async function productOf(stripe: Stripe, kind: string, id: string): Promise<string> {
  const { data } = await stripe.products.list({ limit: 100 });
  return data.find(({ metadata }) => metadata[kind] === id)?.id ?? "";
}

async function priceOf(stripe: Stripe, key: string): Promise<string> {
  const { data } = await stripe.prices.list({ lookup_keys: [key] });
  return data[0]?.id ?? "";
}

async function portalOf(stripe: Stripe, mark: string): Promise<string> {
  const { data } = await stripe.billingPortal.configurations.list();
  return data.find(({ metadata }) => metadata?.["tollgate"] === mark)?.id ?? "";
}
