/** Connected accounts: made, onboarded on the hosted form, restricted, closed, and what is told of it. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { INCLUDE, newAccount, readyAccount, setTransfers } from "./connect_testing.ts";
import { Person } from "./pages/testing.ts";
import { eventually, receiver, refusal, thinReceiver, withSandbox } from "./testing.ts";

const RETURN = "http://127.0.0.1:9/return";
const REFRESH = "http://127.0.0.1:9/refresh";

const capability = (account: Stripe.V2.Core.Account) =>
  account.configuration?.recipient?.capabilities?.stripe_balance?.stripe_transfers;
const due = (account: Stripe.V2.Core.Account) =>
  account.requirements?.entries?.map((each) => each.description) ?? [];

async function link(stripe: Stripe, account: string): Promise<string> {
  const made = await stripe.v2.core.accountLinks.create({
    account,
    use_case: {
      type: "account_onboarding",
      account_onboarding: { refresh_url: REFRESH, return_url: RETURN },
    },
  });
  assert.equal(Date.parse(made.expires_at) - Date.parse(made.created), 300_000);
  return made.url;
}

Deno.test("an account shows only what is included, and is restricted until it is onboarded", () =>
  withSandbox(async ({ stripe }) => {
    const made = await newAccount(stripe);
    assert.equal(capability(made)?.status, "restricted");
    assert.equal(capability(made)?.status_details[0]?.resolution, "provide_info");
    assert.deepEqual(due(made), [
      "identity.individual.given_name",
      "identity.individual.surname",
      "identity.attestations.terms_of_service.account",
      "defaults.payout_methods",
    ]);
    const plain = await stripe.v2.core.accounts.retrieve(made.id);
    for (const field of ["configuration", "identity", "defaults", "requirements"]) {
      assert.ok(!(field in plain), field);
    }
    assert.deepEqual(plain.applied_configurations, ["recipient"]);
    const changed = await stripe.v2.core.accounts.update(made.id, {
      display_name: "Ada",
      metadata: { seller: "1" },
      include: ["identity"],
    });
    assert.equal(changed.display_name, "Ada");
    assert.equal(changed.identity?.country, "us");
    const v1 = await stripe.accounts.retrieve(made.id);
    assert.deepEqual([v1.type, v1.capabilities?.transfers, v1.payouts_enabled], [
      "express",
      "inactive",
      false,
    ]);
    assert.equal(v1.requirements?.currently_due?.length, 4);
  }));

Deno.test("v2 accounts refuse unknown fields, wrong words and unknown accounts", () =>
  withSandbox(async ({ stripe }) => {
    const wrong = async (params: object) =>
      (await refusal(stripe.v2.core.accounts.create(params))).message;
    assert.match(await wrong({ nome: "x" }), /nome: Unknown field/);
    assert.match(await wrong({ dashboard: "half" }), /Unrecognized enum value/);
    assert.match(await wrong({ contact_email: "x" }), /valid email/);
    assert.match(await wrong({ configuration: { merchant: {} } }), /merchant: Unknown field/);
    assert.equal((await refusal(stripe.v2.core.accounts.retrieve("acct_none"))).statusCode, 404);
    const asked = stripe.balance.retrieve({}, { stripeAccount: "acct_none" });
    assert.equal((await refusal(asked)).code, "account_invalid");
    const { id } = await newAccount(stripe);
    const customers = stripe.customers.list({}, { stripeAccount: id });
    assert.match((await refusal(customers)).message, /connected accounts/);
  }));

Deno.test("the form is left unfinished, asked for again, filled in wrongly, and then finished", () =>
  withSandbox(async ({ stripe }) => {
    const { id } = await newAccount(stripe);
    const first = await link(stripe, id);
    const person = await new Person().open(first);
    assert.match(person.text, /Get paid by Tollgate demo/);
    await person.submit({}, "/leave");
    assert.equal(person.left, RETURN);
    const still = await stripe.v2.core.accounts.retrieve(id, { include: INCLUDE });
    assert.equal(due(still).length, 4);
    const again = await new Person().open(first);
    assert.equal(again.left, REFRESH);

    const second = await new Person().open(await link(stripe, id));
    await second.submit({ given_name: "Ada", surname: "Lovelace", bank: "DE00123" });
    assert.match(second.html, /id="bank-error"/);
    assert.equal(second.value("given_name"), "Ada");
    await second.submit({ fill: "any", given_name: "Ada" });
    assert.equal(second.value("bank"), "000123456789");
    await second.submit({ given_name: "Ada", surname: "Lovelace", bank: "000123456789" });
    assert.equal(second.left, RETURN);
    const done = await stripe.v2.core.accounts.retrieve(id, { include: INCLUDE });
    assert.equal(capability(done)?.status, "active");
    assert.deepEqual(due(done), []);
    assert.equal(done.identity?.individual?.surname, "Lovelace");
    const v1 = await stripe.accounts.retrieve(id);
    assert.deepEqual([v1.details_submitted, v1.payouts_enabled], [true, true]);
  }));

Deno.test("a link is too old after five minutes, and the form asks for what the platform did not say", () =>
  withSandbox(async ({ stripe, url }) => {
    const { id } = await stripe.v2.core.accounts.create({
      configuration: {
        recipient: { capabilities: { stripe_balance: { stripe_transfers: { requested: true } } } },
      },
    });
    const old = await link(stripe, id);
    const body = JSON.stringify({ seconds: 301 });
    await (await fetch(`${url}/_sandbox/clock`, { method: "POST", body })).body?.cancel();
    assert.equal((await new Person().open(old)).left, REFRESH);
    const person = await new Person().open(await link(stripe, id));
    const company = { entity_type: "company", registered_name: "Ada & Co" };
    await person.submit({ country: "", bank: "DE89 3704 0044 0532 0130 00", ...company });
    assert.match(person.html, /id="country-error"/);
    await person.submit({ country: "DE", bank: "DE89 3704 0044 0532 0130 00", ...company });
    assert.equal(person.left, RETURN);
    const v1 = await stripe.accounts.retrieve(id);
    assert.deepEqual([v1.country, v1.default_currency, v1.business_type], ["DE", "eur", "company"]);
    assert.equal(v1.capabilities?.transfers, "active");
  }));

Deno.test("each change has its thin event, for destinations that ask for accounts, and its event of v1 for Connect webhooks", () =>
  withSandbox(async ({ stripe, url }) => {
    let secret = "";
    let connectSecret = "";
    const thin = await thinReceiver(stripe, () => secret);
    const hook = await receiver(() => connectSecret);
    const destination = async (events_from: string[]) =>
      await stripe.v2.core.eventDestinations.create({
        name: "x",
        type: "webhook_endpoint",
        event_payload: "thin",
        enabled_events: ["*"],
        events_from,
        webhook_endpoint: { url: thin.url },
        include: ["webhook_endpoint.signing_secret"],
      });
    secret = (await destination(["@accounts"])).webhook_endpoint?.signing_secret ?? "";
    connectSecret = (await stripe.webhookEndpoints.create({
      url: hook.url,
      connect: true,
      enabled_events: ["account.updated"],
    })).secret ?? "";
    const { id } = await newAccount(stripe);
    await setTransfers(url, id, "active");
    await setTransfers(url, id, "restricted");
    const names = () => thin.notifications.map((each): string => each.type);
    const status = "v2.core.account[configuration.recipient].capability_status_updated";
    await eventually("all of them", () =>
      Promise.resolve(
        names().filter((each) => each === status).length === 4 && hook.events.length >= 2,
      ));
    assert.ok(names().includes("v2.core.account.created"));
    assert.ok(names().includes("v2.core.account[identity].updated"));
    assert.ok(names().includes("v2.core.account[requirements].updated"));
    const changed = thin.notifications.find((each) => each.type === status);
    assert.equal(changed?.context?.toString(), id);
    assert.ok(changed && "fetchEvent" in changed && "fetchRelatedObject" in changed);
    const event: unknown = await changed.fetchEvent();
    assert.match(JSON.stringify(event), /"updated_capability":"stripe_balance/);
    assert.equal(hook.events[0]?.type, "account.updated");
    assert.equal(hook.events[0]?.account, id);
    const ours = (await stripe.events.list({ limit: 100 })).data;
    assert.ok(!ours.some((each) => each.type === "account.updated"));
    await thin.close();
    await hook.close();
  }));

Deno.test("an account is closed with all its configurations and an empty balance, and then gets nothing", () =>
  withSandbox(async (fixture) => {
    const { stripe } = fixture;
    const id = await readyAccount(fixture);
    assert.match((await refusal(stripe.v2.core.accounts.close(id))).message, /configurations/);
    const closed = await stripe.v2.core.accounts.close(id, {
      applied_configurations: ["recipient"],
    });
    assert.equal(closed.closed, true);
    const sent = stripe.transfers.create({ amount: 1, currency: "usd", destination: id });
    assert.equal((await refusal(sent)).code, "resource_missing");
    assert.equal((await stripe.v2.core.accounts.list()).data.length, 0);
    assert.equal((await stripe.v2.core.accounts.list({ closed: true })).data.length, 1);
  }));
