/** The last transaction of a deletion beside what may still be going on about the same person. */
import assert from "node:assert/strict";
import { createPerson, withPool } from "./people.ts";

const LATE = 500;

function soon<T>(work: Promise<T>): Promise<T | "waits"> {
  return Promise.race([
    work,
    new Promise<"waits">((resolve) => setTimeout(() => resolve("waits"), LATE)),
  ]);
}

Deno.test("a person is erased while a last snapshot of their customer is applied, and neither waits for the other in a circle", async () => {
  await withPool(async (sql) => {
    for (
      const [what, lock] of [["a snapshot", "sync_state"], ["a first one", "customers"]] as const
    ) {
      const { id } = await createPerson(sql);
      const customer = `cus_${id.replaceAll("-", "")}`;
      await sql`select public.link_customer(${id}, ${customer})`;
      const none = "[]";
      if (lock === "sync_state") {
        await sql`select public.apply_customer_snapshot(${customer}, public.next_sync_token(), ${none}::text::jsonb)`;
      }
      await sql`select public.request_deletion(${id})`;
      await sql`select public.note_deletion_step(${id}, 'billing_ended')`;
      let erased: Promise<unknown> = Promise.resolve();
      await sql.begin(async (tx) => {
        // What apply_customer_snapshot() takes, in its order.
        await tx`insert into billing.sync_state as s (user_id, last_token, applied_at)
          values (${id}, public.next_sync_token(), now())
          on conflict (user_id) do update set last_token = excluded.last_token`;
        erased = sql`select public.erase_person(${id}, ${customer}) as done`.then(([row]) =>
          row?.["done"]
        );
        assert.equal(await soon(erased), "waits", what);
        const locked = tx`select billing.lock_person(${id})`;
        assert.notEqual(await soon(locked), "waits", `${what}: the person is free for it`);
      });
      assert.equal(await erased, true, what);
      assert.equal((await sql`select from auth.users where id = ${id}`).length, 0, what);
    }
  });
});

Deno.test("a creator is erased while a last snapshot of their account is applied, likewise", async () => {
  await withPool(async (sql) => {
    const { id } = await createPerson(sql);
    const account = `acct_${id.replaceAll("-", "")}`;
    await sql`select public.begin_seller(${id}, 'Leaver', 'US')`;
    await sql`select public.link_seller_account(s.id, ${account}) from public.sellers s where s.user_id = ${id}`;
    const event = `evt_${crypto.randomUUID()}`;
    await sql`select public.receive_stripe_event(
      ${event}, 'account.updated', now(), '{"display_name": "Leaver"}', p_stripe_account_id => ${account})`;
    await sql`select public.request_deletion(${id})`;
    await sql`select public.note_deletion_step(${id}, 'billing_ended')`;
    let erased: Promise<unknown> = Promise.resolve();
    await sql.begin(async (tx) => {
      // What apply_seller_snapshot() takes, in its order.
      await tx`update public.sellers set applied_token = applied_token + 1 where user_id = ${id}`;
      erased = sql`select public.erase_person(${id}, '') as done`.then(([row]) => row?.["done"]);
      assert.equal(await soon(erased), "waits");
      const settled =
        tx`update billing.stripe_events set status = 'processed', next_attempt_at = null where id = ${event}`;
      assert.notEqual(await soon(settled), "waits", "the event is free for it");
    });
    assert.equal(await erased, true);
    const [row] = await sql`select payload from billing.stripe_events where id = ${event}`;
    assert.equal(row?.["payload"], null);
    await sql`delete from public.sellers where stripe_account_id = ${account}`;
  });
});
