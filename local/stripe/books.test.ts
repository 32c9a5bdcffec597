/** Whatever is paid, refunded, reversed, disputed and paid out, in any order: the books add up. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkBooks, destinationCharge, readyAccount, transactions } from "./connect_testing.ts";
import { type Fixture, withSandbox } from "./testing.ts";

const DAY = 86_400;

async function pass(url: string, seconds: number): Promise<void> {
  const body = JSON.stringify({ seconds });
  const response = await fetch(`${url}/_sandbox/clock`, { method: "POST", body });
  await response.body?.cancel();
}

type Step =
  | { do: "charge"; amount: number; fee: number; account: number; card: string }
  | { do: "refund"; at: number; part: number; back: boolean }
  | { do: "reverse"; at: number; part: number; fee: boolean }
  | { do: "payout"; account: number; part: number }
  | { do: "transfer"; account: number; amount: number }
  | { do: "fee"; at: number; part: number }
  | { do: "pass"; days: number };

const part = fc.integer({ min: 1, max: 100 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("charge" as const),
    amount: fc.integer({ min: 50, max: 20_000 }),
    fee: fc.integer({ min: 0, max: 49 }),
    account: fc.nat(1),
    card: fc.constantFrom("visa", "createDispute", "refundFail", "pendingRefund", "bypassPending"),
  }),
  fc.record({ do: fc.constant("refund" as const), at: fc.nat(20), part, back: fc.boolean() }),
  fc.record({ do: fc.constant("reverse" as const), at: fc.nat(20), part, fee: fc.boolean() }),
  fc.record({ do: fc.constant("payout" as const), account: fc.nat(1), part }),
  fc.record({
    do: fc.constant("transfer" as const),
    account: fc.nat(1),
    amount: fc.integer({ min: 1, max: 5000 }),
  }),
  fc.record({ do: fc.constant("fee" as const), at: fc.nat(20), part }),
  fc.record({ do: fc.constant("pass" as const), days: fc.integer({ min: 1, max: 3 }) }),
);

const share = (of: number, percent: number) => Math.max(1, Math.floor((of * percent) / 100));
const pick = <T>(all: readonly T[], at: number): T | undefined => all[at % Math.max(1, all.length)];

async function take({ stripe, url }: Fixture, accounts: string[], step: Step): Promise<void> {
  if (step.do === "pass") return await pass(url, step.days * DAY);
  if (step.do === "charge") {
    await destinationCharge(stripe, accounts[step.account] ?? "", {
      amount: step.amount,
      application_fee_amount: step.fee === 0 ? undefined : step.fee,
      payment_method: `pm_card_${step.card}`,
    });
  } else if (step.do === "refund") {
    const charge = pick((await stripe.charges.list({ limit: 20 })).data, step.at);
    if (!charge) return;
    const both = step.back && charge.application_fee !== null;
    await stripe.refunds.create({
      charge: charge.id,
      amount: share(charge.amount, step.part),
      reverse_transfer: step.back,
      refund_application_fee: both,
    });
  } else if (step.do === "reverse") {
    const transfer = pick((await stripe.transfers.list({ limit: 20 })).data, step.at);
    if (!transfer) return;
    await stripe.transfers.createReversal(transfer.id, {
      amount: share(transfer.amount, step.part),
      refund_application_fee: step.fee,
    });
  } else if (step.do === "fee") {
    const fee = pick((await stripe.applicationFees.list({ limit: 20 })).data, step.at);
    if (!fee) return;
    await stripe.applicationFees.createRefund(fee.id, { amount: share(fee.amount, step.part) });
  } else if (step.do === "transfer") {
    const destination = accounts[step.account] ?? "";
    await stripe.transfers.create({ amount: step.amount, currency: "usd", destination });
  } else {
    const options = { stripeAccount: accounts[step.account] ?? "" };
    const { available } = await stripe.balance.retrieve({}, options);
    const amount = share(available[0]?.amount ?? 0, step.part);
    await stripe.payouts.create({ amount, currency: "usd" }, options);
  }
}

/** What the platform and its accounts have is what was paid, less what went to banks, payers and Stripe. */
async function checkAll({ stripe }: Fixture, accounts: readonly string[]): Promise<void> {
  await checkBooks(stripe);
  const all = [...await transactions(stripe)];
  for (const account of accounts) {
    await checkBooks(stripe, account);
    all.push(...await transactions(stripe, account));
  }
  const sum = (...types: string[]) =>
    all.filter((each) => types.includes(each.type)).reduce((net, each) => net + each.amount, 0);
  assert.equal(sum("transfer", "payment"), 0);
  assert.equal(sum("transfer_refund", "payment_refund"), 0);
  const fees = (await stripe.applicationFees.list({ limit: 100 })).data;
  const kept = fees.reduce((net, fee) => net + fee.amount - fee.amount_refunded, 0);
  assert.equal(sum("application_fee", "application_fee_refund"), kept);
  const charges = (await stripe.charges.list({ limit: 100 })).data;
  const paid = charges.reduce((net, each) => net + each.amount - each.amount_refunded, 0);
  assert.equal(sum("charge", "refund", "refund_failure"), paid);
  for (const transfer of (await stripe.transfers.list({ limit: 100 })).data) {
    const parts = transfer.reversals.data.reduce((net, each) => net + each.amount, 0);
    assert.ok(transfer.amount_reversed <= transfer.amount);
    assert.equal(parts, transfer.amount_reversed);
  }
}

Deno.test("the books add up after any sequence of payments, refunds, reversals and payouts", async () => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 2, maxLength: 7 }),
      (sequence) =>
        withSandbox(async (fixture) => {
          const accounts = [await readyAccount(fixture), await readyAccount(fixture)];
          for (const step of sequence) {
            // A refusal is an answer too; what is written must still add up.
            const happened = await take(fixture, accounts, step).then(() => true, () => false);
            done += happened ? 1 : 0;
          }
          await checkAll(fixture, accounts);
        }, { asyncDelaySeconds: 60 }),
    ),
    { numRuns: 200 },
  );
  assert.ok(done > 400, `only ${done} steps happened`);
});
