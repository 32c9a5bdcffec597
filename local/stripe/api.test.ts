import assert from "node:assert/strict";
import Stripe from "stripe";
import { customerWithCard, KEY, monthlyPrice, refusal, withSandbox } from "./testing.ts";

const raw = (url: string, init: RequestInit = {}, key = KEY) =>
  fetch(url, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });

Deno.test("a request without the key is a 401 in Stripe's shape", () =>
  withSandbox(async ({ url }) => {
    const bare = await fetch(`${url}/v1/customers`);
    assert.equal(bare.status, 401);
    const body = await bare.json();
    assert.equal(body.error.type, "invalid_request_error");
    assert.match(body.error.message, /You did not provide an API key/);
    const wrong = await raw(`${url}/v1/customers`, {}, "sk_test_somebodyelse");
    assert.equal(wrong.status, 401);
    assert.match((await wrong.json()).error.message, /Invalid API Key provided: sk_test_\*+else/);
    const basic = await fetch(`${url}/v1/customers`, {
      headers: { authorization: `Basic ${btoa(`${KEY}:`)}` },
    });
    assert.equal(basic.status, 200);
    await basic.body?.cancel();
  }));

Deno.test("every answer carries Request-Id and the version asked for", () =>
  withSandbox(async ({ url }) => {
    const answer = await raw(`${url}/v1/customers`, {
      headers: { "stripe-version": "2022-11-15" },
    });
    assert.match(answer.headers.get("request-id") ?? "", /^req_/);
    assert.equal(answer.headers.get("stripe-version"), "2022-11-15");
    await answer.body?.cancel();
    const odd = await raw(`${url}/v1/customers`, { headers: { "stripe-version": "yesterday" } });
    assert.equal(odd.status, 400);
    await odd.body?.cancel();
  }));

Deno.test("an endpoint the sandbox does not have is Stripe's own 404 and a log line", async () => {
  const log: string[] = [];
  await withSandbox(async ({ url, stripe }) => {
    const answer = await raw(`${url}/v1/issuing/cards`, { method: "POST" });
    assert.equal(answer.status, 404);
    assert.match(
      (await answer.json()).error.message,
      /^Unrecognized request URL \(POST: \/v1\/issuing\/cards\)/,
    );
    assert.ok(
      log.some((line) => line.includes("no such endpoint in the sandbox: POST /v1/issuing/cards")),
    );
    assert.equal((await refusal(stripe.topups.list())).statusCode, 404);
  }, { log: (line) => log.push(line) });
});

Deno.test("parameters are checked as at Stripe", () =>
  withSandbox(async ({ stripe, url }) => {
    const cases: [Record<string, string>, string, string | undefined, string | undefined][] = [
      [{}, "/v1/products", "parameter_missing", "name"],
      [{ name: "x", colour: "red" }, "/v1/products", "parameter_unknown", "colour"],
      [{ name: "x", active: "perhaps" }, "/v1/products", undefined, "active"],
      [{ name: "" }, "/v1/products", "parameter_invalid_empty", "name"],
      [
        { currency: "usd", unit_amount: "ten", product: "p" },
        "/v1/prices",
        "parameter_invalid_integer",
        "unit_amount",
      ],
      [
        { currency: "usd", unit_amount: "1", product: "p" },
        "/v1/prices",
        "resource_missing",
        "product",
      ],
      [
        { currency: "usd", "recurring[interval]": "decade", product: "p" },
        "/v1/prices",
        undefined,
        "recurring[interval]",
      ],
      [
        { customer: "cus_none", "items[0][price]": "x" },
        "/v1/subscriptions",
        "resource_missing",
        "customer",
      ],
      [
        { mode: "subscription", "line_items[0][prise]": "x" },
        "/v1/checkout/sessions",
        "parameter_unknown",
        "line_items[0][prise]",
      ],
      [
        { mode: "payment", "payment_method_types[0]": "card" },
        "/v1/checkout/sessions",
        "parameter_unknown",
        "payment_method_types",
      ],
      [{ mode: "payment", ui_mode: "hosted" }, "/v1/checkout/sessions", undefined, "ui_mode"],
    ];
    for (const [form, path, code, param] of cases) {
      const answer = await raw(url + path, { method: "POST", body: new URLSearchParams(form) });
      const { error } = await answer.json();
      assert.equal(answer.status, 400, error?.message);
      assert.equal(error.type, "invalid_request_error");
      assert.equal(error.code, code, error.message);
      assert.equal(error.param, param, error.message);
    }
    const missing = await refusal(stripe.customers.retrieve("cus_none"));
    assert.deepEqual([missing.statusCode, missing.code, missing.param], [
      404,
      "resource_missing",
      "id",
    ]);
    assert.equal(missing.message, "No such customer: 'cus_none'");
  }));

