import assert from "node:assert/strict";
import type Stripe from "stripe";
import { creditMetadata, paidCredit } from "./credits.ts";

const PACK = {
  lookup_key: "credits_10",
  name: "$10 of credit",
  credit_minor: 1_000,
  expires_days: 365,
};

type Session = Parameters<typeof paidCredit>[0];
type Parts = Partial<Record<keyof Session, unknown>>;

/** As much of a session as the rule reads; JSON, as it comes over the wire. */
function session(parts: Parts = {}): Stripe.Checkout.Session {
  return JSON.parse(JSON.stringify({
    id: "cs_1",
    mode: "payment",
    payment_status: "paid",
    currency: "usd",
    created: 1_700_000_000,
    metadata: creditMetadata(PACK),
    payment_intent: { latest_charge: { refunded: false } },
    ...parts,
  }));
}

Deno.test("a paid session is the credit its metadata says, until it expires", () => {
  assert.deepEqual(paidCredit(session()), {
    session: "cs_1",
    currency: "usd",
    creditMinor: 1_000,
    expiresAt: 1_700_000_000 + 365 * 86_400,
    name: "$10 of credit",
    refunded: false,
  });
  const forever = creditMetadata({ ...PACK, expires_days: null });
  assert.equal(paidCredit(session({ metadata: forever }))?.expiresAt, null);
});

Deno.test("unpaid, of another kind or of nothing it is none", () => {
  for (
    const parts of [
      { payment_status: "unpaid" },
      { mode: "subscription" },
      { metadata: {} },
      { metadata: null },
      { metadata: { credit_pack: "x", credit_minor: "-1" } },
      { metadata: { credit_pack: "x", credit_minor: "1.5" } },
    ]
  ) assert.equal(paidCredit(session(parts)), null, JSON.stringify(parts));
});

Deno.test("refunded means given back, whatever else it was", () => {
  const refunded = paidCredit(session({ payment_intent: { latest_charge: { refunded: true } } }));
  assert.equal(refunded?.refunded, true);
  assert.equal(paidCredit(session({ payment_intent: "pi_1" }))?.refunded, false);
});
