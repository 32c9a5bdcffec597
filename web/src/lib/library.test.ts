import { deepEqual, equal, ok } from "node:assert/strict";
import {
  arrivedOf,
  endingOf,
  endingText,
  inOrder,
  type LibraryItem,
  licenceState,
  offerOf,
  paidText,
  renewalText,
} from "./library.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const DAY = 86_400_000;
const once: LibraryItem = {
  id: "p1",
  reference: "9F3A21BC",
  licenceId: "l1",
  listingId: "a",
  title: "Proofreader",
  category: "agent",
  kind: "one_time",
  sellerName: "Ada",
  status: "active",
  reason: null,
  validUntil: null,
  periodEnd: null,
  endsWithPeriod: false,
  isLate: false,
  openInvoiceUrl: null,
  openMinor: null,
  amountMinor: 1200,
  refundedMinor: 0,
  currency: "usd",
  receiptUrl: null,
  boughtAt: NOW - DAY,
  copies: 0,
};
const monthly: LibraryItem = {
  ...once,
  licenceId: "l2",
  listingId: "b",
  kind: "monthly",
  validUntil: NOW + 20 * DAY,
  periodEnd: NOW + 17 * DAY,
};
const stateOf = (item: LibraryItem) => licenceState(item, NOW);

Deno.test("a licence that is active is open, and a monthly one says when it renews or ends", () => {
  deepEqual(stateOf(once), { access: "open", label: "Active", tone: "good", explanation: null });
  equal(stateOf(monthly).explanation, "Renews on December 9, 2026.");
  equal(renewalText({ ...monthly, endsWithPeriod: true }), "Ends on December 9, 2026.");
  equal(renewalText({ ...monthly, periodEnd: null, validUntil: null }), "Renews every month.");
});

Deno.test("a monthly licence whose time is over is closed, whatever its row still says", () => {
  equal(stateOf({ ...monthly, validUntil: NOW }).access, "closed");
  ok(
    stateOf({ ...monthly, validUntil: NOW, endsWithPeriod: true }).explanation?.includes("cancel"),
  );
});

Deno.test("why it is closed is said; an unknown state opens nothing", () => {
  equal(stateOf({ ...once, status: "revoked", reason: "refunded" }).label, "Refunded");
  ok(
    stateOf({ ...once, status: "suspended", reason: "dispute_open" }).explanation?.includes("bank"),
  );
  equal(stateOf({ ...once, status: "frozen", reason: "new_reason" }).access, "closed");
  equal(stateOf({ ...once, status: "revoked", reason: "__proto__" }).label, "Ended");
});

Deno.test("a payment under way waits, and nobody is asked to pay again", () => {
  const waiting = stateOf({ ...once, status: "processing", licenceId: null });
  equal(waiting.access, "waiting");
  ok(waiting.explanation?.includes("do not need to pay again"));
});

Deno.test("only a monthly licence that is open can be cancelled or resumed", () => {
  equal(endingOf(once, NOW), null);
  equal(endingOf(monthly, NOW), "cancel");
  equal(endingOf({ ...monthly, endsWithPeriod: true }, NOW), "resume");
  equal(endingOf({ ...monthly, status: "suspended" }, NOW), null);
});

const late = { ...monthly, isLate: true, openMinor: 1200, openInvoiceUrl: "https://stripe.test" };

Deno.test("a renewal that failed says until when it is kept, and after that how it comes back", () => {
  const kept = stateOf({ ...late, validUntil: NOW + 2 * DAY });
  deepEqual([kept.access, kept.label], ["open", "Payment due"]);
  ok(kept.explanation?.includes("until November 24, 2026"));
  const over = stateOf({ ...late, status: "revoked", reason: "payment_failed", validUntil: NOW });
  deepEqual([over.access, over.label], ["closed", "Payment due"]);
  ok(over.explanation?.includes("comes back at once"));
  equal(stateOf({ ...late, validUntil: NOW }).access, "closed");
  const ended = stateOf({ ...monthly, status: "revoked", reason: "payment_failed" });
  ok(ended.explanation?.includes("Buy it again"), "once it is over");
});

