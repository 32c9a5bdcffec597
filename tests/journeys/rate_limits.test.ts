import assert from "node:assert/strict";
import { request, signUp, sql, stack } from "../support/stack.ts";

type Limit = { scope: "user" | "address"; burst: number };

/** Tests run with limits that nobody meets; this one gives a function its own for a while. */
async function withLimit(name: string, limit: Limit, work: () => Promise<void>): Promise<void> {
  const db = sql({ max: 1 });
  const row = { name, ...limit, period_seconds: 3600 };
  try {
    await db`insert into billing.rate_limits ${db(row)}`;
    await work();
  } finally {
    await db`delete from billing.rate_limits where name = ${name} and scope = ${limit.scope}`;
    await db.end();
  }
}

const call = (token: string, headers: Record<string, string> = {}) =>
  request("/functions/v1/sync", { token, body: {}, headers });
const portal = (token: string) => request("/functions/v1/portal", { token, body: { surprise: 1 } });

Deno.test("a person who calls too often is told when to come back, and nobody else is", async () => {
  await withLimit("sync", { scope: "user", burst: 5 }, async () => {
    const [person, other] = [await signUp("often"), await signUp("seldom")];
    const origin = stack().web_url;
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => call(person.token, { origin })),
    );
    assert.equal(answers.filter(({ status }) => status === 200).length, 5);
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(refused.length, 35);
    for (const { body, headers } of refused) {
      const { error } = body as { error: { code: string; request_id: string } };
      assert.equal(error.code, "rate_limited");
      assert.equal(error.request_id, headers.get("x-request-id"));
      const seconds = Number(headers.get("retry-after"));
      assert.ok(seconds > 600 && seconds <= 720, `${seconds}`);
      assert.match(headers.get("access-control-expose-headers") ?? "", /retry-after/);
      assert.equal(headers.get("access-control-allow-origin"), origin);
    }
    assert.equal((await call(other.token)).status, 200);
    assert.equal((await portal(person.token)).status, 400, "another function is not limited");
  });
});

Deno.test("an address has a limit too, which no header of the caller's own changes", async () => {
  await withLimit("portal", { scope: "address", burst: 3 }, async () => {
    const people = await Promise.all([signUp("one"), signUp("two"), signUp("three")]);
    const statuses: number[] = [];
    for (let index = 0; index < 9; index++) {
      const answer = await request("/functions/v1/portal", {
        token: people[index % 3]?.token ?? "",
        body: { surprise: 1 },
        headers: { "cf-connecting-ip": `192.0.2.${index}`, "x-forwarded-for": `192.0.2.${index}` },
      });
      statuses.push(answer.status);
    }
    // A wrong body counts as well.
    assert.deepEqual(statuses, [400, 400, 400, 429, 429, 429, 429, 429, 429]);
  });
});

Deno.test("who has not signed in takes nobody's place", async () => {
  await withLimit("sync", { scope: "address", burst: 1 }, async () => {
    for (let index = 0; index < 5; index++) {
      const { status } = await request("/functions/v1/sync", { body: {} });
      assert.equal(status, 401);
    }
    assert.equal((await call((await signUp("first")).token)).status, 200);
  });
});

Deno.test("without the limiter nothing is admitted", async () => {
  const person = await signUp("closed");
  const db = sql({ max: 1 });
  await db`revoke execute on function public.take_rate(text, uuid, text) from service_role`;
  try {
    const { status, body, headers } = await call(person.token);
    assert.equal(status, 503);
    assert.equal((body as { error: { code: string } }).error.code, "rate_limit_unavailable");
    assert.equal(headers.get("retry-after"), "1");
  } finally {
    await db`grant execute on function public.take_rate(text, uuid, text) to service_role`;
    await db.end();
  }
  assert.equal((await call(person.token)).status, 200);
});

Deno.test("the secret key has no limit, and nobody else asks the limiter", async () => {
  const person = await signUp("asks");
  const answer = await request("/rest/v1/rpc/take_rate", {
    token: person.token,
    body: { p_name: "sync", p_user_id: person.id },
  });
  assert.ok(answer.status === 403 || answer.status === 404, answer.text);
  const { secret_key } = stack();
  const drained = await request("/functions/v1/events-drain", {
    body: {},
    headers: { apikey: secret_key },
  });
  assert.equal(drained.status, 200, drained.text);
});
