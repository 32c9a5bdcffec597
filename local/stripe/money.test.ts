/** Balances, transfers, payouts, disputes and bank debits; and that the books add up whatever happens. */
import assert from "node:assert/strict";
import {
  checkBooks,
  destinationCharge,
  readyAccount,
  setTransfers,
  total,
  transactions,
} from "./connect_testing.ts";
import { advance, customerWithCard, monthlyPrice, refusal, START, withSandbox } from "./testing.ts";

const DAY = 86_400;

async function pass(url: string, seconds: number): Promise<void> {
  const body = JSON.stringify({ seconds });
  const response = await fetch(`${url}/_sandbox/clock`, { method: "POST", body });
  await response.body?.cancel();
}

Deno.test("money is pending for two days, and a transfer needs what is available or names its source", () =>
  withSandbox(async (fixture) => {
    const { stripe, url } = fixture;
    const destination = await readyAccount(fixture);
    const paid = await stripe.paymentIntents.create({
      amount: 10_000,
      currency: "usd",
      confirm: true,
      payment_method: "pm_card_visa",
    });
    const before = await stripe.balance.retrieve();
    assert.deepEqual([before.available[0]?.amount, before.pending[0]?.amount], [0, 9680]);
    const send = (amount: number, source_transaction?: string) =>
      stripe.transfers.create({
        amount,
        currency: "usd",
        destination,
        ...(source_transaction ? { source_transaction } : {}),
      });
    assert.equal((await refusal(send(100))).code, "balance_insufficient");
    const charge = String(paid.latest_charge);
    const sent = await send(6000, charge);
    assert.equal(sent.transfer_group, `group_${paid.id}`);
    assert.match((await refusal(send(4001, charge))).message, /source amount/);
    await pass(url, 3 * DAY);
    const after = await stripe.balance.retrieve();
    assert.deepEqual([after.available[0]?.amount, after.pending[0]?.amount], [3680, 0]);
    assert.ok((await transactions(stripe)).every((each) => each.status === "available"));
    await send(3680);
    await checkBooks(stripe);
    assert.equal(await checkBooks(stripe, destination), 9680);
    const back = await stripe.transfers.createReversal(sent.id, { amount: 1000 });
    assert.equal(back.transfer, sent.id);
    assert.match(
      (await refusal(
        stripe.transfers.createReversal(sent.id, { amount: 5001 }),
      )).message,
      /not been reversed \(5000\)/,
    );
  }));

Deno.test("an account pays out what is available, and a later reversal makes it owe", () =>
  withSandbox(async (fixture) => {
    const { stripe, url } = fixture;
    const account = await readyAccount(fixture);
    const options = { stripeAccount: account };
    const charge = await destinationCharge(stripe, account);
    const out = (amount: number) => stripe.payouts.create({ amount, currency: "usd" }, options);
    assert.equal((await refusal(out(8500))).code, "balance_insufficient");
    await pass(url, 3 * DAY);
    const payout = await out(8500);
    assert.equal(payout.status, "pending");
    assert.equal((await refusal(stripe.payouts.retrieve(payout.id))).code, "resource_missing");
    await pass(url, 3 * DAY);
    assert.equal((await stripe.payouts.retrieve(payout.id, {}, options)).status, "paid");
    await stripe.refunds.create({
      charge: charge.id,
      reverse_transfer: true,
      refund_application_fee: true,
    });
    assert.equal(await checkBooks(stripe, account), -8500);
    await checkBooks(stripe);
    const names = (await stripe.events.list({ limit: 100 }, options)).data.map((e) => e.type);
    assert.ok(names.includes("payout.paid"));
    const filter = stripe.balanceTransactions.list({ payout: payout.id }, options);
    assert.match((await refusal(filter)).message, /only be filtered on automatic/);
  }));