Deno.test("metadata merges, and an empty string takes a key or a field away", () =>
  withSandbox(async ({ stripe }) => {
    const { id } = await stripe.customers.create({ name: "Ada", metadata: { a: "1", b: "2" } });
    const merged = await stripe.customers.update(id, { metadata: { b: "", c: "3" } });
    assert.deepEqual(merged.metadata, { a: "1", c: "3" });
    const cleared = await stripe.customers.update(id, { metadata: "", name: "" });
    assert.deepEqual([cleared.metadata, cleared.name], [{}, null]);
    const [event] = (await stripe.events.list({ type: "customer.updated", limit: 1 })).data;
    assert.deepEqual(event?.data.previous_attributes, {
      metadata: { a: "1", c: "3" },
      name: "Ada",
    });
  }));

Deno.test("lists page in both directions and filter", () =>
  withSandbox(async ({ stripe }) => {
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      ids.unshift((await stripe.customers.create({ email: `${i % 2}@x.io` })).id);
    }
    const all: string[] = [];
    for await (const customer of stripe.customers.list({ limit: 3 })) all.push(customer.id);
    assert.deepEqual(all, ids);
    const first = await stripe.customers.list({ limit: 3 });
    assert.deepEqual([first.has_more, first.url, first.object], [true, "/v1/customers", "list"]);
    const last = await stripe.customers.list({ limit: 3, starting_after: ids[5] });
    assert.deepEqual([last.data.length, last.has_more], [1, false]);
    const back = await stripe.customers.list({ limit: 2, ending_before: ids[4] });
    assert.deepEqual(back.data.map((each) => each.id), ids.slice(2, 4));
    assert.equal((await stripe.customers.list({ email: "1@x.io" })).data.length, 3);
    const created = first.data[0]?.created ?? 0;
    assert.equal((await stripe.customers.list({ created: { gt: created + 60 } })).data.length, 0);
    assert.equal((await stripe.customers.list({ created: { gte: created - 60 } })).data.length, 7);
    assert.equal(
      (await refusal(stripe.customers.list({ limit: 101 }))).code,
      "parameter_invalid_integer",
    );
    assert.equal(
      (await refusal(stripe.customers.list({ starting_after: "cus_x" }))).code,
      "resource_missing",
    );
  }));

Deno.test("expand reaches into lists and nested hashes, and refuses what cannot be expanded", () =>
  withSandbox(async ({ stripe }) => {
    const price = await monthlyPrice(stripe);
    const { customer, method } = await customerWithCard(stripe);
    await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const listed = await stripe.subscriptions.list({
      customer: customer.id,
      expand: [
        "data.customer.invoice_settings.default_payment_method",
        "data.items.data.price.product",
        "data.latest_invoice.payments",
      ],
    });
    const [sub] = listed.data;
    assert.ok(sub && typeof sub.customer === "object" && !sub.customer.deleted);
    const chosen = sub.customer.invoice_settings.default_payment_method;
    assert.ok(chosen && typeof chosen === "object" && chosen.id === method.id);
    const product = sub.items.data[0]?.price.product;
    assert.ok(typeof product === "object" && !product.deleted && product.name === "Plan 1500");
    assert.ok(typeof sub.latest_invoice === "object");
    assert.equal(sub.latest_invoice?.payments?.data[0]?.status, "paid");
    const plain = await stripe.invoices.retrieve(sub.latest_invoice?.id ?? "");
    assert.equal(plain.payments, undefined);
    for (const path of ["email", "nonsense", "id", "customer.nonsense"]) {
      const refused = await refusal(stripe.subscriptions.retrieve(sub.id, { expand: [path] }));
      assert.match(refused.message, /This property cannot be expanded/, path);
    }
  }));

