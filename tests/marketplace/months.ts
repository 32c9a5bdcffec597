import { customerOf, quiet } from "../support/sandbox.ts";
import { eventually, type Person, signUp, stripe } from "../support/stack.ts";

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
