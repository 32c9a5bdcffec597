import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { operator, priceOf, quiet, sandbox } from "../support/sandbox.ts";
import { eventually, request, signUp, sql, stack, stripe } from "../support/stack.ts";
import { act } from "./lifecycle.ts";
import type { Action } from "./schedule.ts";
import { differences } from "./truth.ts";
import { createSubject, drain } from "./world.ts";

/** The process of this run's functions: found by what it was given, because another stack may be running beside it. */
function functionsHost(): number | null {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const isHost = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("functions-host.ts");
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (isHost && environment.includes(`SUPABASE_URL=${stack().api_url}`)) return Number(pid);
    } catch {
      // It ended while we looked, or is somebody else's.
    }
  }
  return null;
}

Deno.test("functions that are killed at random moments lose nothing and do nothing twice", async () => {
  if (process.platform !== "linux") return;
  const db = sql({ max: 4 });
  const prices = new Map<string, string>();
  for (const key of ["pro_monthly", "business_monthly"]) prices.set(key, await priceOf(key));
  await quiet();
  const subjects = await Promise.all(Array.from({ length: 6 }, () => createSubject(db)));
  const customers = subjects.map(({ customer }) => customer);
  const rounds: Action[] = ["subscribe_pro", "upgrade", "cancel_at_period_end", "cancel_now"];
  try {
    for (const action of rounds) {
      await sandbox("/delivery", { mode: "hold" });
      await Promise.all(subjects.map((subject) => act(action, subject, prices)));
      // Everything at once, and death somewhere in the middle of it.
      await sandbox("/delivery", { mode: "release" });
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 200));
      const pid = functionsHost();
      assert.ok(pid !== null, "the functions' process was not found");
      process.kill(pid, "SIGKILL");
      await eventually(
        async () => (await operator("events-drain")).status,
        (status) => status === 200,
        30_000,
      );
    }
    // Stripe delivers again what was not answered (here without its hours of back-off); the drain does what was taken in
    // and not done. No reconcile here.
    await eventually(
      async () => {
        // Those of nobody too: they would keep the next test waiting for their back-off.
        const { data } = await sandbox<{ data: { id: string }[] }>("/delivery/held?state=pending");
        const ids = data.map(({ id }) => id);
        if (ids.length > 0) await sandbox("/delivery/deliver", { ids, at_once: true });
        return ids.length;
      },
      (waiting) => waiting === 0,
      120_000,
    );
    await drain(db, customers);
    for (const subject of subjects) assert.deepEqual(await differences(db, subject), []);
    const [twice] = await db<{ count: number }[]>`
      select count(*)::int as count from (
        select plan_id, source, subscription_id, valid_until, lag(l) over (partition by user_id order by id) as before
        from billing.access_log l where user_id = any (${subjects.map(({ userId }) => userId)})
      ) changes
      where (plan_id, source, subscription_id, valid_until) is not distinct from
        ((before).plan_id, (before).source, (before).subscription_id, (before).valid_until)`;
    assert.equal(twice?.count, 0, "an entitlement was changed to what it was");
  } finally {
    await sandbox("/delivery", { mode: "normal" });
    await db.end();
  }
});

Deno.test("fifty checkouts of one person at once make one customer, and one session that can be paid", async () => {
  const person = await signUp("fifty");
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      request("/functions/v1/checkout", {
        token: person.token,
        body: { lookup_key: "pro_monthly" },
      })),
  );
  const urls = new Set<string>();
  for (const { status, body, text } of answers) {
    assert.ok(status === 200 || status === 502, text);
    if (status === 200) urls.add((body as { url: string }).url);
  }
  assert.equal(urls.size, 1);
  const { data } = await stripe().customers.list({ email: person.email });
  assert.equal(data.length, 1);
  const open = await stripe().checkout.sessions.list({
    customer: data[0]?.id ?? "",
    status: "open",
  });
  assert.equal(open.data.length, 1);
});
