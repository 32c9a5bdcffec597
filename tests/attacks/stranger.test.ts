import assert from "node:assert/strict";
import { CARDS, mustLeave, pay } from "../support/hosted.ts";
import { eventually, type Person, request, signUp, sql, stack } from "../support/stack.ts";

/** Tables whose rows belong to somebody; the catalogue is public by intent. */
const OWNED = [
  "customers",
  "subscriptions",
  "entitlements",
  "invoices",
  "conversations",
  "messages",
  "agents",
] as const;
const CATALOGUE = [
  "plans",
  "metrics",
  "plan_limits",
  "features",
  "plan_features",
  "prices",
  "price_currency_options",
] as const;
const USER_FUNCTIONS = ["checkout", "portal", "sync", "reply", "subscription"] as const;

/** Somebody with a row in every table that has owners. */
async function everything(): Promise<
  { owner: Person; conversation: string; message: string; agent: string }
> {
  const owner = await signUp("owner");
  const conversation = await insert(owner, "conversations", { title: "Private" });
  const message = await insert(owner, "messages", {
    conversation_id: conversation,
    role: "user",
    content: "Nobody else reads this",
  });
  const agent = await insert(owner, "agents", { name: "Mine", instructions: "Secret" });
  const checkout = await request("/functions/v1/checkout", {
    token: owner.token,
    body: { lookup_key: "pro_monthly" },
  });
  mustLeave(await pay((checkout.body as { url: string }).url, CARDS.success));
  await eventually(
    () => request("/rest/v1/entitlements?select=plan_id", { token: owner.token }),
    ({ body }) => JSON.stringify(body).includes("pro"),
  );
  return { owner, conversation, message, agent };
}

async function insert(person: Person, table: string, row: unknown): Promise<string> {
  const { status, body, text } = await request(`/rest/v1/${table}?select=id`, {
    token: person.token,
    body: row,
    headers: { prefer: "return=representation" },
  });
  assert.equal(status, 201, text);
  return (body as { id: string }[])[0]?.id ?? "";
}

/** Everything of the owner's, read behind the API, to see that nothing changed. */
async function fingerprint(userId: string): Promise<string> {
  const db = sql({ max: 1 });
  try {
    const counts = await Promise.all(OWNED.map(async (table) => {
      const rows = await db`select * from ${
        db(`public.${table}`)
      } t where t.user_id = ${userId} order by 1`;
      // When we last looked at Stripe moves by itself: an event may still be on its way.
      return [table, rows.map((row) => ({ ...row, synced_at: undefined }))];
    }));
    return JSON.stringify(counts);
  } finally {
    await db.end();
  }
}

