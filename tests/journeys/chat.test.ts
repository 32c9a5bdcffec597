import assert from "node:assert/strict";
import { request, signUp, sql } from "../support/stack.ts";

Deno.test("an answer is written once, costs nothing, and stays with its conversation", async () => {
  const person = await signUp("chatter");
  const { data: conversation } = await person.client.from("conversations").insert({ title: "Hi" })
    .select("id").single();
  assert.ok(conversation);
  const id = crypto.randomUUID();
  const row = { id, conversation_id: conversation.id, role: "user", content: "Are you there?" };
  assert.equal(
    (await request("/rest/v1/messages", { token: person.token, body: row })).status,
    201,
  );

  const ask = () =>
    request("/functions/v1/reply", { token: person.token, body: { message_id: id } });
  const answers = await Promise.all([ask(), ask(), ask(), ask()]);
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  const replies = new Set(
    answers.map(({ body }) => (body as { message: { id: string } }).message.id),
  );
  assert.equal(replies.size, 1);

  const { data: messages } = await person.client.from("messages").select("role, reply_to").order(
    "created_at",
  );
  assert.deepEqual(messages, [{ role: "user", reply_to: null }, {
    role: "assistant",
    reply_to: id,
  }]);
  const { data: usage } = await person.client.rpc("my_usage");
  assert.equal(usage?.find(({ metric }) => metric === "message")?.used, 1);

  const [reply] = Array.from(replies);
  const toReply = await request("/functions/v1/reply", {
    token: person.token,
    body: { message_id: reply },
  });
  assert.equal(toReply.status, 404);
});

Deno.test("a repeated request with the same id is a duplicate, not a second charge", async () => {
  const person = await signUp("retry");
  const { data: conversation } = await person.client.from("conversations").insert({ title: "Hi" })
    .select("id").single();
  const row = {
    id: crypto.randomUUID(),
    conversation_id: conversation?.id,
    role: "user",
    content: "Once",
  };
  const first = await request("/rest/v1/messages", { token: person.token, body: row });
  const again = await request("/rest/v1/messages", { token: person.token, body: row });
  assert.deepEqual([first.status, again.status], [201, 409]);
  const { data: usage } = await person.client.rpc("my_usage");
  assert.equal(usage?.find(({ metric }) => metric === "message")?.used, 1);
});

Deno.test("200 requests at once against a limit of 50 leave exactly 50 messages", async () => {
  const person = await signUp("burst");
  const { data: conversation } = await person.client.from("conversations").insert({ title: "Hi" })
    .select("id").single();
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      request("/rest/v1/messages", {
        token: person.token,
        body: { conversation_id: conversation?.id, role: "user", content: `Burst ${index}` },
      })),
  );
  const statuses = answers.map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 201).length, 50);
  assert.equal(statuses.filter((status) => status === 429).length, 150);
  const db = sql({ max: 1 });
  const [count] = await db<{ n: number }[]>`
    select count(*)::int as n from public.messages where user_id = ${person.id}`;
  await db.end();
  assert.equal(count?.n, 50);
});

Deno.test("agents stop at the plan's number, deleting one frees its place", async () => {
  const person = await signUp("agents");
  const create = (name: string) =>
    request("/rest/v1/agents?select=id", {
      token: person.token,
      body: { name, instructions: "" },
      headers: { prefer: "return=representation" },
    });
  const first = await create("First");
  assert.equal(first.status, 201, first.text);
  const second = await create("Second");
  assert.equal(second.status, 403, second.text);
  const refusal = second.body as { code: string; details: string };
  assert.equal(refusal.code, "agent_limit_reached");
  assert.deepEqual(JSON.parse(refusal.details), {
    metric: "agent",
    limit: 1,
    used: 1,
    resets_at: null,
    plan: "free",
  });
  const id = (first.body as { id: string }[])[0]?.id;
  assert.equal(
    (await request(`/rest/v1/agents?id=eq.${id}`, { token: person.token, method: "DELETE" }))
      .status,
    204,
  );
  assert.equal((await create("Third")).status, 201);
});

Deno.test("bad input to a function is a 400 that names the field, with a request id", async () => {
  const person = await signUp("typo");
  const bodies: [string, unknown, RegExp][] = [
    ["checkout", {}, /lookup_key/],
    ["checkout", { lookup_key: 7 }, /lookup_key/],
    ["checkout", { lookup_key: "" }, /lookup_key/],
    ["checkout", { lookup_key: "pro_monthly", price: 1 }, /price/],
    ["checkout", "{not json", /JSON/],
    ["checkout", "[]", /object|record/i],
    ["portal", { flow: "//evil.example" }, /flow/],
    ["reply", { message_id: "1 or 1=1" }, /message_id/],
  ];
  for (const [name, body, names] of bodies) {
    const answer = await request(`/functions/v1/${name}`, { token: person.token, body });
    const { error } = answer.body as {
      error: { code: string; message: string; request_id: string };
    };
    assert.deepEqual([name, answer.status, error.code], [name, 400, "invalid_request"]);
    assert.match(error.message, names);
    assert.equal(answer.headers.get("x-request-id"), error.request_id);
  }
  const unknown = await request("/functions/v1/checkout", {
    token: person.token,
    body: { lookup_key: "no_such_price" },
  });
  assert.equal(unknown.status, 404);
  const get = await request("/functions/v1/checkout", { token: person.token });
  assert.equal(get.status, 405);
});
