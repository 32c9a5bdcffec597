import assert from "node:assert/strict";
import { type CatalogueRows, ensureCatalogue } from "./catalogue.ts";
import { reservePorts } from "./ports.ts";
import { stripeClient } from "./stripe_setup.ts";
import { startStripeSandbox } from "./stripe/server.ts";

const KEY = "sk_test_catalogue";

const ROWS: CatalogueRows = {
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
      assert.equal((await stripe.billingPortal.configurations.list()).data.length, 1);
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
      assert.equal(configurations.data.length, 1);
      assert.equal(configurations.data[0]?.metadata?.["tollgate"], "portal");
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
  } finally {
    await sandbox.stop();
    reserved.release();
    await Deno.remove(dataDir, { recursive: true });
  }
});