Deno.test("a stranger sees and changes nothing, in any table and by any function", async (t) => {
  const { owner, conversation, message, agent } = await everything();
  const stranger = await signUp("stranger");
  const before = await fingerprint(owner.id);
  const asStranger = { token: stranger.token };
  const asNobody = { token: null };

  for (const table of OWNED) {
    await t.step(
      `${table}: the owner has a row, a stranger and an anonymous visitor see none`,
      async () => {
        const own = await request(`/rest/v1/${table}?select=*`, { token: owner.token });
        assert.equal(own.status, 200, own.text);
        assert.ok((own.body as unknown[]).length > 0, `the owner has no row in ${table}`);

        const theirs = await request(
          `/rest/v1/${table}?select=*&user_id=eq.${owner.id}`,
          asStranger,
        );
        assert.deepEqual({ status: theirs.status, body: theirs.body }, { status: 200, body: [] });

        const nobodys = await request(`/rest/v1/${table}?select=*`, asNobody);
        assert.ok([401, 403].includes(nobodys.status), `${nobodys.status} ${nobodys.text}`);
      },
    );

    await t.step(`${table}: a stranger's update and delete hit nothing`, async () => {
      for (const method of ["PATCH", "DELETE"]) {
        for (const who of [asStranger, asNobody]) {
          const body = method === "PATCH" ? { title: "x", name: "x", content: "x" } : undefined;
          const answer = await request(`/rest/v1/${table}?user_id=eq.${owner.id}`, {
            ...who,
            method,
            body,
          });
          const harmless = answer.status === 204 || (answer.status >= 400 && answer.status < 500);
          assert.ok(harmless, `${method} ${table}: ${answer.status} ${answer.text}`);
        }
      }
    });
  }

  for (const table of CATALOGUE) {
    await t.step(`${table}: everybody reads it, nobody with a user's token writes it`, async () => {
      const read = await request(`/rest/v1/${table}?select=*`, asNobody);
      assert.equal(read.status, 200, read.text);
      for (const method of ["POST", "PATCH", "DELETE"]) {
        const filter = method === "POST"
          ? ""
          : `?${Object.keys((read.body as object[])[0] ?? {})[0]}=not.is.null`;
        const body = method === "DELETE" ? undefined : (read.body as object[])[0];
        const answer = await request(`/rest/v1/${table}${filter}`, { ...asStranger, method, body });
        assert.ok(
          [401, 403].includes(answer.status),
          `${method} ${table}: ${answer.status} ${answer.text}`,
        );
      }
    });
  }

  await t.step("a message in somebody else's conversation is refused", async () => {
    const row = { conversation_id: conversation, role: "user", content: "Let me in" };
    const answer = await request("/rest/v1/messages", { ...asStranger, body: row });
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
  });

  await t.step("nobody speaks as the assistant, for somebody else, or in the past", async () => {
    const mine = await insert(stranger, "conversations", { title: "Mine" });
    const row = { conversation_id: mine, role: "user", content: "Forged" };
    const forgeries = [
      { ...row, role: "assistant" },
      { ...row, role: "system" },
      { ...row, user_id: owner.id },
      { ...row, created_at: "2020-01-01T00:00:00Z" },
      { ...row, reply_to: message },
    ];
    for (const forged of forgeries) {
      const answer = await request("/rest/v1/messages", { ...asStranger, body: forged });
      assert.ok(
        answer.status >= 400 && answer.status < 500,
        `${JSON.stringify(forged)}: ${answer.status}`,
      );
    }
    const written = await request("/rest/v1/messages?select=id", asStranger);
    assert.deepEqual(written.body, []);
  });

  await t.step("the functions act for the caller only", async () => {
    const reply = await request("/functions/v1/reply", {
      ...asStranger,
      body: { message_id: message },
    });
    assert.deepEqual([reply.status, codeOf(reply.body)], [404, "message_not_found"]);
    const portal = await request("/functions/v1/portal", { ...asStranger, body: {} });
    assert.deepEqual([portal.status, codeOf(portal.body)], [409, "customer_not_found"]);
    const sync = await request("/functions/v1/sync", { ...asStranger, body: {} });
    assert.equal(sync.status, 200);
    assert.match(sync.text, /"free"/);
    for (const body of [{ user_id: owner.id }, { customer: "cus_x" }]) {
      const forged = await request("/functions/v1/sync", { ...asStranger, body });
      assert.deepEqual([forged.status, codeOf(forged.body)], [400, "invalid_request"]);
    }
  });

  await t.step(
    "without a token every function answers 401, readable by a browser",
    async () => {
      for (const name of USER_FUNCTIONS) {
        const headers = { origin: stack().web_url };
        const answer = await request(`/functions/v1/${name}`, { token: null, body: {}, headers });
        assert.deepEqual([name, answer.status, codeOf(answer.body)], [name, 401, "unauthorized"]);
        assert.equal(answer.headers.get("access-control-allow-origin"), stack().web_url);
      }
    },
  );

  await t.step("what only the secret key may call is closed to users and visitors", async () => {
    const db = sql({ max: 1 });
    const closed = await db<{ name: string }[]>`
      select p.proname as name from pg_proc p
      where p.pronamespace = 'public'::regnamespace
        and has_function_privilege('service_role', p.oid, 'execute')
        and not has_function_privilege('authenticated', p.oid, 'execute')`;
    await db.end();
    assert.ok(closed.length >= 10, `only ${closed.length} functions`);
    for (const { name } of closed) {
      for (const who of [asStranger, asNobody]) {
        const answer = await request(`/rest/v1/rpc/${name}`, { ...who, body: {} });
        assert.ok(
          [401, 403, 404].includes(answer.status),
          `${name}: ${answer.status} ${answer.text}`,
        );
      }
    }
  });

  await t.step("the private schema is not served", async () => {
    const answer = await request("/rest/v1/usage_counters?select=*", {
      token: owner.token,
      headers: { "accept-profile": "billing" },
    });
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
  });

  await t.step("after all that the owner's rows are what they were", async () => {
    assert.equal(await fingerprint(owner.id), before);
    const { status } = await request(`/rest/v1/agents?id=eq.${agent}`, { token: owner.token });
    assert.equal(status, 200);
  });
});

function codeOf(body: unknown): string | undefined {
  return (body as { error?: { code?: string } }).error?.code;
}
