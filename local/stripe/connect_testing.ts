/** For the tests of marketplace money: accounts that can get transfers, and what the books say. */
import assert from "node:assert/strict";
import type Stripe from "stripe";

export const INCLUDE: Stripe.V2.Core.AccountCreateParams.Include[] = [
  "configuration.recipient",
  "identity",
  "defaults",
  "requirements",
];

export async function newAccount(stripe: Stripe, country = "us"): Promise<Stripe.V2.Core.Account> {
  return await stripe.v2.core.accounts.create({
    display_name: "Ada's prompts",
    contact_email: "ada@example.com",
    dashboard: "express",
    defaults: {
      responsibilities: { fees_collector: "application", losses_collector: "application" },
    },
    identity: { country, entity_type: "individual" },
    configuration: {
      recipient: { capabilities: { stripe_balance: { stripe_transfers: { requested: true } } } },
    },
    include: INCLUDE,
  });
}

/** As the operator page does it, without the form. */
export async function setTransfers(
  url: string,
  account: string,
  transfers: "active" | "restricted",
): Promise<void> {
  const response = await fetch(`${url}/_sandbox/accounts/${account}`, {
    method: "POST",
    body: JSON.stringify({ transfers }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  await response.body?.cancel();
}

export async function readyAccount(
  { stripe, url }: { stripe: Stripe; url: string },
  country?: string,
): Promise<string> {
  const { id } = await newAccount(stripe, country);
  await setTransfers(url, id, "active");
  return id;
}

/** A destination charge with a card; the fee and the rest as asked. */
export async function destinationCharge(
  stripe: Stripe,
  destination: string,
  options: Partial<Stripe.PaymentIntentCreateParams> = {},
): Promise<Stripe.Charge> {
  const intent = await stripe.paymentIntents.create({
    amount: 10_000,
    currency: "usd",
    payment_method: "pm_card_visa",
    confirm: true,
    application_fee_amount: 1500,
    transfer_data: { destination },
    ...options,
    expand: ["latest_charge"],
  });
  const charge = intent.latest_charge;
  assert.ok(charge && typeof charge === "object");
  return charge;
}

export async function transactions(
  stripe: Stripe,
  stripeAccount?: string,
): Promise<Stripe.BalanceTransaction[]> {
  const options = stripeAccount === undefined ? {} : { stripeAccount };
  return await stripe.balanceTransactions.list({ limit: 100 }, options).autoPagingToArray({
    limit: 10_000,
  });
}

export async function total(stripe: Stripe, stripeAccount?: string): Promise<number> {
  const options = stripeAccount === undefined ? {} : { stripeAccount };
  const { available, pending } = await stripe.balance.retrieve({}, options);
  return [...available, ...pending].reduce((sum, each) => sum + each.amount, 0);
}

/** The balance is the sum of its transactions, and each of them adds up. */
export async function checkBooks(stripe: Stripe, account?: string): Promise<number> {
  const all = await transactions(stripe, account);
  for (const each of all) {
    assert.equal(each.net, each.amount - each.fee);
    assert.equal(each.fee, each.fee_details.reduce((sum, { amount }) => sum + amount, 0));
  }
  const sum = all.reduce((net, each) => net + each.net, 0);
  assert.equal(await total(stripe, account), sum);
  return sum;
}
