/** Destination charges: who gets what, what comes back, and what is refused. */
import assert from "node:assert/strict";
import {
  checkBooks,
  destinationCharge,
  newAccount,
  readyAccount,
  setTransfers,
  total,
  transactions,
} from "./connect_testing.ts";
import { eventually, refusal, withSandbox } from "./testing.ts";

Deno.test("a destination charge sends all of it, takes the fee back, and the books add up", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    const charge = await destinationCharge(stripe, account, { transfer_group: "order_1" });
    assert.equal(charge.application_fee_amount, 1500);
    assert.deepEqual(charge.transfer_data, { amount: null, destination: account });
    const transfer = await stripe.transfers.retrieve(String(charge.transfer), {
      expand: ["destination_payment", "balance_transaction"],
    });
    assert.equal(transfer.amount, 10_000);
    assert.equal(transfer.source_transaction, charge.id);
    assert.equal(transfer.transfer_group, "order_1");
    const fee = await stripe.applicationFees.retrieve(String(charge.application_fee));
    assert.equal(fee.amount, 1500);
    assert.equal(fee.originating_transaction, charge.id);
    assert.equal(fee.account, account);
    // 10000 − 320 (Stripe) − 10000 (transfer) + 1500 (fee)
    assert.equal(await checkBooks(stripe), 1180);
    assert.equal(await checkBooks(stripe, account), 8500);
    const types = (await transactions(stripe)).map((each) => each.type).sort();
    assert.deepEqual(types, ["application_fee", "charge", "transfer"]);
    const [payment] = await transactions(stripe, account);
    assert.equal(payment?.type, "payment");
    assert.equal(payment.fee_details[0]?.type, "application_fee");
    const listed = await stripe.transfers.list({ destination: account, transfer_group: "order_1" });
    assert.deepEqual(listed.data.map((each) => each.id), [transfer.id]);
  });
});

Deno.test("transfer_data[amount] sends that much and takes no fee", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    const charge = await destinationCharge(stripe, account, {
      application_fee_amount: undefined,
      transfer_data: { destination: account, amount: 8500 },
    });
    assert.equal(charge.application_fee, null);
    assert.equal(await checkBooks(stripe), 10_000 - 320 - 8500);
    assert.equal(await checkBooks(stripe, account), 8500);
  });
});

Deno.test("a destination charge is refused without transfers, with too high a fee, and with both kinds of share", async () => {
  await withSandbox(async (fixture) => {
    const { stripe, url } = fixture;
    const unready = (await newAccount(stripe)).id;
    const refused = await refusal(destinationCharge(stripe, unready));
    assert.equal(refused.code, "insufficient_capabilities_for_transfer");
    assert.equal(refused.statusCode, 400);
    const account = await readyAccount(fixture);
    const fails = async (options: Parameters<typeof destinationCharge>[2]) =>
      await refusal(destinationCharge(stripe, account, options));
    assert.equal((await fails({ application_fee_amount: 10_001 })).param, "application_fee_amount");
    assert.equal((await fails({ application_fee_amount: 0 })).param, "application_fee_amount");
    assert.equal(
      (await fails({ transfer_data: { destination: account, amount: 1 } })).code,
      "parameters_exclusive",
    );
    assert.equal((await fails({ transfer_data: undefined })).param, "application_fee_amount");
    assert.equal(
      (await fails({ transfer_data: { destination: "acct_none" } })).code,
      "resource_missing",
    );
    assert.equal((await fails({ on_behalf_of: account })).code, "parameter_unknown");
    await setTransfers(url, account, "restricted");
    assert.equal((await fails({})).code, "insufficient_capabilities_for_transfer");
    assert.equal((await stripe.charges.list()).data.length, 0);
  });
});

Deno.test("a refund takes back transfer and fee in proportion, and the rest exactly", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    const charge = await destinationCharge(stripe, account, {
      amount: 9999,
      application_fee_amount: 1001,
    });
    const platform = await total(stripe);
    const refund = async (amount?: number) =>
      await stripe.refunds.create({
        charge: charge.id,
        reverse_transfer: true,
        refund_application_fee: true,
        ...(amount === undefined ? {} : { amount }),
      });
    const first = await refund(3333);
    assert.equal(first.status, "succeeded");
    assert.ok(first.transfer_reversal && first.balance_transaction);
    const fee = await stripe.applicationFees.retrieve(String(charge.application_fee));
    assert.equal(fee.amount_refunded, 334);
    await refund(3333);
    await refund();
    const transfer = await stripe.transfers.retrieve(String(charge.transfer));
    assert.equal(transfer.reversed, true);
    assert.equal(transfer.reversals.data.length, 3);
    const gone = await stripe.applicationFees.retrieve(fee.id);
    assert.equal(gone.refunded, true);
    assert.equal(await checkBooks(stripe, account), 0);
    // Of the charge only Stripe's own fee is lost.
    assert.equal(await checkBooks(stripe), platform - 1001);
    assert.equal((await refusal(refund())).code, "charge_already_refunded");
  });
});

