/** The objects of marketplace money, held against the types of the SDK. */
import { destinationCharge, INCLUDE, newAccount, readyAccount } from "./connect_testing.ts";
import { Shapes } from "./shapes_testing.ts";
import { type Fixture, KEY, withSandbox } from "./testing.ts";

const TYPES: Record<string, string> = {
  "account": "Account",
  "application_fee": "ApplicationFee",
  "balance": "Balance",
  "balance_transaction": "BalanceTransaction",
  "charge": "Charge",
  "dispute": "Dispute",
  "event": "EventBase",
  "fee_refund": "FeeRefund",
  "payment_intent": "PaymentIntent",
  "payment_method": "PaymentMethod",
  "payout": "Payout",
  "refund": "Refund",
  "transfer": "Transfer",
  "transfer_reversal": "TransferReversal",
  "v2.core.account": "V2.Core.Account",
  "v2.core.account_link": "V2.Core.AccountLink",
  "v2.core.event": "V2.Core.Event",
};

async function live(fixture: Fixture): Promise<{ account: string; answers: unknown[] }> {
  const { stripe } = fixture;
  const company = await stripe.v2.core.accounts.create({
    display_name: "A firm",
    identity: { country: "de", entity_type: "company", business_details: { registered_name: "F" } },
    include: INCLUDE,
  });
  await stripe.v2.core.eventDestinations.create({
    name: "accounts",
    type: "webhook_endpoint",
    event_payload: "thin",
    enabled_events: ["*"],
    events_from: ["@accounts"],
    webhook_endpoint: { url: "http://127.0.0.1:9/thin" },
  });
  const unready = await newAccount(stripe);
  const onboarding = { refresh_url: "http://127.0.0.1:9/again" };
  const link = await stripe.v2.core.accountLinks.create({
    account: unready.id,
    use_case: { type: "account_onboarding", account_onboarding: onboarding },
  });
  const account = await readyAccount(fixture, "de");
  await stripe.accounts.create({
    type: "express",
    capabilities: { transfers: { requested: true } },
  });
  const charge = await destinationCharge(stripe, account);
  const part = { charge: charge.id, amount: 1000 };
  await stripe.refunds.create({ ...part, reverse_transfer: true, refund_application_fee: true });
  const reversal = await stripe.transfers.createReversal(String(charge.transfer), { amount: 100 });
  await destinationCharge(stripe, account, { payment_method: "pm_card_createDispute" });
  await destinationCharge(stripe, account, { payment_method: "pm_card_refundFail" });
  for (const payment_method of ["pm_card_bypassPending", "pm_card_pendingRefund"]) {
    const paid = await destinationCharge(stripe, account, { payment_method });
    await stripe.refunds.create({ charge: paid.id, amount: 500 });
  }
  const body = JSON.stringify({ seconds: 5 * 86_400 });
  await (await fetch(`${fixture.url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
  const options = { stripeAccount: account };
  await stripe.payouts.create({ amount: 1000, currency: "usd" }, options);
  const debit = await stripe.paymentMethods.create({
    type: "us_bank_account",
    us_bank_account: { account_number: "000123456789", routing_number: "110000000" },
  });
  const sepa = await stripe.paymentMethods.create({
    type: "sepa_debit",
    sepa_debit: { iban: "DE89370400440532013000" },
  });
  const fees = await stripe.applicationFees.list({ limit: 1 });
  const refund = await stripe.applicationFees.createRefund(fees.data[0]?.id ?? "", { amount: 1 });
  const balances = [await stripe.balance.retrieve(), await stripe.balance.retrieve({}, options)];
  const answers = [company, unready, link, reversal, debit, sepa, refund, ...balances];
  return { account, answers: answers.map((each) => JSON.parse(JSON.stringify(each))) };
}

const PATHS = [
  "accounts",
  "application_fees",
  "balance_transactions?limit=100",
  "charges",
  "disputes",
  "events?limit=100",
  "payment_intents",
  "refunds",
  "transfers",
  "../v2/core/accounts?limit=100",
];
const OF_ACCOUNT = ["balance_transactions", "charges", "events", "payouts", "refunds"];

Deno.test("every object of marketplace money has the shape of the SDK's types", () =>
  withSandbox(async (fixture) => {
    const { account, answers } = await live(fixture);
    const shapes = new Shapes(TYPES);
    for (const answer of answers) shapes.look(answer);
    const look = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(`${fixture.url}/v1/${path}`, {
        headers: { authorization: `Bearer ${KEY}`, ...headers },
      });
      const list = await answer.json();
      if (answer.status !== 200) throw new Error(`${path}: ${JSON.stringify(list)}`);
      for (const each of list.data) shapes.look(each);
    };
    for (const path of PATHS) await look(path);
    for (const path of OF_ACCOUNT) await look(path, { "stripe-account": account });
    await look("../v2/core/events", { "stripe-context": account });
    shapes.done();
  }));
