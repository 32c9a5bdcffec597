import assert from "node:assert/strict";
import { customerOf, operator, priceOf } from "./sandbox.ts";
import { eventually, type Person, request, signUp, stack, stripe } from "./stack.ts";

/** Subscribers, their usage beyond the allowance, and what became of it at Stripe. */

export const HOUR = 3_600;
export const PRO_ALLOWANCE = 500;

export interface Overage {
  available: boolean;
  reason: string | null;
  enabled: boolean;
  attached: boolean;
  cap_minor: number;
  currency: string;
  spent_minor: number;
  metrics: { metric: string; quantity: number; unit_amount_minor: number; amount_minor: number }[];
  credits: { balance_minor: number; currency: string } | null;
}

export interface Payer {
  person: Person;
  customer: string;
  clock: string;
  subscription: string;
}

/**
 * A subscriber on a test clock of their own. It stands still until it is told to go on: what must happen at another second than
 * the subscription's first needs `payerInRealTime`.
 */
export async function payer(
  name: string,
  lookupKey = "pro_monthly",
  currency = "usd",
): Promise<Payer> {
  const { id } = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000),
  });
  return await payerOn(id, name, lookupKey, currency);
}

export function payerInRealTime(name: string): Promise<Payer> {
  return payerOn(null, name, "pro_monthly", "usd");
}

export async function payerOn(
  clock: string | null,
  name: string,
  lookupKey: string,
  currency: string,
): Promise<Payer> {
  const person = await signUp(name);
  const customer = await customerOf(person, clock === null ? {} : { clock });
  const { id: subscription } = await stripe().subscriptions.create({
    customer,
    currency,
    items: [{ price: await priceOf(lookupKey) }],
  });
  await eventually(
    async () => (await person.client.from("subscriptions").select("status")).data ?? [],
    ([row]) => row?.status === "active",
  );
  return { person, customer, clock: clock ?? "", subscription };
}

export async function choose(person: Person, body: unknown) {
  const answer = await request("/functions/v1/overage", { token: person.token, body });
  return { ...answer, overage: answer.body as Overage };
}

export async function myOverage(person: Person): Promise<Overage> {
  const { data, error } = await person.client.rpc("my_overage");
  assert.equal(error, null);
  return data as unknown as Overage;
}

/** Consumes as our own functions do, with the secret key. */
export async function consume(person: Person, quantity: number, metric = "message") {
  return await request("/rest/v1/rpc/consume_usage", {
    headers: { apikey: stack().secret_key },
    body: { p_user_id: person.id, p_metric: metric, p_quantity: quantity },
  });
}

export async function consumed(
  person: Person,
  quantity: number,
  metric = "message",
): Promise<void> {
  const { status, text } = await consume(person, quantity, metric);
  assert.equal(status, 200, text);
}

export async function passTo(clock: string, to: number): Promise<void> {
  await stripe().testHelpers.testClocks.advance(clock, { frozen_time: to });
  await eventually(
    async () => (await stripe().testHelpers.testClocks.retrieve(clock)).status,
    (status) => status === "ready",
  );
}

export async function report(): Promise<{ sent: number; failed: number; parked: number }> {
  const { status, body, text } = await operator("usage-sync");
  assert.equal(status, 200, text);
  return body as { sent: number; failed: number; parked: number };
}

/** What the check says of each metric and period of a customer. */
export async function verdicts(customer: string): Promise<Record<string, number>> {
  const { status, body, text } = await operator("usage-check", { customer });
  assert.equal(status, 200, text);
  return (body as { verdicts: Record<string, number> }).verdicts;
}

export async function lines(invoice: string): Promise<[number | null, number][]> {
  const { data } = await stripe().invoices.listLineItems(invoice, { limit: 100 });
  return data.map(({ quantity, amount }) => [quantity, amount]);
}

export async function newestInvoice(customer: string) {
  const { data } = await stripe().invoices.list({ customer, limit: 1 });
  assert.ok(data[0]?.id);
  return { ...data[0], id: data[0].id };
}

export async function periodEnd(subscription: string): Promise<number> {
  const { items } = await stripe().subscriptions.retrieve(subscription);
  return Math.min(...items.data.map((item) => item.current_period_end));
}

export async function periodEndBefore(subscription: string): Promise<number> {
  const { items } = await stripe().subscriptions.retrieve(subscription);
  return items.data[0]?.current_period_start ?? 0;
}

/** Stripe's seconds are whole: this many later it is another moment for its meters. */
export function aMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2_100));
}