Deno.test("a refund without reverse_transfer is the platform's loss, and what is not there cannot come back", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    const charge = await destinationCharge(stripe, account);
    await stripe.refunds.create({ charge: charge.id, amount: 1000 });
    assert.equal(await checkBooks(stripe, account), 8500);
    const alone = { charge: charge.id, refund_application_fee: true };
    assert.equal((await refusal(stripe.refunds.create(alone))).param, "refund_application_fee");
    const plain = await stripe.paymentIntents.create({
      amount: 500,
      currency: "usd",
      confirm: true,
      payment_method: "pm_card_visa",
    });
    const none = { payment_intent: plain.id, reverse_transfer: true };
    assert.equal((await refusal(stripe.refunds.create(none))).param, "reverse_transfer");
  });
});

Deno.test("a refund fails or succeeds later with its test card, and its money comes back", async () => {
  await withSandbox(async ({ stripe }) => {
    const pay = async (payment_method: string) =>
      await stripe.paymentIntents.create({
        amount: 2000,
        currency: "usd",
        confirm: true,
        payment_method,
      });
    const failing = await pay("pm_card_refundFail");
    const before = await total(stripe);
    const refund = await stripe.refunds.create({ payment_intent: failing.id });
    assert.equal(refund.status, "succeeded");
    const failed = await eventually("the refund fails", async () => {
      const now = await stripe.refunds.retrieve(refund.id);
      return now.status === "failed" ? now : null;
    });
    assert.ok(failed.failure_balance_transaction);
    assert.equal(await checkBooks(stripe), before);
    assert.equal((await stripe.charges.retrieve(String(failing.latest_charge))).amount_refunded, 0);
    const names = (await stripe.events.list({ limit: 20 })).data.map((each) => each.type);
    assert.ok(names.includes("refund.failed"));
    assert.ok(names.includes("charge.refund.updated"));
    const pending = await stripe.refunds.create({
      payment_intent: (await pay("pm_card_pendingRefund")).id,
    });
    assert.equal(pending.status, "pending");
    await eventually(
      "the refund succeeds",
      async () => (await stripe.refunds.retrieve(pending.id)).status === "succeeded",
    );
    assert.match((await refusal(stripe.refunds.cancel(pending.id))).message, /requires_action/);
  }, { asyncDelaySeconds: 1 });
});

Deno.test("a payment that is captured later sends its share then, and less when less is captured", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    const charge = await destinationCharge(stripe, account, { capture_method: "manual" });
    assert.equal(await total(stripe, account), 0);
    const intent = String(charge.payment_intent);
    const capture = async (amount_to_capture: number, application_fee_amount?: number) =>
      await stripe.paymentIntents.capture(intent, {
        amount_to_capture,
        ...(application_fee_amount === undefined ? {} : { application_fee_amount }),
      });
    assert.equal((await refusal(capture(1000))).param, "application_fee_amount");
    await capture(5000, 700);
    assert.equal(await checkBooks(stripe, account), 4300);
    const done = await stripe.charges.retrieve(charge.id, { expand: ["transfer"] });
    assert.ok(done.transfer && typeof done.transfer === "object");
    assert.equal(done.transfer.amount, 5000);
    await stripe.refunds.create({
      charge: charge.id,
      reverse_transfer: true,
      refund_application_fee: true,
    });
    assert.equal(await checkBooks(stripe, account), 0);
  });
});

Deno.test("charge.succeeded comes before the money has gone on, charge.updated after it", async () => {
  await withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const account = await readyAccount(fixture);
    await destinationCharge(stripe, account);
    const told = async (type: string) => {
      const [event] = (await stripe.events.list({ type })).data;
      return JSON.parse(JSON.stringify(event?.data.object));
    };
    const first = await told("charge.succeeded");
    assert.deepEqual([first.balance_transaction, first.transfer], [null, undefined]);
    const then = await told("charge.updated");
    assert.ok(then.balance_transaction && then.transfer && then.application_fee);
    await destinationCharge(stripe, account, { capture_method: "automatic" });
    assert.ok((await told("charge.succeeded")).transfer);
  });
});
