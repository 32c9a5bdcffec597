import fc from "fast-check";

/** What happens to a sale. What does not fit its present state does not happen. */
export const TURNS = [
  "refund_part",
  "refund_rest",
  "refund_part_at_stripe",
  "refund_rest_at_stripe",
  "dispute",
  "dispute_part",
  "win",
  "lose",
  "payout",
  "nothing",
] as const;
export type Turn = typeof TURNS[number];

/** How what is waiting arrives after a turn: `order` sorts it, so many of it come now, the others later or never. */
export interface Delivery {
  order: number;
  now: number;
  twice: number;
  /** Share of a hundred of what does not come now. */
  lost: number;
  atOnce: boolean;
  /** What runs by the clock runs now. */
  clock: boolean;
}

/** A sale, what happens to it, and by which seller and price it is made. */
export interface Sequence {
  offer: number;
  turns: { turn: Turn; share: number }[];
}

export interface Batch {
  sequences: Sequence[];
  deliveries: Delivery[];
}

const ROUNDS = 4;

const delivery = fc.record<Delivery>({
  order: fc.nat(),
  now: fc.nat({ max: 40 }),
  twice: fc.nat({ max: 8 }),
  lost: fc.nat({ max: 60 }),
  atOnce: fc.boolean(),
  clock: fc.boolean(),
});

const sequence = fc.record<Sequence>({
  offer: fc.nat({ max: 1_000 }),
  turns: fc.array(
    fc.record({ turn: fc.constantFrom(...TURNS), share: fc.integer({ min: 1, max: 99 }) }),
    { minLength: 1, maxLength: ROUNDS },
  ),
});

export function marketBatches(size: number): fc.Arbitrary<Batch> {
  return fc.record({
    sequences: fc.array(sequence, { minLength: size, maxLength: size }),
    deliveries: fc.array(delivery, { minLength: ROUNDS + 1, maxLength: ROUNDS + 1 }),
  });
}