Deno.test("a dispute takes amount and fee from the platform, leaves the transfer, and is won, lost or accepted", () =>
  withSandbox(async (fixture) => {
    const { stripe, url } = fixture;
    const account = await readyAccount(fixture);
    const disputed = async () => {
      const charge = await destinationCharge(stripe, account, {
        payment_method: "pm_card_createDispute",
      });
      const [dispute] = (await stripe.disputes.list({ charge: charge.id })).data;
      assert.ok(dispute);
      return { charge, dispute };
    };
    const before = await total(stripe);
    const { charge, dispute } = await disputed();
    const [taken] = dispute.balance_transactions;
    assert.deepEqual([taken?.amount, taken?.fee, taken?.type], [-10_000, 1500, "adjustment"]);
    assert.equal(await checkBooks(stripe), before + 1180 - 11_500);
    assert.equal(await checkBooks(stripe, account), 8500);
    assert.equal((await stripe.transfers.retrieve(String(charge.transfer))).amount_reversed, 0);
    const refund = stripe.refunds.create({ charge: charge.id });
    assert.equal((await refusal(refund)).code, "charge_disputed");
    await stripe.transfers.createReversal(String(charge.transfer));
    assert.equal(await checkBooks(stripe, account), -1500);
    const won = await stripe.disputes.update(dispute.id, {
      evidence: { uncategorized_text: "winning_evidence" },
    });
    assert.equal(won.status, "won");
    assert.equal(await checkBooks(stripe), before + 1180 - 1500 + 10_000);
    const second = await disputed();
    const held = await total(stripe);
    assert.equal((await stripe.disputes.close(second.dispute.id)).status, "lost");
    assert.equal(await checkBooks(stripe), held);
    // By hand, of any payment.
    const third = await destinationCharge(stripe, account);
    const post = async (path: string, body: object) => {
      const answer = await fetch(`${url}/_sandbox/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
      });
      return await answer.json();
    };
    const opened = await post(`charges/${third.id}/dispute`, {});
    assert.equal(opened.status, "needs_response");
    assert.equal((await post(`disputes/${opened.id}`, { outcome: "lost" })).status, "lost");
    // Of a part, but not of more than there is.
    const fourth = await destinationCharge(stripe, account);
    const all = await total(stripe);
    assert.match(
      (await post(`charges/${fourth.id}/dispute`, { amount: 10_001 })).error.message,
      /cannot be disputed/,
    );
    assert.equal((await post(`charges/${fourth.id}/dispute`, { amount: 4_000 })).amount, 4_000);
    assert.equal(await checkBooks(stripe), all - 5_500);
    const names = (await stripe.events.list({ limit: 100 })).data.map((each) => each.type);
    assert.ok(names.includes("charge.dispute.funds_reinstated"));
  }));

Deno.test("a bank debit in Checkout is unpaid until the bank answers, and then its share goes on", () =>
  withSandbox(async (fixture) => {
    const { stripe, sandbox, url } = fixture;
    const destination = await readyAccount(fixture);
    const open = async () =>
      await stripe.checkout.sessions.create({
        mode: "payment",
        line_items: [{
          price_data: { currency: "usd", unit_amount: 5000, product_data: { name: "Pack" } },
          quantity: 1,
        }],
        payment_intent_data: { application_fee_amount: 500, transfer_data: { destination } },
        success_url: "http://127.0.0.1:9/done",
      });
    const pay = async (number: string) => {
      const { id } = await open();
      const done = sandbox.hosted.payCheckout(id, { bank: { number }, email: "ada@example.com" });
      assert.equal(done.outcome, "succeeded");
      const session = await stripe.checkout.sessions.retrieve(id);
      assert.deepEqual([session.status, session.payment_status], ["complete", "unpaid"]);
      const intent = await stripe.paymentIntents.retrieve(String(session.payment_intent));
      assert.equal(intent.status, "processing");
      return session.id;
    };
    const good = await pay("000123456789");
    const bad = await pay("000111111113");
    assert.equal(await total(stripe, destination), 0);
    await pass(url, 60);
    assert.equal((await stripe.checkout.sessions.retrieve(good)).payment_status, "paid");
    assert.equal((await stripe.checkout.sessions.retrieve(bad)).payment_status, "unpaid");
    assert.equal(await checkBooks(stripe, destination), 4500);
    await checkBooks(stripe);
    const names = (await stripe.events.list({ limit: 100 })).data.map((each) => each.type);
    assert.ok(names.includes("checkout.session.async_payment_succeeded"));
    assert.ok(names.includes("checkout.session.async_payment_failed"));
    assert.throws(() => sandbox.hosted.payCheckout(bad, { bank: { number: "1" } }));
  }, { asyncDelaySeconds: 30 }));

Deno.test("each invoice of a subscription sends its share, and waits when the account has lost its transfers", () =>
  withSandbox(async (fixture) => {
    const { stripe, url } = fixture;
    const destination = await readyAccount(fixture);
    const price = await monthlyPrice(stripe, 1001);
    const { customer, clock } = await customerWithCard(stripe, "tok_visa", START);
    const items = [{ price: price.id }];
    const alone = { customer: customer.id, items, application_fee_percent: 20 };
    assert.equal(
      (await refusal(stripe.subscriptions.create(alone))).param,
      "application_fee_percent",
    );
    const sub = await stripe.subscriptions.create({ ...alone, transfer_data: { destination } });
    assert.equal(sub.application_fee_percent, 20);
    assert.equal(await checkBooks(stripe, destination), 801);
    await advance(stripe, clock, START + 32 * DAY);
    assert.equal(await checkBooks(stripe, destination), 1602);
    await setTransfers(url, destination, "restricted");
    await advance(stripe, clock, START + 62 * DAY);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "past_due");
    assert.equal(await checkBooks(stripe, destination), 1602);
    await setTransfers(url, destination, "active");
    await advance(stripe, clock, START + 68 * DAY);
    assert.equal((await stripe.subscriptions.retrieve(sub.id)).status, "active");
    assert.equal(await checkBooks(stripe, destination), 2403);
    await checkBooks(stripe);
  }));
