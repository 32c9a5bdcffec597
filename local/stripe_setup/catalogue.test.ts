import assert from "node:assert/strict";
import { reservePorts } from "../ports.ts";
import { startStripeSandbox } from "../stripe/server.ts";
import { type CatalogueRows, planSetup, refTo, stripeClient } from "./mod.ts";
import type Stripe from "stripe";

const KEY = "sk_test_catalogue";

/** Brings Stripe up to the rows, and answers the price id of every active lookup key. */
async function ensureCatalogue(stripe: Stripe, rows: CatalogueRows): Promise<Map<string, string>> {
  const { ids } = await (await planSetup(stripe, rows)).apply();
  const keys = [...rows.prices, ...rows.overage, ...rows.packs]
    .filter(({ is_active }) => is_active).map(({ lookup_key }) => lookup_key);
  return new Map(keys.map((key) => [key, ids.get(refTo("price", key)) ?? "none"]));
}

const ROWS: CatalogueRows = {
  metrics: [],
  overage: [],
  packs: [],
  features: [],
  plan_features: [],
  plans: [
    { id: "free", name: "Free", description: null },
    { id: "pro", name: "Pro", description: "For one person" },
  ],
  prices: [
    price("pro_monthly", 1500, "month"),
    price("pro_yearly", 15000, "year"),
    { ...price("pro_old", 900, "month"), is_active: false },
  ],
};

function price(lookup_key: string, unit_amount_minor: number, billing_interval: "month" | "year") {
  return {
    lookup_key,
    plan_id: "pro",
    currency: "usd",
    unit_amount_minor,
    billing_interval,
    is_active: true,
  };
}

const METRICS = [
  { id: "message", name: "Messages", meter_event_name: "tollgate_message" },
  { id: "tool", name: "Tools", meter_event_name: "tollgate_tool" },
];

function overage(metric_id: string, unit_amount_minor: string, options: Record<string, string>) {
  return {
    lookup_key: `pro_${metric_id}_overage`,
    plan_id: "pro",
    metric_id,
    currency: "usd",
    unit_amount_minor,
    is_active: true,
    options,
  };
}

function pack(price_minor: number) {
  return {
    lookup_key: "credits_10",
    name: "Credit of $10",
    currency: "usd",
    price_minor,
    is_active: true,
  };
}

const USAGE: CatalogueRows = {
  ...ROWS,
  metrics: METRICS,
  overage: [
    overage("message", "1.5", { eur: "1.25", gbp: "1" }),
    overage("tool", "0.8", {}),
    { ...overage("tool", "9", {}), lookup_key: "pro_tool_old", is_active: false },
  ],
  packs: [pack(1000), { ...pack(1), lookup_key: "credits_old", is_active: false }],
};

