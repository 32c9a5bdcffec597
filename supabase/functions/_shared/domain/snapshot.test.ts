import assert from "node:assert/strict";
import type Stripe from "stripe";
import { AppError } from "./errors.ts";
import { lookupKeyOf, mayStillBill, notUnderstood, toSnapshot } from "./snapshot.ts";

const KEYS = new Set(["pro_monthly", "business_yearly"]);
const START = 1_790_000_000;
const END = START + 30 * 86_400;

interface ItemInput {
  lookup_key?: string | null;
  metadata?: Record<string, string>;
  usage_type?: string;
  quantity?: number;
  end?: number;
}

function item(input: ItemInput = {}): unknown {
  return {
    id: "si_1",
    current_period_start: START,
    current_period_end: input.end ?? END,
    ...(input.usage_type !== "metered" && { quantity: input.quantity ?? 1 }),
    price: {
      id: "price_1",
      lookup_key: input.lookup_key === undefined ? "pro_monthly" : input.lookup_key,
      metadata: input.metadata ?? {},
      recurring: { usage_type: input.usage_type ?? "licensed" },
    },
  };
}

/** A subscription as it comes over the wire: the types of the SDK promise more than a wire can. */
function wire(fields: Record<string, unknown> = {}): Stripe.Subscription {
  return JSON.parse(JSON.stringify({
    id: "sub_1",
    object: "subscription",
    status: "active",
    currency: "usd",
    created: START,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    trial_end: null,
    items: { data: [item()] },
    ...fields,
  }));
}

Deno.test("a subscription becomes a row with its item's period", () => {
  assert.deepEqual(toSnapshot(wire(), KEYS), {
    id: "sub_1",
    status: "active",
    price_lookup_key: "pro_monthly",
    quantity: 1,
    currency: "usd",
    current_period_start: new Date(START * 1000).toISOString(),
    current_period_end: new Date(END * 1000).toISOString(),
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    ended_at: null,
    trial_end: null,
    created: new Date(START * 1000).toISOString(),
    pending_price_lookup_key: null,
    pending_change_at: null,
  });
});

Deno.test("the item that sells a plan counts, wherever it stands", () => {
  const items = {
    data: [
      item({ lookup_key: "messages_metered", usage_type: "metered", end: END + 99 }),
      item({ lookup_key: "support_addon", end: END + 5 }),
      item({ lookup_key: "business_yearly", quantity: 7 }),
    ],
  };
  const snapshot = toSnapshot(wire({ items }), KEYS);
  assert.equal(snapshot.price_lookup_key, "business_yearly");
  assert.equal(snapshot.quantity, 7);
  assert.equal(snapshot.current_period_end, new Date(END * 1000).toISOString());
});

Deno.test("a price whose lookup key has moved on keeps selling what its subscribers bought", () => {
  const items = { data: [item({ lookup_key: null, metadata: { lookup_key: "pro_monthly" } })] };
  assert.equal(toSnapshot(wire({ items }), KEYS).price_lookup_key, "pro_monthly");
});

Deno.test("an unknown price is passed on as it is, for the database to refuse", () => {
  const unknown = { data: [item({ lookup_key: "from_the_dashboard" })] };
  assert.equal(toSnapshot(wire({ items: unknown }), KEYS).price_lookup_key, "from_the_dashboard");
  const nameless = { data: [item({ lookup_key: null })] };
  assert.equal(toSnapshot(wire({ items: nameless }), KEYS).price_lookup_key, null);
});

Deno.test("both of Stripe's ways to end a subscription are kept", () => {
  assert.equal(toSnapshot(wire({ cancel_at_period_end: true }), KEYS).cancel_at_period_end, true);
  assert.equal(
    toSnapshot(wire({ cancel_at: END }), KEYS).cancel_at,
    new Date(END * 1000).toISOString(),
  );
});

for (
  const [what, fields] of [
    ["no items at all", { items: undefined }],
    ["an empty list of items", { items: { data: [] } }],
    ["a period on the subscription instead of its item", {
      current_period_end: END,
      items: { data: [{ ...Object(item()), current_period_end: undefined }] },
    }],
    ["no status", { status: null }],
    ["a time that is text", { cancel_at: "2026-11-22" }],
  ] as const
) {
  Deno.test(`${what} is refused loudly instead of becoming a null`, () => {
    assert.throws(
      () => toSnapshot(wire(fields), KEYS),
      (error) => error instanceof AppError && error.code === "stripe_shape_unknown",
    );
  });
}

Deno.test("what cannot be read gives no access and leaves no room for a second one", () => {
  const { id, status, price_lookup_key } = notUnderstood("sub_1");
  assert.deepEqual([id, price_lookup_key], ["sub_1", null]);
  assert.ok(mayStillBill(status));
});

Deno.test("only ended subscriptions make room for another, a status of tomorrow does not", () => {
  assert.deepEqual(
    ["active", "trialing", "past_due", "unpaid", "paused", "incomplete", "frozen"].filter(
      mayStillBill,
    ),
    ["active", "trialing", "past_due", "unpaid", "paused", "incomplete", "frozen"],
  );
  assert.deepEqual(["canceled", "incomplete_expired"].filter(mayStillBill), []);
});

Deno.test("the present lookup key wins over the one in metadata", () => {
  assert.equal(lookupKeyOf({ lookup_key: "new", metadata: { lookup_key: "old" } }), "new");
  assert.equal(lookupKeyOf({ lookup_key: null, metadata: {} }), null);
});
