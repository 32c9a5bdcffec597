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
  } finally {
    await sandbox.stop();
    reserved.release();
    await Deno.remove(dataDir, { recursive: true });
  }
});