Deno.test("a renewal that failed can be cancelled, used or not, and nothing is owed then", () => {
  const over = { ...late, status: "revoked", reason: "payment_failed", validUntil: NOW - DAY };
  equal(endingOf(late, NOW), "cancel");
  equal(endingOf(over, NOW), "cancel");
  equal(endingOf({ ...over, endsWithPeriod: true }, NOW), "cancel");
  equal(endingOf({ ...over, isLate: false }, NOW), null, "nor what is over");
  ok(endingText(over, "cancel", NOW).startsWith("It ends now. What is open is written off"));
  ok(endingText(late, "cancel", NOW).startsWith("You keep it until December 12, 2026."));
  ok(endingText(monthly, "cancel", NOW).startsWith("You keep it until December 9, 2026, and"));
  ok(endingText(monthly, "resume", NOW).includes("for $12 a month"));
});

Deno.test("a disputed month says that no other is charged meanwhile", () => {
  const disputed = { ...monthly, status: "suspended", reason: "dispute_open" };
  ok(stateOf(disputed).explanation?.includes("No other month is charged"));
  ok(!stateOf({ ...disputed, kind: "one_time" }).explanation?.includes("month"));
});

Deno.test("what was paid and given back is told exactly", () => {
  equal(paidText(once), "$12.00 on November 21, 2026");
  equal(paidText({ ...monthly, boughtAt: null }), "$12.00 a month");
  equal(
    paidText({ ...once, refundedMinor: 250 }),
    "$12.00 on November 21, 2026, $2.50 refunded",
  );
  equal(paidText({ ...once, refundedMinor: 1200 }), "$12.00 on November 21, 2026, refunded");
});

Deno.test("what waits comes first, then what is open, the newest before the older", () => {
  const old = { ...once, listingId: "c", boughtAt: NOW - 5 * DAY };
  const gone = { ...once, listingId: "d", status: "revoked", boughtAt: NOW };
  const waiting = { ...once, listingId: "e", status: "processing" };
  const order = inOrder([gone, old, once, waiting], NOW).map((item) => item.listingId);
  deepEqual(order, ["e", "a", "c", "d"]);
});

Deno.test("what a purchase brought is the one that was paid, else the newest", () => {
  equal(arrivedOf([once, monthly], "b", NOW)?.listingId, "b");
  equal(arrivedOf([once], "b", NOW), null);
  equal(arrivedOf([{ ...once, status: "processing" }], "a", NOW), null);
  equal(arrivedOf([{ ...once, boughtAt: NOW - 5 * DAY }, monthly], null, NOW)?.listingId, "b");
});

Deno.test("a listing can be bought by who has nothing of it, while it is sold", () => {
  const sold = { status: "published", salesPaused: false } as const;
  const offer = (item: LibraryItem | null, listing: Parameters<typeof offerOf>[0] = sold) =>
    offerOf(listing, false, item, NOW);
  equal(offer(null), "open");
  equal(offer({ ...once, status: "revoked", reason: "refunded" }), "open");
  equal(offer(once), "owned");
  equal(offer(once, { ...sold, status: "withdrawn" }), "owned");
  equal(offer({ ...once, status: "processing" }), "waiting");
  equal(offer({ ...once, status: "suspended" }), "suspended");
  equal(offer({ ...late, status: "revoked", reason: "payment_failed" }), "unpaid");
  equal(offer({ ...late, validUntil: NOW + DAY }), "owned");
  equal(offer(null, { ...sold, status: "withdrawn" }), "withdrawn");
  equal(offer(null, { ...sold, salesPaused: true }), "paused");
  equal(offerOf(sold, true, null, NOW), "own");
});
