import assert from "node:assert/strict";
import { buy, creator, publish } from "../support/marketplace.ts";
import { customerOf, priceOf, quiet } from "../support/sandbox.ts";
import { eventually, request, signUp, sql, stripe } from "../support/stack.ts";

type Row = Record<string, unknown>;
type Export = { format: string; exported_at: string } & Record<string, Row[]>;

async function exported(token: string): Promise<Export> {
  const answer = await request("/functions/v1/privacy", { token, body: { action: "export" } });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get("content-disposition") ?? "", /attachment; filename="tollgate-/);
  return JSON.parse(answer.text);
}

Deno.test("the export has everything about oneself, and nothing about anybody else", async (t) => {
  const db = sql({ max: 2 });
  try {
    const person = await creator(db, "exporter");
    const customer = await customerOf(person);
    await stripe().subscriptions.create({
      customer,
      items: [{ price: await priceOf("pro_monthly") }],
    });
    await eventually(
      async () => (await person.client.from("entitlements").select("source")).data,
      (rows) => rows?.[0]?.source === "subscription",
    );
    const own = await publish(person, { title: "Exported tutor" });
    const stranger = await creator(db, "somebodyelse");
    const theirs = await publish(stranger, { title: "Their tutor" });
    await buy(person, theirs);
    const buyer = await signUp("customer");
    await buy(buyer, own);
    await quiet();
    const clone = await person.client.rpc("clone_listing", { p_listing_id: theirs });
    assert.equal(clone.error, null);
    const conversation = await person.client.from("conversations").insert({ title: "Mine" })
      .select("id").single();
    await person.client.from("messages").insert({
      conversation_id: conversation.data?.id ?? "",
      role: "user",
      content: 'Quotes " and \\ and ünïcödé \u2028 are text',
    });
    const everything = await exported(person.token);

    await t.step("what they wrote, used, bought, sold and paid", () => {
      const one = (section: string) => {
        assert.equal(everything[section]?.length, 1, section);
        return everything[section]?.[0] ?? {};
      };
      assert.equal(everything.format, "tollgate-export/1");
      assert.equal(one("profile")["email"], person.email);
      assert.equal(one("messages")["content"], 'Quotes " and \\ and ünïcödé \u2028 are text');
      assert.equal(one("conversations")["title"], "Mine");
      assert.equal(one("subscriptions")["plan_id"], "pro");
      assert.equal(one("customers")["stripe_customer_id"], customer);
      assert.equal(one("purchases")["title"], "Their tutor");
      assert.equal(one("licences")["status"], "active");
      assert.equal(one("listings")["title"], "Exported tutor");
      assert.equal(one("sales")["title"], "Exported tutor");
      assert.equal(one("sellers")["display_name"], "The exporter");
      assert.equal(one("charges")["status"], "succeeded");
      assert.ok((everything["invoices"] ?? []).length >= 1);
      assert.deepEqual(
        new Set(everything["earnings"]?.map(({ kind }) => kind)),
        new Set(["transfer", "application_fee"]),
      );
      const told = everything["stripe_events"] ?? [];
      assert.ok(told.some(({ contents }) => JSON.stringify(contents).includes(customer)));
      assert.ok(told.some(({ contents }) => contents === null), "payments to creators: the fact");
      assert.ok((everything["access_log"] ?? []).length >= 1);
      assert.ok((everything["usage_counters"] ?? []).length >= 1);
    });

    await t.step("no secret, and no other person", () => {
      const text = JSON.stringify(everything);
      for (
        const word of [
          ...[stranger.id, stranger.email, stranger.account, buyer.id, buyer.email],
          ...["encrypted_password", '"application_fee_amount":4'],
        ]
      ) {
        assert.ok(!text.includes(word), word);
      }
      const cloned = (everything["agents"] ?? []).find((agent) => agent["source_listing_id"]);
      assert.ok(cloned && !("instructions" in cloned), "a bought agent's text is its creator's");
    });

    // Which tables lead to a person, and which sections tell of them: supabase/tests/personal_data.test.sql.
    await t.step("every section that the database knows is in it, and no other", async () => {
      const [row] = await db<{ source: string }[]>`
        select prosrc as source from pg_proc where oid = 'billing.export_query(text)'::regprocedure`;
      const known = Array.from(
        row?.source.matchAll(/^ +when '(\w+)' then/gm) ?? [],
        ([, name]) => name,
      );
      const { format: _, exported_at: __, ...sections } = everything;
      assert.deepEqual(Object.keys(sections).sort(), known.sort());
    });

    await t.step("a chat of thousands of messages comes whole, in pages", async () => {
      await db`insert into public.messages (user_id, conversation_id, role, content)
        select ${person.id}, ${conversation.data?.id ?? ""}, 'assistant', 'answer ' || n
        from generate_series(1, 3000) n`;
      const again = await exported(person.token);
      const contents = new Set(again["messages"]?.map((message) => message["content"]));
      assert.equal(contents.size, 3_001);
    });

    await t.step(
      "a section that there is not, another person and a stranger get nothing",
      async () => {
        const unknown = await request("/rest/v1/rpc/my_data", {
          token: person.token,
          body: { p_section: "messages m where true; --" },
        });
        assert.equal(unknown.status, 400);
        const closed = await request("/rest/v1/rpc/my_data", { body: { p_section: "profile" } });
        assert.ok([401, 403, 404].includes(closed.status), String(closed.status));
      },
    );
  } finally {
    await db.end();
  }
});
