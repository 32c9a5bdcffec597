import assert from "node:assert/strict";
import type postgres from "postgres";
import { CARDS, mustLeave, pay } from "./hosted.ts";
import { operator, quiet, sandbox } from "./sandbox.ts";
import { eventually, type Person, request, signUp, stripe } from "./stack.ts";

export interface Creator extends Person {
  seller: string;
  account: string;
}

export interface Terms {
  title: string;
  kind: "one_time" | "monthly";
  price_minor: number;
  currency: string;
}

export interface Owned {
  licence_id: string | null;
  purchase_id: string;
  listing_id: string;
  title: string;
  kind: string;
  status: string | null;
  reason: string | null;
  purchase_status: string;
  amount_minor: number;
  refunded_minor: number;
  currency: string;
  receipt_url: string | null;
  valid_until: string | null;
  current_period_end: string | null;
  cancel_at_period_end: boolean;
  open_invoice_url: string | null;
  open_minor: number | null;
}

export interface Seller {
  id: string;
  status: string;
  paused_reason: string | null;
  requirements: string[];
  display_name: string;
  fee_bps: number;
  currencies: { currency: string; balance_minor: number; earned_minor: number; sales: number }[];
}

/** A function as this person; what is not 200 fails. */
export async function call<T>(person: Person, name: string, body: unknown = {}): Promise<T> {
  const answer = await request(`/functions/v1/${name}`, { token: person.token, body });
  assert.equal(answer.status, 200, `${name}: ${answer.text}`);
  return answer.body as T;
}

/** Status and code of a refusal. */
export async function refused(
  person: Person,
  name: string,
  body: unknown,
): Promise<[number, string]> {
  const answer = await request(`/functions/v1/${name}`, { token: person.token, body });
  return [answer.status, (answer.body as { error: { code: string } }).error?.code];
}

export async function rpc<T>(person: Person, name: string, body: unknown = {}): Promise<T> {
  const answer = await request(`/rest/v1/rpc/${name}`, { token: person.token, body });
  assert.equal(answer.status, 200, `${name}: ${answer.text}`);
  return answer.body as T;
}

/** Somebody who may sell: onboarded past Stripe's pages, by the sandbox's control. */
export async function creator(db: postgres.Sql, name = "creator"): Promise<Creator> {
  const person = await signUp(name);
  await call(person, "seller", { action: "onboard", display_name: `The ${name}`, country: "US" });
  const [row] = await db<{ id: string; account: string }[]>`
    select id, stripe_account_id as account from public.sellers where user_id = ${person.id}`;
  assert.ok(row);
  await sandbox(`/accounts/${row.account}`, { transfers: "active" });
  const { seller } = await call<{ seller: Seller }>(person, "seller", { action: "refresh" });
  assert.equal(seller.status, "active", JSON.stringify(seller));
  return { ...person, seller: row.id, account: row.account };
}

/** A published listing of an agent of theirs; answers its id. */
export async function publish(seller: Person, terms: Partial<Terms> = {}): Promise<string> {
  const agent = await seller.client.from("agents")
    .insert({ name: "Tutor", instructions: "Explain everything slowly, with an example." })
    .select("id").single();
  if (agent.error) throw agent.error;
  const listing = await seller.client.from("listings").insert({
    title: "Patient tutor",
    description: "Explains slowly.",
    category: "agent",
    kind: "one_time",
    price_minor: 2_000,
    currency: "usd",
    ...terms,
    agent_id: agent.data.id,
  }).select("id").single();
  if (listing.error) throw listing.error;
  await rpc(seller, "publish_listing", { p_listing_id: listing.data.id });
  return listing.data.id;
}

/** The address of Checkout for a listing. */
export async function purchase(buyer: Person, listing_id: string): Promise<string> {
  return (await call<{ url: string }>(buyer, "purchase", { listing_id })).url;
}

/** Buys and pays on the hosted page; answers where Stripe sent the buyer. */
export async function buy(
  buyer: Person,
  listing: string,
  options: { card?: string; button?: string } = {},
): Promise<URL> {
  const url = await purchase(buyer, listing);
  return mustLeave(await pay(url, options.card ?? CARDS.success, options.button ?? "Pay"));
}

export async function library(buyer: Person): Promise<Owned[]> {
  return await rpc<Owned[]>(buyer, "my_library");
}

