import assert from "node:assert/strict";
import { customerOf, priceOf, quiet } from "./sandbox.ts";
import { eventually, type Person, request, signUp, stripe } from "./stack.ts";

export interface Entitlements {
  plan: { id: string };
  source: string;
  status: string | null;
  subscription: { price_lookup_key: string; ends_at: string | null; quantity: number } | null;
  pending_change: { lookup_key: string; at: string } | null;
}

export interface Preview {
  kind: string;
  effective_at: string;
  proration_date: number;
  currency: string;
  amount_due_now_minor: number;
  credit_minor: number;
  lines: { amount_minor: number; proration: boolean; description: string }[];
  next_amount_minor: number;
  next_payment_at: string;
}

export interface Changed {
  kind: string;
  outcome: string;
  payment_url: string | null;
  entitlements: Entitlements;
}

export function call(person: Person, body: unknown) {
  return request("/functions/v1/subscription", { token: person.token, body });
}

export async function ok<T>(person: Person, body: unknown): Promise<T> {
  const answer = await call(person, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body as T;
}

export async function refused(person: Person, body: unknown): Promise<[number, string]> {
  const answer = await call(person, body);
  return [answer.status, (answer.body as { error: { code: string } }).error?.code];
}

export async function entitlements(person: Person): Promise<Entitlements> {
  const { body } = await request("/rest/v1/rpc/my_entitlements", { token: person.token, body: {} });
  return body as Entitlements;
}

/** Preview and change, as somebody confirms it. */
export async function change(person: Person, lookup_key: string): Promise<Changed> {
  const { proration_date } = await ok<Preview>(person, { action: "preview", lookup_key });
  return await ok<Changed>(person, { action: "change", lookup_key, proration_date });
}

/** A card that attaches and is declined when it is charged. */
export async function breakCard(customer: string): Promise<void> {
  const failing = await stripe().paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  await stripe().customers.update(customer, {
    invoice_settings: { default_payment_method: failing.id },
  });
}

/** Somebody who has just bought this price, as an operator would sell it. */
export async function subscribed(
  name: string,
  lookupKey: string,
  terms: { trial_period_days?: number } = {},
) {
  const person = await signUp(name);
  const customer = await customerOf(person);
  const subscription = await stripe().subscriptions.create({
    customer,
    items: [{ price: await priceOf(lookupKey) }],
    ...terms,
  });
  await eventually(() => entitlements(person), ({ source }) => source === "subscription");
  await quiet();
  return { person, customer, subscription };
}