Deno.test("a lookup key has one holder and moves only when told", () =>
  withSandbox(async ({ stripe }) => {
    const old = await monthlyPrice(stripe, 1500, "pro_monthly");
    const product = String(old.product);
    const next = { product, currency: "usd", unit_amount: 1600, lookup_key: "pro_monthly" };
    assert.equal((await refusal(stripe.prices.create(next))).param, "lookup_key");
    const fresh = await stripe.prices.create({ ...next, transfer_lookup_key: true });
    assert.equal((await stripe.prices.retrieve(old.id)).lookup_key, null);
    const { data } = await stripe.prices.list({
      lookup_keys: ["pro_monthly", "none"],
      active: true,
    });
    assert.deepEqual(data.map((price) => price.id), [fresh.id]);
  }));

Deno.test("an idempotency key replays its answer, refuses other parameters, and forgets validation errors", () =>
  withSandbox(async ({ stripe, url }) => {
    const idempotencyKey = "customer-1";
    const first = await stripe.customers.create({ name: "Ada" }, { idempotencyKey });
    const again = await stripe.customers.create({ name: "Ada" }, { idempotencyKey });
    assert.equal(again.id, first.id);
    assert.equal(new Headers(again.lastResponse.headers).get("idempotent-replayed"), "true");
    assert.equal((await stripe.customers.list()).data.length, 1);
    const other = await refusal(stripe.customers.create({ name: "Eve" }, { idempotencyKey }));
    assert.deepEqual([other.type, other.statusCode], ["StripeIdempotencyError", 400]);
    const send = (form: Record<string, string>) =>
      raw(`${url}/v1/products`, {
        method: "POST",
        headers: { "idempotency-key": "product-1" },
        body: new URLSearchParams(form),
      });
    assert.equal((await send({})).status, 400);
    assert.equal((await send({ name: "ok" })).status, 200);
    // An answer of the endpoint itself is stored, also when it is an error.
    const declined = {
      amount: 100,
      currency: "usd",
      confirm: true,
      payment_method: "pm_card_chargeDeclined",
    };
    const one = await refusal(stripe.paymentIntents.create(declined, { idempotencyKey: "pay-1" }));
    const two = await refusal(stripe.paymentIntents.create(declined, { idempotencyKey: "pay-1" }));
    assert.equal(one.payment_intent?.id, two.payment_intent?.id);
  }));

Deno.test("the same key in flight is a 409", () =>
  withSandbox(async ({ stripe }) => {
    const create = () => stripe.customers.create({ name: "Ada" }, { idempotencyKey: "twice" });
    const results = await Promise.allSettled([create(), create()]);
    const refused = results.filter((result) => result.status === "rejected").map((result) =>
      result.reason
    );
    assert.equal(refused.length, 1);
    assert.ok(refused[0] instanceof Stripe.errors.StripeError);
    assert.deepEqual([refused[0].statusCode, refused[0].code], [409, "idempotency_key_in_use"]);
    assert.equal((await stripe.customers.list()).data.length, 1);
  }, { latencyMs: 100 }));

Deno.test("a deleted customer answers as deleted and is no longer listed", () =>
  withSandbox(async ({ stripe }) => {
    const price = await monthlyPrice(stripe);
    const { customer } = await customerWithCard(stripe);
    const sub = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id }],
    });
    assert.deepEqual((await stripe.customers.del(customer.id)).deleted, true);
    assert.equal((await stripe.customers.retrieve(customer.id)).deleted, true);
    assert.equal((await stripe.customers.list()).data.length, 0);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "canceled");
  }));
