import assert from "node:assert/strict";
import type Stripe from "stripe";
import { creditDue, creditMetadata, hasEnded, paidCredit } from "./credits.ts";

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
    payment_intent: { id: "pi_1", latest_charge: { refunded: false, disputed: false } },
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
    paymentIntent: "pi_1",
    refunded: false,
    disputed: false,
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

Deno.test("refunded or disputed is what its payment says", () => {
  const charge = { refunded: true, disputed: true };
  const order = paidCredit(session({ payment_intent: { id: "pi_1", latest_charge: charge } }));
  assert.deepEqual([order?.refunded, order?.disputed], [true, true]);
  const unknown = paidCredit(session({ payment_intent: "pi_1" }));
  assert.deepEqual([unknown?.refunded, unknown?.disputed, unknown?.paymentIntent], [
    ...[false, false],
    "pi_1",
  ]);
});

Deno.test("credit is due unless it was refunded or a bank has the money, and again after each dispute that was won", () => {
  const of = (refunded: boolean, ...statuses: string[]) =>
    creditDue({ refunded }, JSON.parse(JSON.stringify(statuses.map((status) => ({ status })))));
  assert.deepEqual(of(false), { due: true, grantsDue: 1 });
  assert.equal(of(true).due, false);
  for (const status of ["needs_response", "under_review", "lost", "a_new_word"]) {
    assert.equal(of(false, "won", status).due, false, status);
  }
  assert.deepEqual(of(false, "warning_closed", "warning_needs_response", "prevented"), {
    due: true,
    grantsDue: 1,
  });
  assert.deepEqual(of(false, "won", "won"), { due: true, grantsDue: 3 });
  assert.equal(of(true, "won").due, false);
});

Deno.test("a grant has ended when it is void or its time is over", () => {
  assert.equal(hasEnded({ voided_at: null, expires_at: null }, 100), false);
  assert.equal(hasEnded({ voided_at: null, expires_at: 101 }, 100), false);
  assert.equal(hasEnded({ voided_at: null, expires_at: 100 }, 100), true);
  assert.equal(hasEnded({ voided_at: 1, expires_at: null }, 100), true);
});
