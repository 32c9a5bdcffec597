import type postgres from "postgres";
import { operator, sandbox } from "../support/sandbox.ts";
import { stripe } from "../support/stack.ts";
import { act, type Subject } from "./lifecycle.ts";
import { type Arrival, type Death, type Schedule, shuffled, type Trouble } from "./schedule.ts";

interface Held {
  id: string;
  event: string;
  type: string;
  customer: string | null;
}

/** One person and their customer, on a clock of their own. */
export async function createSubject(db: postgres.Sql): Promise<Subject> {
  const userId = crypto.randomUUID();
  const clock = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000),
  });
  const customer = await stripe().customers.create({ test_clock: clock.id });
  const { id: goodCard } = await stripe().paymentMethods.attach("pm_card_visa", {
    customer: customer.id,
  });
  await stripe().customers.update(customer.id, {
    invoice_settings: { default_payment_method: goodCard },
  });
  await db`insert into auth.users (id, email) values (${userId}, ${`${userId}@chaos.test`})`;
  await db`select public.link_customer(${userId}, ${customer.id})`;
  return { userId, customer: customer.id, clock: clock.id, goodCard };
}

/** Lives one lifecycle under one delivery schedule. Afterwards nothing that is still held will ever arrive. */
export async function live(
  db: postgres.Sql,
  subject: Subject,
  schedule: Schedule,
  prices: ReadonlyMap<string, string>,
): Promise<void> {
  for (const { action, arrival } of schedule.steps) {
    await act(action, subject, prices);
    await arrive(db, subject, arrival);
  }
  const rest = await held(subject.customer);
  if (rest.length > 0) await sandbox("/delivery/discard", { ids: rest.map(({ id }) => id) });
}

async function held(customer: string): Promise<Held[]> {
  const { data } = await sandbox<{ data: Held[] }>("/delivery/held");
  return data.filter((delivery) => delivery.customer === customer);
}

async function arrive(db: postgres.Sql, { customer }: Subject, arrival: Arrival): Promise<void> {
  const waiting = shuffled(await held(customer), arrival.order);
  const lost = waiting.splice(0, Math.min(arrival.drop, waiting.length));
  if (lost.length > 0) await sandbox("/delivery/discard", { ids: lost.map(({ id }) => id) });
  const now = waiting.slice(0, Math.max(0, waiting.length - arrival.keep));
  const first = now[0];
  if (first === undefined) return;
  const fault = arrival.trouble === null ? null : await cause(arrival.trouble, customer);
  const ids = now.map(({ id }) => id);
  if (arrival.death) await die(db, arrival.death, first, customer);
  await sandbox("/delivery/deliver", {
    ids: arrival.twice ? [...ids, first.id] : ids,
    at_once: arrival.atOnce,
  });
  // What did not happen to a function must not happen to the person at Stripe's dashboard.
  if (fault !== null) await sandbox(`/faults/${fault}`, undefined, "DELETE");
}

/** Arms the trouble and answers its id. */
async function cause({ kind, path, times }: Trouble, customer: string): Promise<string> {
  const match = { method: "GET", path, contains: customer };
  const what = kind === "429" || kind === "500"
    ? { kind: "status", status: Number(kind) }
    : kind === "stale"
    ? { kind, customer }
    : { kind };
  const { id } = await sandbox<{ id: string }>("/faults", { ...what, times, match });
  return id;
}

/** What a function leaves behind that is killed after this step; the others arrive in a world where that has happened. */
async function die(
  db: postgres.Sql,
  death: Death,
  { event, type }: Held,
  customer: string,
): Promise<void> {
  if (death === "applied") {
    await sandbox("/delivery/deliver", { ids: [event], at_once: false });
    await db`select public.begin_sync(${customer})`;
    return;
  }
  await db`select public.receive_stripe_event(${event}, ${type}, now(), '{}', null, ${customer})`;
  if (death === "leased") await db`select public.begin_sync(${customer})`;
}

/** Time passes: leases end and retries come due. Then what runs by the clock runs: the drain, and reconcile. */
export async function settle(db: postgres.Sql, customers: string[]): Promise<void> {
  await sandbox("/faults", undefined, "DELETE");
  for (let round = 0; round < 6; round++) {
    await db`
      update billing.sync_state s set lease_until = clock_timestamp() - interval '1 second'
      from public.customers c
      where c.user_id = s.user_id and c.stripe_customer_id = any (${customers}) and s.lease_until is not null`;
    const due = await db`
      update billing.stripe_events set next_attempt_at = now()
      where status = 'pending' and stripe_customer_id = any (${customers}) returning id`;
    if (due.length === 0) break;
    await mustAnswer("events-drain");
  }
  for (let call = 0; call < 20; call++) {
    const { finished } = await mustAnswer("reconcile");
    if (finished === true) break;
  }
  // The next batch begins after this one: what reconcile has seen it need not see again.
  await db`update billing.reconcile_runs set started_at = now() + interval '10 minutes' where finished_at is not null`;
}

async function mustAnswer(name: string): Promise<{ finished?: boolean }> {
  const { status, body, text } = await operator(name);
  if (status !== 200) throw new Error(`${name} answered ${status}: ${text}`);
  return body as { finished?: boolean };
}
