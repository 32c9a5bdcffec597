import assert from "node:assert/strict";
import Stripe from "stripe";
import { markShown, planSetup } from "./mod.ts";
import {
  census,
  changesOf,
  everything,
  type Fixture,
  HOOK,
  KEY,
  ROWS,
  withSetup,
} from "./testing.ts";

/** Stopped anywhere, started again, or run twice at once: in the end there is one of everything. */

async function undisturbed(): Promise<Record<string, number>> {
  let count = {};
  await withSetup(async ({ plan, dataDir }) => {
    await (await plan()).apply();
    count = census(dataDir);
  });
  return count;
}

/** A client that asks once: what a dead process would have got. */
function mortal({ url }: Fixture): Stripe {
  const { hostname, port } = new URL(url);
  return new Stripe(KEY, {
    ...{ host: hostname, port, protocol: "http", maxNetworkRetries: 0, telemetry: false },
    httpClient: Stripe.createFetchHttpClient(),
  });
}

async function arm({ url }: Fixture, fault: object): Promise<void> {
  await fetch(`${url}/_sandbox/faults`, { method: "DELETE" }).then((answer) =>
    answer.body?.cancel()
  );
  const body = JSON.stringify({ match: { method: "POST" }, ...fault });
  const answer = await fetch(`${url}/_sandbox/faults`, { method: "POST", body });
  assert.equal(answer.status, 200, await answer.text());
}

for (const kind of ["timeout_before", "timeout_after"]) {
  Deno.test(`dead at every call in turn (${kind}), the set-up comes to the same end`, () =>
    withSetup(async (fixture) => {
      const stripe = mortal(fixture);
      const endpoints = { url: HOOK, now: Date.now() / 1000 };
      let deaths = 0;
      const secrets = new Map<string, string>();
      while (deaths < 200) {
        // One call further than the last time, if that one was not done.
        await arm(fixture, { kind, skip: kind === "timeout_before" ? 1 : 0 });
        const plan = await planSetup(stripe, ROWS, { endpoints });
        const applied = await plan.apply().catch((error) => {
          if (!(error instanceof Stripe.errors.StripeConnectionError)) throw error;
          deaths += 1;
          return null;
        });
        if (applied === null) continue;
        for (const { name, secret } of applied.secrets) secrets.set(name, secret);
        break;
      }
      await fetch(`${fixture.url}/_sandbox/faults`, { method: "DELETE" })
        .then((answer) => answer.body?.cancel());
      assert.ok(deaths > 5, `${deaths} deaths`);
      const { secrets: shown } = await (await fixture.plan()).apply();
      assert.equal(shown.length, 4);
      await markShown(fixture.stripe, shown);
      assert.deepEqual(changesOf(await fixture.plan()), []);
      assert.deepEqual(census(fixture.dataDir), await undisturbed());
    }));
}

Deno.test("two runs at once make one of everything but endpoints, whose secrets are each run's own", () =>
  withSetup(async (fixture) => {
    const [one, other] = await Promise.all([fixture.plan(), fixture.plan()]);
    await Promise.all([one.apply(), other.apply()]);
    const rest = (count: Record<string, number>) => ({
      ...count,
      ...{ "webhook_endpoint": 0, "v2.core.event_destination": 0 },
    });
    assert.deepEqual(rest(census(fixture.dataDir)), rest(await undisturbed()));
    const { notes } = await fixture.plan();
    assert.equal(notes.filter((note) => note.includes("the same address")).length, 4);
  }));

Deno.test("a retry under way counts as the call it repeats", () =>
  withSetup(async (fixture) => {
    await arm(fixture, { kind: "timeout_after", times: 2 });
    await (await fixture.plan()).apply();
    assert.deepEqual(census(fixture.dataDir), await undisturbed());
    assert.ok((everything(fixture.dataDir)["idempotency"] ?? []).length > 0);
  }));
