import type postgres from "postgres";
import { buy, marketplaceSync, type Owned, owned } from "./marketplace.ts";
import { customerOf, quiet } from "./sandbox.ts";
import { eventually, type Person, signUp, stripe } from "./stack.ts";
import { breakCard } from "./subscription.ts";

const DAY = 86_400;

/** Somebody on a clock of their own with a card, whose time begins some days ago. */
export async function onClock(
  name: string,
  daysAgo = 0,
): Promise<{ person: Person; clock: string; customer: string }> {
  const person = await signUp(name);
  const { id: clock } = await stripe().testHelpers.testClocks.create({
    frozen_time: Math.floor(Date.now() / 1000) - daysAgo * DAY,
  });
  return { person, clock, customer: await customerOf(person, { clock }) };
}

export async function advance(clock: string, to: number): Promise<void> {
  await stripe().testHelpers.testClocks.advance(clock, { frozen_time: to });
  await eventually(
    () => stripe().testHelpers.testClocks.retrieve(clock),
    ({ status }) => status === "ready",
  );
  await quiet();
}

export const seconds = (iso: string | null) => Math.floor(new Date(iso ?? "").getTime() / 1000);

export interface Late {
  buyer: Person;
  customer: string;
  clock: string;
  row: Owned;
}

/** Somebody whose renewal of this monthly licence has failed, and whose grace is over. */
export async function lateLicence(db: postgres.Sql, listing: string): Promise<Late> {
  const { person: buyer, clock, customer } = await onClock("late");
  await buy(buyer, listing, { button: "Subscribe" });
  const { current_period_end } = await owned(buyer);
  await breakCard(customer);
  const [subscription] = (await stripe().subscriptions.list({ customer })).data;
  await stripe().subscriptions.update(subscription?.id ?? "", { default_payment_method: "" });
  await advance(clock, seconds(current_period_end) + 2 * 3_600);
  await owned(buyer, ({ purchase_status }) => purchase_status === "past_due");
  // The grace is counted in our own time.
  await db`
    update public.purchases set past_due_since = now() - interval '60 days', due_at = now()
    where buyer_id = ${buyer.id}`;
  await marketplaceSync();
  const row = await owned(buyer, ({ status }) => status === "revoked");
  return { buyer, customer, clock, row };
}
