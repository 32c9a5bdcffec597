import assert from "node:assert/strict";
import { monthlyPrice, refusal, withSandbox } from "./testing.ts";

Deno.test("a feature has a key that no other active one has, and archiving it is for good", () =>
  withSandbox(async ({ stripe }) => {
    const { features } = stripe.entitlements;
    const feature = await features.create({ lookup_key: "sla", name: "SLA", metadata: { a: "b" } });
    const twin = await refusal(features.create({ lookup_key: "sla", name: "Again" }));
    assert.equal(twin.param, "lookup_key");
    const renamed = await features.update(feature.id, { name: "Agreement", metadata: { a: "" } });
    assert.deepEqual([renamed.name, renamed.metadata], ["Agreement", {}]);
    await features.update(feature.id, { active: false });
    assert.equal((await features.list()).data.length, 0);
    const { data: archived } = await features.list({ archived: true, lookup_key: "sla" });
    assert.deepEqual(archived.map(({ id }) => id), [feature.id]);
    for (const params of [{ active: true }, { name: "Back" }]) {
      assert.match((await refusal(features.update(feature.id, params))).message, /archived/);
    }
    // Its key is free again.
    const next = await features.create({ lookup_key: "sla", name: "SLA" });
    assert.notEqual(next.id, feature.id);
    assert.equal((await features.retrieve(feature.id)).active, false);
    assert.equal((await refusal(features.retrieve("feat_none"))).code, "resource_missing");
  }));

Deno.test("a feature is attached to a product once, and shows as it is now", () =>
  withSandbox(async ({ stripe }) => {
    const { products, entitlements: { features } } = stripe;
    const feature = await features.create({ lookup_key: "sla", name: "SLA" });
    const other = await features.create({ lookup_key: "team", name: "Team" });
    const [one, two] = [
      await products.create({ name: "One" }),
      await products.create({ name: "Two" }),
    ];
    const made = await products.createFeature(one.id, { entitlement_feature: feature.id });
    await products.createFeature(one.id, { entitlement_feature: other.id });
    await products.createFeature(two.id, { entitlement_feature: feature.id });
    const again = products.createFeature(one.id, { entitlement_feature: feature.id });
    assert.match((await refusal(again)).message, /already attached/);
    await features.update(feature.id, { name: "Agreement" });
    const { data } = await products.listFeatures(one.id);
    assert.deepEqual(data.map(({ entitlement_feature }) => entitlement_feature.name), [
      "Team",
      "Agreement",
    ]);
    // Of one product only.
    assert.equal(
      (await refusal(products.retrieveFeature(two.id, made.id))).code,
      "resource_missing",
    );
    await products.deleteFeature(one.id, made.id);
    assert.equal((await products.listFeatures(one.id)).data.length, 1);
    assert.equal((await products.listFeatures(two.id)).data.length, 1);
    const stranger = products.createFeature("prod_none", { entitlement_feature: other.id });
    assert.equal((await refusal(stranger)).code, "resource_missing");
    await features.update(other.id, { active: false });
    const late = products.createFeature(two.id, { entitlement_feature: other.id });
    assert.match((await refusal(late)).message, /archived/);
  }));

Deno.test("the products of a portal configuration are shown when they are asked for, and checked", () =>
  withSandbox(async ({ stripe }) => {
    const { configurations } = stripe.billingPortal;
    const price = await monthlyPrice(stripe);
    const product = String(price.product);
    const offering = (products: { product: string; prices: string[] }[]) => ({
      features: { subscription_update: { enabled: true, products } },
    });
    const made = await configurations.create(offering([{ product, prices: [price.id] }]));
    assert.equal(made.features.subscription_update.products, undefined);
    const expand = ["features.subscription_update.products"];
    const { features } = await configurations.retrieve(made.id, { expand });
    const [offered] = features.subscription_update.products ?? [];
    assert.deepEqual([offered?.product, offered?.prices], [product, [price.id]]);
    // What is not said stays.
    await configurations.update(made.id, { features: { invoice_history: { enabled: true } } });
    const kept = await configurations.retrieve(made.id, { expand });
    assert.equal(kept.features.subscription_update.products?.length, 1);
    const stray = await stripe.products.create({ name: "Another" });
    const wrong = configurations.create(offering([{ product: stray.id, prices: [price.id] }]));
    assert.match((await refusal(wrong)).message, /does not belong/);
    const many = Array.from({ length: 11 }, () => ({ product, prices: [price.id] }));
    assert.match((await refusal(configurations.create(offering(many)))).message, /at most 10/);
    const bad = await refusal(configurations.list({ expand: ["data.features.invoice_history.x"] }));
    assert.match(bad.message, /cannot be expanded/);
  }));

Deno.test("there are at most sixteen webhook endpoints, each of a version that Stripe could have", () =>
  withSandbox(async ({ stripe }) => {
    const wrong = await refusal(stripe.rawRequest("POST", "/v1/webhook_endpoints", {
      url: "http://127.0.0.1:9/",
      enabled_events: ["*"],
      api_version: "latest",
    }));
    assert.equal(wrong.param, "api_version");
    const create = () =>
      stripe.webhookEndpoints.create({ url: "http://127.0.0.1:9/", enabled_events: ["*"] });
    for (let n = 0; n < 16; n++) await create();
    assert.match((await refusal(create())).message, /maximum of 16/);
    const [first] = (await stripe.webhookEndpoints.list()).data;
    await stripe.webhookEndpoints.del(first?.id ?? "");
    assert.equal((await create()).status, "enabled");
  }));
