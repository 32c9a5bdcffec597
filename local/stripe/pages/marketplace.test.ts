/** What a person sees of marketplace money: a bank debit in Checkout, and the operator's pages. */
import assert from "node:assert/strict";
import { destinationCharge, newAccount } from "../connect_testing.ts";
import { CARD, checkout, Person, withShop } from "./testing.ts";

Deno.test("Checkout takes a bank account, says when it is wrong, and the card form still works beside it", () =>
  withShop(async (shop) => {
    const pack = async (currency: string) =>
      await checkout(shop, {
        mode: "payment",
        line_items: [{
          price_data: { currency, unit_amount: 900, product_data: { name: "Pack" } },
          quantity: 1,
        }],
      });
    const session = await pack("eur");
    const person = await new Person().open(session.url);
    assert.match(person.text, /SEPA direct debit/);
    const who = { email: "ada@example.com", name: "Ada", method: "bank" };
    await person.submit({ ...who, bank_number: "" });
    assert.match(person.html, /id="bank_number-error"/);
    await person.submit({ ...who, bank_number: "DE00" });
    assert.match(person.html, /id="bank_number-error"[^>]*>The IBAN you provided is invalid/);
    await person.submit({ ...who, bank_number: "DE89 3704 0044 0532 0130 00" });
    assert.match(person.left ?? "", /checkout=success/);
    const done = await shop.stripe.checkout.sessions.retrieve(session.id);
    assert.deepEqual([done.status, done.payment_status], ["complete", "unpaid"]);

    const byCard = await pack("usd");
    const second = await new Person().open(byCard.url);
    assert.match(second.text, /US bank account/);
    await second.submit({ ...CARD, email: "ada@example.com", method: "new" });
    assert.equal(
      (await shop.stripe.checkout.sessions.retrieve(byCard.id)).payment_status,
      "paid",
    );
    const plan = await new Person().open((await checkout(shop)).url);
    assert.doesNotMatch(plan.text, /US bank account/);
  }));

Deno.test("the operator completes an onboarding, disables transfers, and decides a dispute", () =>
  withShop(async (shop) => {
    const { id } = await newAccount(shop.stripe);
    const accounts = await new Person().open(`${shop.url}/_sandbox/ui/accounts`);
    assert.match(accounts.text, /Ada's prompts .*Restricted .*4 requirements due/);
    await accounts.submit({ transfers: "active" }, id);
    assert.match(accounts.text, /The account can get transfers.*Active/);
    const charge = await destinationCharge(shop.stripe, id);
    const payments = await new Person().open(`${shop.url}/_sandbox/ui/payments`);
    assert.match(payments.text, new RegExp(`\\$100\\.00 ${charge.id} .*fee \\$15\\.00`));
    await payments.submit({ reason: "fraudulent" }, "/dispute");
    const [dispute] = (await shop.stripe.disputes.list()).data;
    await payments.submit({ outcome: "lost" }, dispute?.id ?? "");
    assert.match(payments.text, /The dispute is lost/);
    await accounts.open(`${shop.url}/_sandbox/ui/accounts`);
    await accounts.submit({ transfers: "restricted" }, id);
    assert.match(accounts.text, /Transfers are disabled/);
    const state = await (await fetch(`${shop.url}/_sandbox/state?account=${id}`)).json();
    assert.equal(state.transfers.length, 1);
    assert.equal(state.balance.pending[0].amount, 8500);
    const capabilities = state.account.configuration.recipient.capabilities;
    assert.equal(capabilities.stripe_balance.stripe_transfers.status, "restricted");
  }));