Deno.test("the catalogue in Stripe", async (t) => {
  const reserved = await reservePorts();
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-catalogue-" });
  const sandbox = await startStripeSandbox({
    port: reserved.ports.stripe,
    dataDir,
    secretKey: KEY,
  });
  const stripe = stripeClient(KEY, sandbox.url);
  try {
    let first = new Map<string, string>();
    await t.step("one product per paid plan, one price per active row", async () => {
      first = await ensureCatalogue(stripe, ROWS);
      assert.deepEqual([...first.keys()].sort(), ["pro_monthly", "pro_yearly"]);
      const products = await stripe.products.list();
      assert.deepEqual(products.data.map((one) => [one.name, one.metadata["plan"]]), [[
        "Pro",
        "pro",
      ]]);
    });

    await t.step("a second time changes nothing", async () => {
      assert.deepEqual(await ensureCatalogue(stripe, ROWS), first);
      assert.equal((await stripe.prices.list()).data.length, 2);
      assert.equal((await stripe.billingPortal.configurations.list()).data.length, 2);
    });

    await t.step("a changed amount is a new price that takes the lookup key over", async () => {
      const prices = ROWS.prices.map((row) =>
        row.lookup_key === "pro_monthly" ? { ...row, unit_amount_minor: 1900 } : row
      );
      const second = await ensureCatalogue(stripe, { ...ROWS, prices });
      assert.notEqual(second.get("pro_monthly"), first.get("pro_monthly"));
      assert.equal(second.get("pro_yearly"), first.get("pro_yearly"));
      const { data } = await stripe.prices.list({ lookup_keys: ["pro_monthly"] });
      assert.deepEqual(data.map((one) => one.unit_amount), [1900]);
      const configurations = await stripe.billingPortal.configurations.list();
      const switching = configurations.data.map(({ metadata, features }) =>
        [metadata?.["tollgate"], features.subscription_update.enabled] as const
      );
      assert.deepEqual(new Map(switching), new Map([["portal", true], ["portal_licences", false]]));
      assert.equal(switching.length, 2);
    });

    await t.step("currencies are added to the price that is there, tiers are a price", async () => {
      const tiers = [
        { up_to: 5, unit_amount_minor: 700, flat_amount_minor: 100 },
        { up_to: null, unit_amount_minor: 650, flat_amount_minor: 0 },
      ];
      const prices = [
        { ...price("pro_yearly", 15000, "year"), options: { eur: 14000, gbp: 12000 } },
        {
          ...price("pro_seats", 0, "month"),
          unit_amount_minor: null,
          tiers_mode: "volume" as const,
          tiers,
        },
      ];
      const third = await ensureCatalogue(stripe, { ...ROWS, prices });
      assert.equal(third.get("pro_yearly"), first.get("pro_yearly"));
      assert.deepEqual(await ensureCatalogue(stripe, { ...ROWS, prices }), third);
      const { data } = await stripe.prices.list({
        lookup_keys: ["pro_yearly", "pro_seats"],
        expand: ["data.currency_options", "data.tiers"],
      });
      const yearly = data.find((one) => one.lookup_key === "pro_yearly");
      assert.equal(yearly?.currency_options?.["eur"]?.unit_amount, 14000);
      const seats = data.find((one) => one.lookup_key === "pro_seats");
      assert.deepEqual(
        seats?.tiers?.map((
          { up_to, unit_amount, flat_amount },
        ) => [up_to, unit_amount, flat_amount]),
        [[5, 700, 100], [null, 650, null]],
      );

      const other = prices.map((row) =>
        "options" in row ? { ...row, options: { ...row.options, eur: 14500 } } : row
      );
      const fourth = await ensureCatalogue(stripe, { ...ROWS, prices: other });
      assert.notEqual(fourth.get("pro_yearly"), third.get("pro_yearly"));
      assert.equal(fourth.get("pro_seats"), third.get("pro_seats"));
    });

    const meteredPrices = async () => {
      const { data } = await stripe.prices.list({
        lookup_keys: ["pro_message_overage", "pro_tool_overage"],
        expand: ["data.currency_options"],
      });
      return new Map(data.map((one) => [one.lookup_key, one]));
    };
    let usage = new Map<string, string>();
    await t.step("a meter per metric that can be billed, summed up", async () => {
      usage = await ensureCatalogue(stripe, USAGE);
      const { data } = await stripe.billing.meters.list();
      assert.deepEqual(
        data.map((one) => [one.event_name, one.display_name, one.default_aggregation.formula])
          .toSorted(),
        [["tollgate_message", "Messages", "sum"], ["tollgate_tool", "Tools", "sum"]],
      );
    });

    await t.step(
      "a metered monthly price per active row, below a cent, with currencies",
      async () => {
        assert.equal(usage.has("pro_tool_old"), false);
        const prices = await meteredPrices();
        const { data: meters } = await stripe.billing.meters.list();
        const message = prices.get("pro_message_overage");
        assert.equal(message?.id, usage.get("pro_message_overage"));
        assert.equal(message?.unit_amount_decimal?.toString(), "1.5");
        assert.deepEqual(
          [message?.recurring?.interval, message?.recurring?.usage_type, message?.recurring?.meter],
          [
            "month",
            "metered",
            meters.find(({ event_name }) => event_name === "tollgate_message")?.id,
          ],
        );
        assert.deepEqual(
          ["eur", "gbp"].map((currency) =>
            message?.currency_options?.[currency]?.unit_amount_decimal?.toString()
          ),
          ["1.25", "1"],
        );
        assert.equal(message?.metadata["lookup_key"], "pro_message_overage");
        assert.equal(prices.get("pro_tool_overage")?.unit_amount_decimal?.toString(), "0.8");
      },
    );

    await t.step("a credit pack is bought once", async () => {
      assert.equal(usage.has("credits_old"), false);
      const price = await stripe.prices.retrieve(usage.get("credits_10") ?? "");
      assert.deepEqual([price.type, price.unit_amount, price.currency, price.lookup_key], [
        "one_time",
        1000,
        "usd",
        "credits_10",
      ]);
    });

    await t.step("usage a second time changes nothing", async () => {
      const counts = async () => [
        (await stripe.prices.list({ limit: 100 })).data.length,
        (await stripe.products.list({ limit: 100 })).data.length,
        (await stripe.billing.meters.list({ limit: 100 })).data.length,
      ];
      const before = await counts();
      assert.deepEqual(await ensureCatalogue(stripe, USAGE), usage);
      assert.deepEqual(await counts(), before);
    });

    await t.step("another amount, in any currency, is a new price with the key", async () => {
      const changed = await ensureCatalogue(stripe, {
        ...USAGE,
        overage: [
          overage("message", "1.5", { eur: "1.3", gbp: "1" }),
          overage("tool", "0.75", {}),
        ],
        packs: [pack(1200)],
      });
      for (const key of ["pro_message_overage", "pro_tool_overage", "credits_10"]) {
        assert.notEqual(changed.get(key), usage.get(key), key);
        const old = await stripe.prices.retrieve(usage.get(key) ?? "");
        // Who has the old one goes on paying it, and its metadata says what it was.
        assert.deepEqual([old.lookup_key, old.active, old.metadata["lookup_key"]], [
          null,
          true,
          key,
        ]);
      }
      assert.equal(changed.get("pro_monthly"), usage.get("pro_monthly"));
      const prices = await meteredPrices();
      assert.equal(prices.get("pro_tool_overage")?.id, changed.get("pro_tool_overage"));
      assert.equal(prices.get("pro_tool_overage")?.unit_amount_decimal?.toString(), "0.75");
      const { data: [credits] } = await stripe.prices.list({ lookup_keys: ["credits_10"] });
      assert.deepEqual([credits?.id, credits?.unit_amount], [changed.get("credits_10"), 1200]);
      const { data: meters } = await stripe.billing.meters.list();
      assert.equal(meters.length, 2);
    });

    await t.step("a metered price of a metric without a meter is refused", async () => {
      await assert.rejects(
        ensureCatalogue(stripe, { ...USAGE, metrics: METRICS.slice(0, 1) }),
        /pro_tool_overage names no meter: tool/,
      );
    });
  } finally {
    await sandbox.stop();
    reserved.release();
    await Deno.remove(dataDir, { recursive: true });
  }
});
