import fc from "fast-check";

/** What happens to a sale. What does not fit its present state does not happen. */
export const TURNS = [
  "refund_part",
  "refund_rest",
  "refund_part_at_stripe",
  "refund_rest_at_stripe",
  "dispute",
  "win",
  "lose",
  "payout",
  "nothing",
] as const;
export type Turn = typeof TURNS[number];

/** How what is waiting arrives after a turn, in shares of a hundred: `order` sorts it, the rest comes later. */
export interface Delivery {
  order: number;
  drop: number;
  keep: number;
  twice: number;
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

const ROUNDS = 5;

const delivery = fc.record<Delivery>({
  order: fc.nat(),
  drop: fc.nat({ max: 30 }),
  keep: fc.nat({ max: 50 }),
  twice: fc.nat({ max: 20 }),
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
