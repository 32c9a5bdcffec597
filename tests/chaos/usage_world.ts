import assert from "node:assert/strict";
import type postgres from "postgres";
import { operator, sandbox } from "../support/sandbox.ts";
import { stripe } from "../support/stack.ts";
import type { Admission, Death, Metric, Trouble } from "./usage_schedule.ts";
import { drain } from "./world.ts";

export interface Payer {
  userId: string;
  customer: string;
}

const METRICS: readonly Metric[] = ["message", "tool"];
const PRICES = ["pro_monthly", "pro_message_overage", "pro_tool_overage"];

/** Subscribers with metered items who said yes and have used up what their plan includes. */
export async function createPayers(
  db: postgres.Sql,
  prices: ReadonlyMap<string, string>,
  count: number,
): Promise<Payer[]> {
  const payers = await Promise.all(Array.from({ length: count }, async () => {
    const { id: customer } = await stripe().customers.create();
    // Paid by invoice it is active at once, without a card.
    const { id: subscription } = await stripe().subscriptions.create({
      customer,
      items: PRICES.map((key) => ({ price: prices.get(key) ?? "" })),
      collection_method: "send_invoice",
      days_until_due: 30,
    });
    return { userId: crypto.randomUUID(), customer, subscription };
  }));
  const users = payers.map(({ userId }) => userId);
  const customers = payers.map(({ customer }) => customer);
  await db`
    insert into auth.users (id, email) select u.id, u.id || '@chaos.test' from unnest(${users}::uuid[]) u (id)`;
  await db`
    select public.link_customer(p.user_id, p.customer)
    from unnest(${users}::uuid[], ${customers}::text[]) p (user_id, customer)`;
  await db`
    select public.receive_stripe_event(
      'evt_' || p.customer, 'customer.subscription.created', now(), '{}', null, p.customer
    ) from unnest(${customers}::text[]) p (customer)`;
  await drain(db, customers);
  await db`
    insert into billing.overage_accounts (user_id, enabled, subscription_id, cap_minor, currency)
    select p.user_id, true, p.subscription, 10000000, 'usd'
    from unnest(${users}::uuid[], ${payers.map((payer) => payer.subscription)}::text[])
      p (user_id, subscription)`;
  await db`select billing.refresh_overage(u.id) from unnest(${users}::uuid[]) u (id)`;
  for (const metric of METRICS) {
    await db`
      select public.consume_usage(p.user_id, ${metric}, l.limit_value)
      from unnest(${users}::uuid[]) p (user_id)
      join public.plan_limits l on l.plan_id = 'pro' and l.metric_id = ${metric}`;
  }
  return payers;
}

export async function admit(
  db: postgres.Sql,
  { userId }: Payer,
  { metric, quantity }: Admission,
): Promise<void> {
  await db`select public.consume_usage(${userId}, ${metric}, ${quantity})`;
}

export async function cause({ kind, metric, stubborn }: Trouble, customer: string): Promise<void> {
  const [what, after] = kind.split("_");
  const fault = what === "timeout" ? { kind, times: stubborn ? 3 : 1 } : {
    kind: "status",
    status: Number(what),
    after: after !== undefined,
    // As good as answering three times, and does not take as long.
    ...(stubborn && { headers: { "stripe-should-retry": "false" } }),
  };
  await sandbox("/faults", {
    ...fault,
    match: {
      method: "POST",
      path: "/v1/billing/meter_events",
      // The identifier begins so.
      contains: metric === null ? `${customer}-` : `${customer}-${metric}-`,
    },
  });
}

interface Leased {
  identifier: string;
  meter_event_name: string;
  quantity: string;
  event_time: Date;
}

/** What somebody who reports this customer leaves behind when they are killed after this step. */
export async function die(db: postgres.Sql, death: Death, { customer }: Payer): Promise<void> {
  await db`select public.claim_usage(1000, ${customer})`;
  if (death === "claimed") return;
  const rows = await db<Leased[]>`select * from public.lease_usage(100, ${customer})`;
  if (death === "leased") return;
  for (const row of rows) {
    await stripe().billing.meterEvents.create({
      event_name: row.meter_event_name,
      identifier: row.identifier,
      payload: { stripe_customer_id: customer, value: row.quantity },
      timestamp: Math.floor(row.event_time.getTime() / 1000),
    }).catch(() => {
      // Trouble, or known already: whoever is killed here marks nothing either way.
    });
  }
}

/** Leases end and retries come due. Nobody may be reporting. */
export async function passTime(db: postgres.Sql, customers: string[]): Promise<void> {
  await db`
    update billing.usage_outbox set
      next_attempt_at = least(next_attempt_at, now()),
      lease_until = least(lease_until, clock_timestamp() - interval '1 second')
    where status = 'pending' and stripe_customer_id = any (${customers})`;
}

export async function report(): Promise<{ claimed: number; failed: number; parked: number }> {
  const { status, body, text } = await operator("usage-sync");
  assert.equal(status, 200, text);
  return body as { claimed: number; failed: number; parked: number };
}

interface State {
  meters: { event_name: string; aggregated_value: number | null }[];
}

/** What is not one number of this customer: what was admitted, the ledger, what was sent, and what Stripe counted. */
export async function disagreements(db: postgres.Sql, payer: Payer): Promise<string[]> {
  const [{ meters }, ours] = await Promise.all([
    sandbox<State>(`/state?customer=${payer.customer}`),
    numbers(db, payer),
  ]);
  return ours.flatMap(({ metric, meter, waiting, ...sums }) => {
    const counted = meters.find(({ event_name }) => event_name === meter)?.aggregated_value ?? 0;
    const all = { ...sums, stripe: String(counted) };
    const isOne = new Set(Object.values(all)).size === 1 && waiting === 0;
    return isOne ? [] : [`${metric}: ${JSON.stringify({ ...all, waiting })}`];
  });
}

async function numbers(db: postgres.Sql, { userId, customer }: Payer) {
  return await db<
    {
      metric: string;
      meter: string;
      admitted: string;
      ledger: string;
      sent: string;
      waiting: number;
    }[]
  >`
    select m.id as metric, m.meter_event_name as meter,
      (
        select coalesce(sum(d.overage), 0) from (
          select c.overage from billing.usage_counters c where c.user_id = ${userId} and c.metric_id = m.id
          union all
          select d.overage from billing.usage_days d where d.user_id = ${userId} and d.metric_id = m.id
        ) d
      )::text as admitted,
      (
        select coalesce(sum(u.quantity), 0) from billing.overage_usage u
        where u.stripe_customer_id = ${customer} and u.metric_id = m.id
      )::text as ledger,
      coalesce(sum(o.quantity) filter (where o.status = 'sent'), 0)::text as sent,
      (count(*) filter (where o.status <> 'sent'))::int as waiting
    from public.metrics m
    left join billing.usage_outbox o on o.metric_id = m.id and o.stripe_customer_id = ${customer}
    where m.id = any (${METRICS as Metric[]})
    group by m.id`;
}
