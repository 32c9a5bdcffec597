import type postgres from "postgres";
import type Stripe from "stripe";
import { sandbox } from "../support/sandbox.ts";
import type { Subject } from "./lifecycle.ts";

/** Statuses that give access while no grace has ended; written down here anew, so that the test does not trust the code. */
const ACCESS = ["active", "trialing", "past_due"];
const RANKS: [string, string][] = [["business_monthly", "business"], ["pro_monthly", "pro"]];

interface State {
  subscriptions: Stripe.Subscription[];
  invoices: Stripe.Invoice[];
}

/** How our database differs from the sandbox, and the entitlement from the rule; empty when it does not. */
export async function differences(db: postgres.Sql, subject: Subject): Promise<string[]> {
  const state = await sandbox<State>(`/state?customer=${subject.customer}`);
  const theirs = new Map([
    ...state.subscriptions.map((one) => [one.id, subscriptionLine(one)] as const),
    ...state.invoices.filter(({ status }) => status !== "draft")
      .map((one) => [one.id ?? "", invoiceLine(one)] as const),
  ]);
  const ours = await stored(db, subject.userId);
  const found: string[] = [];
  for (const id of new Set([...theirs.keys(), ...ours.keys()])) {
    if (ours.get(id) !== theirs.get(id)) {
      found.push(`${id}: ours ${ours.get(id)}, Stripe ${theirs.get(id)}`);
    }
  }
  const [row] = await db<
    { plan: string }[]
  >`select billing.current_plan(${subject.userId}) as plan`;
  const rule = planOf(state.subscriptions);
  if (row?.plan !== rule) found.push(`plan: ours ${row?.plan}, by the rule ${rule}`);
  const [pending] = await db<{ count: number }[]>`
    select count(*)::int as count from billing.stripe_events
    where stripe_customer_id = ${subject.customer} and status not in ('processed', 'ignored')`;
  if (pending?.count !== 0) found.push(`${pending?.count} events are not done`);
  return found;
}

/**
 * What our database says of this person, without what differs between two people who lived the same: ids, numbers and times.
 */
export async function ending(db: postgres.Sql, { userId }: Subject): Promise<string> {
  const subscriptions = await db`
    select status, price_lookup_key, quantity, cancel_at is not null as cancel_at, cancel_at_period_end,
      ended_at is not null as ended, past_due_since is not null as past_due,
      current_period_end - current_period_start as period
    from public.subscriptions where user_id = ${userId} order by status, price_lookup_key, ended, period`;
  const invoices = await db`
    select status, total_minor, amount_due_minor, amount_paid_minor, currency
    from public.invoices where user_id = ${userId} order by period_end, total_minor, status`;
  const [plan] = await db`select billing.current_plan(${userId}) as plan`;
  return JSON.stringify({ plan, subscriptions, invoices });
}

function planOf(subscriptions: Stripe.Subscription[]): string {
  const keys = subscriptions.filter(({ status }) => ACCESS.includes(status))
    .flatMap(({ items }) => items.data.map(({ price }) => price.lookup_key));
  return RANKS.find(([key]) => keys.includes(key))?.[1] ?? "free";
}

function subscriptionLine(one: Stripe.Subscription): string {
  const item = one.items.data[0];
  return line([
    one.status,
    item?.price.lookup_key,
    item?.quantity,
    item?.current_period_end,
    one.cancel_at,
    one.cancel_at_period_end,
    one.ended_at,
  ]);
}

function invoiceLine(one: Stripe.Invoice): string {
  return line([one.status, one.number, one.total, one.amount_due, one.amount_paid, one.currency]);
}

async function stored(db: postgres.Sql, userId: string): Promise<Map<string, string>> {
  const subscriptions = await db`
    select id, status, price_lookup_key, quantity, current_period_end, cancel_at, cancel_at_period_end, ended_at
    from public.subscriptions where user_id = ${userId}`;
  const invoices = await db`
    select id, status, number, total_minor, amount_due_minor, amount_paid_minor, currency
    from public.invoices where user_id = ${userId}`;
  return new Map([
    ...subscriptions.map((row) =>
      [
        String(row["id"]),
        line([
          row["status"],
          row["price_lookup_key"],
          row["quantity"],
          unix(row["current_period_end"]),
          unix(row["cancel_at"]),
          row["cancel_at_period_end"],
          unix(row["ended_at"]),
        ]),
      ] as const
    ),
    ...invoices.map(({ id, ...row }) => [String(id), line(Object.values(row))] as const),
  ]);
}

function line(values: unknown[]): string {
  return values.map((value) => value === null || value === undefined ? "-" : String(value))
    .join(" ");
}

function unix(value: unknown): number | null {
  return value instanceof Date ? Math.floor(value.getTime() / 1000) : null;
}
