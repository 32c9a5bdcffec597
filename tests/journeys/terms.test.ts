import assert from "node:assert/strict";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { eventually, type Person, request, signUp, sql, stripe } from "../support/stack.ts";

function checkout(person: Person, body: unknown) {
  return request("/functions/v1/checkout", { token: person.token, body });
}

async function sourceOf(person: Person) {
  const { data } = await person.client.from("subscriptions").select("id, status");
  return data ?? [];
}

Deno.test("a trial is a person's once, also when the first subscription is gone", async () => {
  const db = sql({ max: 1 });
  const person = await signUp("trial");
  await db`update public.prices set trial_days = 14 where lookup_key = 'business_yearly'`;
  try {
    const first = await checkout(person, { lookup_key: "business_yearly" });
    assert.equal(first.status, 200, first.text);
    mustLeave(await pay((first.body as { url: string }).url, CARDS.success));
    const [trial] = await eventually(() => sourceOf(person), (rows) => rows.length > 0);
    assert.equal(trial?.status, "trialing");
    await stripe().subscriptions.cancel(trial?.id ?? "");
    await eventually(() => sourceOf(person), ([row]) => row?.status === "canceled");

    const second = await checkout(person, { lookup_key: "business_yearly" });
    assert.equal(second.status, 200, second.text);
    mustLeave(await pay((second.body as { url: string }).url, CARDS.success));
    const rows = await eventually(
      () => sourceOf(person),
      (all) => all.some(({ status }) => status === "active"),
    );
    assert.ok(!rows.some(({ status }) => status === "trialing"));
  } finally {
    await db`update public.prices set trial_days = 0 where lookup_key = 'business_yearly'`;
    await db.end();
  }
});

Deno.test("a currency that a price does not have is refused, and its own is accepted", async () => {
  const person = await signUp("currency");
  const refused = await checkout(person, { lookup_key: "pro_monthly", currency: "jpy" });
  assert.equal(refused.status, 404);
  const nonsense = await checkout(person, { lookup_key: "pro_monthly", currency: "US$" });
  assert.equal(nonsense.status, 400);
  const own = await checkout(person, { lookup_key: "pro_monthly", currency: "usd" });
  assert.equal(own.status, 200, own.text);
});
