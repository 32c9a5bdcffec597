import assert from "node:assert/strict";
import type postgres from "postgres";
import { startFunctions } from "../../local/functions.ts";
import { FUNCTIONS } from "../../local/paths.ts";
import { Supervisor } from "../../local/supervisor.ts";
import { mailsTo, withoutMailServer } from "../support/mail.ts";
import { operator } from "../support/sandbox.ts";
import { type Person, request, signUp, sql, stack } from "../support/stack.ts";

const FREE_ALLOWANCE = 50;

/** Uses as much as it takes to reach a mark of the allowance: the database writes the notice. */
async function use(person: Person, quantity: number): Promise<void> {
  const { status, text } = await request("/rest/v1/rpc/consume_usage", {
    headers: { apikey: stack().secret_key },
    body: { p_user_id: person.id, p_metric: "message", p_quantity: quantity },
  });
  assert.equal(status, 200, text);
}

async function notify(): Promise<{ sent: number; failed: number }> {
  const { status, body, text } = await operator("notify");
  assert.equal(status, 200, text);
  return body as { sent: number; failed: number };
}

/** Notices of the other tests are nobody's business here, and the clock does not call in between. */
async function switchedOn(work: (db: postgres.Sql) => Promise<void>): Promise<void> {
  const db = sql({ max: 2 });
  try {
    await db`update public.notifications set read_at = now() where read_at is null`;
    await clock(db, false);
    await db`update billing.settings set value = 'true' where key = 'notification_emails'`;
    await work(db);
  } finally {
    await db`update billing.settings set value = 'false' where key = 'notification_emails'`;
    await clock(db, true);
    await db.end();
  }
}

async function clock(db: postgres.Sql, active: boolean): Promise<void> {
  await db`select cron.alter_job(jobid, active := ${active}) from cron.job where jobname = 'tollgate-notify'`;
}

async function dueNow(db: postgres.Sql, person: Person): Promise<void> {
  await db`update billing.notification_emails e set next_attempt_at = now()
    from public.notifications n where n.id = e.notification_id and n.user_id = ${person.id}`;
}

async function problemsOf(db: postgres.Sql, person: Person): Promise<string[]> {
  const rows = await db<{ kind: string }[]>`
    select p.kind from billing.problems p join public.notifications n on n.id::text = p.subject
    where n.user_id = ${person.id} and p.kind = 'notification_parked' and p.resolved_at is null`;
  return rows.map(({ kind }) => kind);
}

Deno.test("switched off, a notice is in the app and no e-mail is sent", async () => {
  const person = await signUp("quietly");
  await use(person, 0.8 * FREE_ALLOWANCE);
  assert.deepEqual(await notify(), { sent: 0, failed: 0 });
  const { data } = await person.client.from("notifications").select("threshold, sent_at");
  assert.deepEqual(data, [{ threshold: 80, sent_at: null }]);
  assert.deepEqual(await mailsTo(person.email), []);
});

Deno.test("switched on, a notice is one e-mail to its owner, with links to our own pages", async () => {
  await switchedOn(async () => {
    const person = await signUp("mail");
    const other = await signUp("other");
    await use(person, 0.8 * FREE_ALLOWANCE);
    await notify();
    await notify();
    const [mail, ...more] = await mailsTo(person.email);
    assert.deepEqual(more, []);
    assert.ok(mail);
    assert.deepEqual(mail.recipients, [person.email]);
    assert.equal(mail.from, "notices@tollgate.test");
    assert.equal(mail.subject, "80 % of today's messages used");
    assert.match(mail.text, /You have used 40 of 50 messages/);
    assert.ok(mail.text.includes(`${stack().web_url}/usage`), mail.text);
    assert.ok(mail.html.includes(`href="${stack().web_url}/usage"`), mail.html);
    assert.match(mail.message_id, /^<notice-\d+-\d+@tollgate\.test>$/);
    assert.ok(mail.headers.some(({ key }) => key === "auto-submitted"));
    assert.deepEqual(await mailsTo(other.email), []);
    const { data } = await person.client.from("notifications").select("sent_at");
    assert.ok(data?.[0]?.sent_at);
  });
});

Deno.test("eight runs at once send each notice once", async () => {
  await switchedOn(async () => {
    const people = await Promise.all(Array.from({ length: 6 }, () => signUp("once")));
    await Promise.all(people.map((person) => use(person, FREE_ALLOWANCE)));
    await Promise.all(Array.from({ length: 8 }, () => notify()));
    for (const { email } of people) {
      const subjects = (await mailsTo(email)).map(({ subject }) => subject).toSorted();
      assert.deepEqual(subjects, ["100 % of today's messages used"]);
    }
  });
});

Deno.test("who dies holding a notice loses nothing, and what went out twice has one Message-ID", async () => {
  await switchedOn(async (db) => {
    const person = await signUp("died");
    await use(person, 0.8 * FREE_ALLOWANCE);
    // Dead before it sent: the notice is nobody else's until the lease is over.
    await db`select public.lease_notifications(100)`;
    assert.deepEqual(await notify(), { sent: 0, failed: 0 });
    await leaseOver(db, person);
    await notify();
    assert.equal((await mailsTo(person.email)).length, 1);
    // Dead after the mail server's yes and before our mark: all that is left is the lease.
    const [row] = await db<{ id: string }[]>`
      update public.notifications set sent_at = null where user_id = ${person.id} returning id`;
    await db`insert into billing.notification_emails (notification_id, queued_at, attempts, lease, lease_until)
      values (${row?.id ?? ""}, now(), 1, 1, now() - interval '1 second')`;
    await notify();
    const ids = (await mailsTo(person.email)).map(({ message_id }) => message_id);
    assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
  });
});

