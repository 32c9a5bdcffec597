import assert from "node:assert/strict";
import type Stripe from "stripe";
import { customerOf, customerToSync } from "./events.ts";

function event(type: string, object: unknown): Stripe.Event {
  return JSON.parse(JSON.stringify({ id: "evt_1", type, data: { object } }));
}

Deno.test("an event hints at its customer, as an id or expanded", () => {
  const type = "customer.subscription.updated";
  assert.equal(customerToSync(event(type, { object: "subscription", customer: "cus_1" })), "cus_1");
  assert.equal(
    customerToSync(event(type, { object: "subscription", customer: { id: "cus_1" } })),
    "cus_1",
  );
});

Deno.test("an event about a customer hints at itself", () => {
  assert.equal(
    customerToSync(event("customer.deleted", { object: "customer", id: "cus_1" })),
    "cus_1",
  );
});

Deno.test("events of no interest, and shapes of another time, hint at nothing", () => {
  assert.equal(customerToSync(event("product.created", { object: "product", id: "prod_1" })), null);
  assert.equal(
    customerToSync(event("charge.succeeded", { object: "charge", customer: "cus_1" })),
    null,
  );
  assert.equal(customerToSync(event("invoice.paid", { object: "invoice" })), null);
  assert.equal(customerOf(event("invoice.paid", null)), null);
  assert.equal(customerOf(event("invoice.paid", { object: "invoice", customer: 7 })), null);
});
