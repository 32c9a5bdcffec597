import assert from "node:assert/strict";
import { customerOf, priceOf } from "../support/sandbox.ts";
import { eventually, type Person, request, signUp, sql, stack, stripe } from "../support/stack.ts";

const FREE_TOOLS = 20;
const PRO_TOOLS = 200;

/** Writes a message in a conversation of its own; answers its id. */
async function write(person: Person, content: string): Promise<string> {
  const [conversation_id, id] = [crypto.randomUUID(), crypto.randomUUID()];
  await person.client.from("conversations").insert({ id: conversation_id });
  const { error } = await person.client.from("messages")
    .insert({ id, conversation_id, role: "user", content });
  assert.equal(error, null);
  return id;
}

async function answerTo(person: Person, messageId: string): Promise<string> {
  const { status, body, text } = await request("/functions/v1/reply", {
    token: person.token,
    body: { message_id: messageId },
  });
  assert.equal(status, 200, text);
  return (body as { message: { content: string } }).message.content;
}

async function ask(person: Person, content: string): Promise<string> {
  return await answerTo(person, await write(person, content));
}

async function used(person: Person): Promise<Record<string, number>> {
  const { data, error } = await person.client.rpc("my_usage");
  assert.equal(error, null);
  return Object.fromEntries((data ?? []).map(({ metric, used }) => [metric, used]));
}

async function useUp(person: Person, quantity: number): Promise<void> {
  const { status, text } = await request("/rest/v1/rpc/consume_usage", {
    headers: { apikey: stack().secret_key },
    body: { p_user_id: person.id, p_metric: "tool", p_quantity: quantity },
  });
  assert.equal(status, 200, text);
}

/** A subscriber of Pro who pays beyond the allowance, at most this much. */
async function payer(name: string, capMinor: number): Promise<Person> {
  const person = await signUp(name);
  const customer = await customerOf(person);
  await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf("pro_monthly") }],
  });
  await eventually(
    async () => (await person.client.from("subscriptions").select("status")).data ?? [],
    ([row]) => row?.status === "active",
  );
  await cap(person, capMinor);
  return person;
}

async function cap(person: Person, capMinor: number): Promise<void> {
  const { status, text } = await request("/functions/v1/overage", {
    token: person.token,
    body: { enabled: true, cap_minor: capMinor },
  });
  assert.equal(status, 200, text);
}

Deno.test("tools are used where a message asks for them, and each is counted once", async () => {
  const person = await signUp("tools");
  assert.match(
    await ask(person, "How much is 12 * (3 + 4)?"),
    /Calculator: 12 \* \(3 \+ 4\) = 84\./,
  );
  assert.deepEqual([(await used(person))["tool"], (await used(person))["message"]], [1, 1]);
  const both = await ask(person, "What time is it, and what is 10/4?");
  assert.match(both, /Clock: it is .*\d\d:\d\d UTC\./);
  assert.match(both, /Calculator: 10\/4 = 2\.5\./);
  assert.equal((await used(person))["tool"], 3);
  assert.doesNotMatch(await ask(person, "Open 24/7 until 2026-12-31."), /Calculator|Clock/);
  assert.equal((await used(person))["tool"], 3);
});

Deno.test("asked again, or by many tabs at once, a tool is charged once", async () => {
  const person = await signUp("tooltabs");
  const id = await write(person, "2+2 and 3+3");
  const answers = await Promise.all(Array.from({ length: 6 }, () => answerTo(person, id)));
  assert.equal(new Set(answers).size, 1);
  assert.equal(await answerTo(person, id), answers[0]);
  assert.equal((await used(person))["tool"], 2);
});

Deno.test("an answer that could not be written is written later, and its tools are not charged again", async () => {
  const person = await signUp("toolfail");
  const id = await write(person, "What is 6 * 7?");
  const db = sql({ max: 1 });
  await db.unsafe(`
    create function public.tools_test_fails() returns trigger language plpgsql as
      $$ begin raise exception 'tools_test_fails'; end $$;
    create trigger tools_test_fails before insert on public.messages for each row
      when (new.reply_to = '${id}') execute function public.tools_test_fails();`).simple();
  try {
    const body = { message_id: id };
    for (let attempt = 0; attempt < 2; attempt++) {
      const { status } = await request("/functions/v1/reply", { token: person.token, body });
      assert.equal(status, 500);
    }
  } finally {
    await db.unsafe("drop function public.tools_test_fails() cascade");
    await db.end();
  }
  assert.match(await answerTo(person, id), /6 \* 7 = 42/);
  assert.equal((await used(person))["tool"], 1);
});

Deno.test("another message under the id of a deleted one is another use", async () => {
  const person = await signUp("toolreuse");
  const conversation_id = crypto.randomUUID();
  const id = crypto.randomUUID();
  await person.client.from("conversations").insert({ id: conversation_id });
  for (const [content, result] of [["1+1", /1\+1 = 2/], ["2+2", /2\+2 = 4/]] as const) {
    await person.client.from("messages").delete().eq("conversation_id", conversation_id);
    const { error } = await person.client.from("messages")
      .insert({ id, conversation_id, role: "user", content });
    assert.equal(error, null);
    assert.match(await answerTo(person, id), result);
  }
  assert.equal((await used(person))["tool"], 2);
});

Deno.test("at the limit the answer says which tool was not used and why, and nothing else fails", async () => {
  const person = await signUp("toolless");
  await useUp(person, FREE_TOOLS - 1);
  const answer = await ask(person, "What time is it? And 2+2, and 3+3?");
  assert.match(answer, /Clock: it is/);
  assert.equal(answer.match(/I did not use the calculator: your plan's tools/g)?.length, 2);
  assert.doesNotMatch(answer, /= 4|= 6/);
  assert.equal((await used(person))["tool"], FREE_TOOLS);
  assert.match(await ask(person, "No tool in here"), /built-in reply/);
});

Deno.test("who pays goes on beyond the allowance, up to the cap, and is then told so", async () => {
  const person = await payer("toolpayer", 1);
  await useUp(person, PRO_TOOLS);
  assert.match(await ask(person, "5*5"), /5\*5 = 25/);
  const refused = await ask(person, "6*6");
  assert.match(refused, /I did not use the calculator: it would cost more than your spending cap/);
  const { data } = await person.client.rpc("my_overage");
  const overage = data as { spent_minor: number; metrics: { metric: string; quantity: number }[] };
  assert.equal(overage.spent_minor, 1);
  assert.equal(overage.metrics.find(({ metric }) => metric === "tool")?.quantity, 1);
  await cap(person, 2);
  assert.match(await ask(person, "6*6"), /6\*6 = 36/);
});

Deno.test("a message of long ago is answered without tools: nobody would know that they were paid for", async () => {
  const person = await signUp("toollate");
  const id = await write(person, "1+1");
  const db = sql({ max: 1 });
  await db`update public.messages set created_at = now() - interval '25 hours' where id = ${id}`;
  await db.end();
  assert.match(
    await answerTo(person, id),
    /I did not use the calculator: the message is more than a day/,
  );
  assert.equal((await used(person))["tool"], 0);
});
