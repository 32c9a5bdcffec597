import assert from "node:assert/strict";
import { API_VERSION, type EndpointMark, ENDPOINTS, markShown, planSetup } from "./mod.ts";
import { secretsText } from "./report.ts";
import { changesOf, everything, type Fixture, HOOK, secretOf, withSetup } from "./testing.ts";

const DAY = 24 * 3600;

/** Only the endpoints, at a time that is `later` seconds from now. */
function planAt({ stripe }: Fixture, later = 0, url = HOOK) {
  return planSetup(stripe, null, { endpoints: { url, now: Date.now() / 1000 + later } });
}

async function settle(fixture: Fixture): Promise<void> {
  const { secrets } = await (await planAt(fixture)).apply();
  await markShown(fixture.stripe, secrets);
  assert.deepEqual(changesOf(await planAt(fixture)), []);
}

async function ours({ stripe }: Fixture, mark: string): Promise<string[]> {
  const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
  return data.filter(({ metadata }) => metadata["tollgate"] === mark).map(({ id }) => id);
}

Deno.test("a secret that nobody has seen is asked for again, and is the one Stripe signs with", () =>
  withSetup(async (fixture) => {
    const { secrets: lost } = await (await planAt(fixture)).apply();
    // Dead before the first was printed.
    const plan = await planAt(fixture);
    assert.deepEqual(changesOf(plan), [
      "update webhook webhook",
      "update webhook connect",
      "update destination meters",
      "update destination accounts",
    ]);
    const { secrets } = await plan.apply();
    assert.deepEqual(secrets, lost);
    for (const { id, secret } of secrets) assert.equal(secret, secretOf(fixture.dataDir, id));
    await markShown(fixture.stripe, secrets);
    assert.deepEqual(changesOf(await planAt(fixture)), []);
    assert.equal((await ours(fixture, "webhook")).length, 1);
  }));

Deno.test("a secret that nobody has seen for a day is lost: a new endpoint is made, the old one reported", () =>
  withSetup(async (fixture) => {
    await (await planAt(fixture)).apply();
    const [old] = await ours(fixture, "webhook");
    const plan = await planAt(fixture, DAY);
    assert.deepEqual(changesOf(plan)[0], "replace webhook webhook");
    assert.ok(plan.notes.some((note) => note.includes(old ?? "none")));
    const { secrets } = await plan.apply();
    assert.equal(secrets.length, ENDPOINTS.length);
    const now = await ours(fixture, "webhook");
    assert.equal(now.length, 2);
    assert.ok(now.includes(old ?? "none"));
    assert.ok(!secrets.some(({ id }) => id === old));
  }));

Deno.test("an endpoint of an older API version stays until somebody deletes it", () =>
  withSetup(async (fixture) => {
    const { stripe } = fixture;
    const old = await stripe.webhookEndpoints.create({
      url: HOOK,
      enabled_events: ["*"],
      api_version: "2025-09-30.clover",
      metadata: { tollgate: "webhook" },
    });
    const plan = await planAt(fixture);
    const step = plan.changes.find(({ name }) => name === "webhook");
    assert.equal(step?.change, "replace");
    assert.match(step.details.join(), /2025-09-30\.clover/);
    const { secrets } = await plan.apply();
    await markShown(stripe, secrets);
    const after = await planAt(fixture);
    assert.deepEqual(changesOf(after), []);
    assert.ok(after.notes.some((note) => note.includes(old.id)));
    assert.equal((await stripe.webhookEndpoints.retrieve(old.id)).status, "enabled");
    await stripe.webhookEndpoints.del(old.id);
    assert.deepEqual((await planAt(fixture)).notes, []);
    const [made] = (await stripe.webhookEndpoints.list()).data;
    assert.equal(made?.api_version, API_VERSION);
  }));