async function leaseOver(db: postgres.Sql, person: Person): Promise<void> {
  await db`update billing.notification_emails e set lease_until = now() - interval '1 second'
    from public.notifications n where n.id = e.notification_id and n.user_id = ${person.id}`;
}

Deno.test("while the mail server is down nothing is lost, and it is sent once it is back", async () => {
  await switchedOn(async (db) => {
    const person = await signUp("down");
    await use(person, 0.8 * FREE_ALLOWANCE);
    await withoutMailServer(async () => {
      const { sent, failed } = await notify();
      assert.deepEqual([sent, failed > 0], [0, true]);
      // Again at once: it is not due.
      assert.deepEqual(await notify(), { sent: 0, failed: 0 });
    });
    const [row] = await db<{ attempts: number; last_error: string }[]>`
      select e.attempts, e.last_error from billing.notification_emails e
      join public.notifications n on n.id = e.notification_id where n.user_id = ${person.id}`;
    assert.equal(row?.attempts, 1);
    assert.match(row?.last_error ?? "", /ECONNREFUSED/);
    await dueNow(db, person);
    await notify();
    assert.equal((await mailsTo(person.email)).length, 1);
    assert.deepEqual(await problemsOf(db, person), []);
  });
});

Deno.test("a recipient that does not exist is an operator's to look at, and nobody else waits for it", async () => {
  await switchedOn(async (db) => {
    const [gone, person] = [await signUp("gone"), await signUp("behind")];
    await db`update auth.users set email = ${`gone-${gone.id}@refused.test`} where id = ${gone.id}`;
    await use(gone, 0.8 * FREE_ALLOWANCE);
    await use(person, 0.8 * FREE_ALLOWANCE);
    await notify();
    assert.equal((await mailsTo(person.email)).length, 1);
    assert.deepEqual(await problemsOf(db, gone), ["notification_parked"]);
    await dueNow(db, gone);
    assert.deepEqual(await notify(), { sent: 0, failed: 0 });
    const [row] = await db<{ last_error: string }[]>`
      select e.last_error from billing.notification_emails e
      join public.notifications n on n.id = e.notification_id where n.user_id = ${gone.id}`;
    assert.ok(!row?.last_error.includes("@refused.test"), row?.last_error);
  });
});

Deno.test("who does not want e-mails gets none, and who does again gets the next", async () => {
  await switchedOn(async () => {
    const person = await signUp("optout");
    const set = async (p_enabled: boolean) => {
      const { data, error } = await person.client.rpc("set_notification_emails", { p_enabled });
      assert.equal(error, null);
      return data;
    };
    assert.deepEqual(await set(false), { available: true, enabled: false });
    await use(person, 0.8 * FREE_ALLOWANCE);
    await notify();
    assert.deepEqual(await mailsTo(person.email), []);
    assert.deepEqual(await set(true), { available: true, enabled: true });
    await notify();
    assert.equal((await mailsTo(person.email)).length, 1);
  });
});

Deno.test("without a mail server in the settings it says which, and nothing is leased", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "tollgate-notify-" });
  const supervisor = await Supervisor.start(dataDir);
  const { api_url, publishable_key, secret_key, web_url } = stack();
  const functions = await startFunctions({
    folder: FUNCTIONS,
    dataDir,
    env: {
      SUPABASE_URL: api_url,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishable_key }),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: secret_key }),
      SITE_URL: web_url,
      EMAIL_FROM: "Ada <ada@example.com>, Bob <bob@example.com>",
    },
    network: [new URL(api_url).host],
    watch: false,
    log: () => {},
  }, supervisor);
  try {
    await switchedOn(async (db) => {
      const person = await signUp("unset");
      await use(person, 0.8 * FREE_ALLOWANCE);
      const url = "http://functions/functions/v1/notify";
      const call = new Request(url, { method: "POST", headers: { apikey: secret_key } });
      const answer = await functions.fetch("notify", call, AbortSignal.timeout(20_000));
      assert.equal(answer.status, 500);
      assert.equal((await answer.json()).error.code, "not_configured");
      const open = () =>
        db<{ problem: string }[]>`
          select details ->> 'problem' as problem from billing.problems
          where kind = 'email_not_configured' and resolved_at is null`;
      const [told] = await open();
      assert.match(told?.problem ?? "", /SMTP_URL: .*EMAIL_FROM: must be one address/);
      const [leased] = await db`
        select from billing.notification_emails e join public.notifications n on n.id = e.notification_id
        where n.user_id = ${person.id}`;
      assert.equal(leased, undefined);
      // Where there is one, the notice goes out and the problem is over.
      await notify();
      assert.equal((await mailsTo(person.email)).length, 1);
      assert.equal((await open()).length, 0);
    });
  } finally {
    await functions.stop();
    await supervisor.close();
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a stranger cannot send, lease or mark e-mails", async () => {
  const person = await signUp("stranger");
  for (const token of [person.token, null]) {
    assert.equal((await request("/functions/v1/notify", { token, body: {} })).status, 401);
    const calls: [string, unknown][] = [
      ["lease_notifications", { p_limit: 10 }],
      ["notification_sent", { p_id: 1 }],
      ["notification_failed", { p_id: 1, p_lease: 1, p_error: "x" }],
      ["report_email_setup", { p_problem: "x" }],
    ];
    for (const [name, body] of calls) {
      const { status, text } = await request(`/rest/v1/rpc/${name}`, { token, body });
      assert.ok([401, 403, 404].includes(status), `${name}: ${status} ${text}`);
    }
  }
  assert.equal((await operator("notify", { everybody: true })).status, 400);
});