/** The one thing this person has bought, when it is as expected. */
export async function owned(
  buyer: Person,
  expected: (row: Owned) => boolean = ({ status }) => status === "active",
): Promise<Owned> {
  const rows = await eventually(
    () => library(buyer),
    ([row]) => row !== undefined && expected(row),
  );
  assert.equal(rows.length, 1);
  return rows[0] as Owned;
}

/** Somebody who owns this listing by now, their payment settled everywhere. */
export async function owner(listing: string, options: { button?: string } = {}): Promise<Person> {
  const buyer = await signUp("buyer");
  await buy(buyer, listing, options);
  await owned(buyer);
  await quiet();
  return buyer;
}

/** Whether RLS lets this person read what the listing sells. */
export async function canRead(person: Person, listing: string): Promise<boolean> {
  const { data, error } = await person.client.from("listing_definitions").select("instructions")
    .eq("listing_id", listing);
  if (error) throw error;
  return data.length === 1;
}

/** The charge of this person's only purchase. */
export async function chargeOf(db: postgres.Sql, buyer: Person): Promise<string> {
  const [row] = await db<{ charge_id: string }[]>`
    select charge_id from public.purchases where buyer_id = ${buyer.id} and charge_id is not null`;
  assert.ok(row);
  return row.charge_id;
}

/** Asks for a refund as an operator and lets the scheduled function make it. */
export async function refund(db: postgres.Sql, purchase: string, amount: number | null = null) {
  await db`select billing.refund_purchase(${purchase}, ${amount}, 'asked nicely')`;
  await marketplaceSync();
  await quiet();
  // Of a dispute that an event's snapshot was just writing down, the rest is done the next time.
  await marketplaceSync();
  await quiet();
}

export async function marketplaceSync(): Promise<Record<string, number>> {
  const { status, body, text } = await operator("marketplace-sync");
  assert.equal(status, 200, text);
  return body as Record<string, number>;
}

export async function openDispute(charge: string): Promise<string> {
  const { id } = await sandbox<{ id: string }>(`/charges/${charge}/dispute`, {});
  await quiet();
  return id;
}

export async function decide(dispute: string, outcome: "won" | "lost"): Promise<void> {
  await sandbox(`/disputes/${dispute}`, { outcome });
  await quiet();
}

/** Money that is on its way arrives: the sandbox's clock goes on by some days. */
export async function daysPass(days: number): Promise<void> {
  await sandbox("/clock", { seconds: days * 86_400 });
  await quiet();
}

/** Money of ours that is available at once: creators can be paid although sales of today are still on their way. */
export async function fund(amount: number, currency = "usd"): Promise<void> {
  await stripe().paymentIntents.create({
    ...{ amount, currency },
    payment_method: "pm_card_bypassPending",
    confirm: true,
  });
}

/** Available and pending together, in minor units. */
export async function balance(currency: string, account?: string): Promise<number> {
  const { available, pending } = await stripe().balance.retrieve(
    {},
    account === undefined ? {} : { stripeAccount: account },
  );
  return [...available, ...pending].filter((one) => one.currency === currency)
    .reduce((sum, { amount }) => sum + amount, 0);
}

/** What the ledger has of our money at Stripe, less what Stripe has: the same at all times, whatever else Stripe has of ours. */
export async function platformGap(db: postgres.Sql, currency = "usd"): Promise<number> {
  return await ledger(db, "platform", currency) - await balance(currency);
}

export async function ledger(
  db: postgres.Sql,
  kind: string,
  currency: string,
  seller: string | null = null,
): Promise<number> {
  const [row] = await db<{ balance: number }[]>`
    select coalesce(sum(balance_minor), 0)::int as balance from billing.ledger_balances
    where kind = ${kind} and currency = ${currency} and seller_id is not distinct from ${seller}`;
  return row?.balance ?? 0;
}

/** The ledger sums to zero, and says of this creator what their account at Stripe says. Answers the balance. */
export async function balanced(db: postgres.Sql, of: Creator, currency = "usd"): Promise<number> {
  const sums = await db<{ total: number }[]>`
    select sum(balance_minor)::int as total from billing.ledger_balances group by currency`;
  assert.ok(sums.every(({ total }) => total === 0), JSON.stringify(sums));
  const booked = await ledger(db, "creator", currency, of.seller);
  assert.equal(booked, await balance(currency, of.account), "ledger and Stripe differ");
  return booked;
}