Deno.test("endpoints of an older address, and those made by hand, are reported and left alone", () =>
  withSetup(async (fixture) => {
    await settle(fixture);
    const elsewhere = "http://127.0.0.1:9/moved";
    const byHand = await fixture.stripe.webhookEndpoints.create({
      url: elsewhere,
      enabled_events: ["charge.refunded"],
    });
    const before = await ours(fixture, "webhook");
    const plan = await planAt(fixture, 0, elsewhere);
    assert.deepEqual(changesOf(plan), [
      "create webhook webhook",
      "create webhook connect",
      "create destination meters",
      "create destination accounts",
    ]);
    assert.equal(plan.notes.filter((note) => note.includes(HOOK)).length, ENDPOINTS.length);
    assert.equal(plan.notes.filter((note) => note.includes(byHand.id)).length, 1);
    await plan.apply();
    const after = await ours(fixture, "webhook");
    assert.deepEqual(after.filter((id) => before.includes(id)), before);
    assert.equal((await fixture.stripe.webhookEndpoints.list()).data.length, 5);
    // Of the old address nothing is planned either.
    assert.deepEqual(changesOf(await planAt(fixture)), []);
  }));

Deno.test("only in a sandbox of its own a lost secret costs the endpoint", () =>
  withSetup(async (fixture) => {
    const own = new Map<EndpointMark, string>();
    const plan = (url = HOOK) =>
      planSetup(fixture.stripe, null, { endpoints: { url, now: 0, own } });
    const { secrets } = await (await plan()).apply();
    for (const { mark } of ENDPOINTS) {
      own.set(mark, secrets.find(({ name }) => name === mark)?.id ?? "");
    }
    assert.deepEqual(changesOf(await plan()), []);
    const [old] = await ours(fixture, "connect");
    own.delete("connect");
    assert.deepEqual(changesOf(await plan()), ["replace webhook connect"]);
    const [made] = (await (await plan()).apply()).secrets;
    const [now, ...more] = await ours(fixture, "connect");
    assert.deepEqual([now, more], [made?.id, []]);
    assert.notEqual(now, old);
    own.set("connect", now ?? "");
    // Another address: nothing would listen at the old one.
    await (await plan("http://127.0.0.1:9/moved")).apply();
    const { data } = await fixture.stripe.webhookEndpoints.list();
    assert.deepEqual(new Set(data.map(({ url }) => url)), new Set(["http://127.0.0.1:9/moved"]));
    assert.equal((await fixture.stripe.v2.core.eventDestinations.list()).data.length, 2);
  }));

Deno.test("an endpoint more than Stripe takes is refused, and nothing is half made", () =>
  withSetup(async (fixture) => {
    for (let n = 0; n < 16; n++) {
      await fixture.stripe.webhookEndpoints.create({ url: HOOK, enabled_events: ["*"] });
    }
    const plan = await planAt(fixture);
    const before = everything(fixture.dataDir)["objects"];
    await assert.rejects(plan.apply(), /maximum of 16/);
    assert.deepEqual(everything(fixture.dataDir)["objects"], before);
  }));

Deno.test("the line that sets the secrets throws none away", () => {
  const shown = (name: string) => ({ name, id: "we_1", path: "", secret: `whsec_${name}` });
  const all = ["accounts", "meters", "connect", "webhook"].map(shown);
  const here = "http://127.0.0.1:54321";
  assert.match(
    secretsText(all, "whsec_before", here),
    / STRIPE_WEBHOOK_SECRET='whsec_webhook,whsec_connect,whsec_meters,whsec_accounts'\n/,
  );
  const one = [shown("meters")];
  assert.match(secretsText(one, "whsec_before", here), /='whsec_before,whsec_meters'\n/);
  assert.match(secretsText(one, undefined, here), /='<what is set now>,whsec_meters'\n/);
});

Deno.test("the line that sets the secrets names the project, and where else they belong", () => {
  const secrets = [{ name: "meters", id: "we_1", path: "", secret: "whsec_meters" }];
  const ref = "abcdefghijklmnopqrst";
  const hosted = secretsText(secrets, "whsec_before", `https://${ref}.supabase.co`);
  assert.match(hosted, new RegExp(`whsec_meters' --project-ref ${ref}\n`));
  assert.match(hosted, /the env file of `npm run deploy`/);
  for (const url of ["https://api.example.com", `https://${ref}.supabase.co.example.com`]) {
    assert.doesNotMatch(secretsText(secrets, "whsec_before", url), /--project-ref/);
  }
});
