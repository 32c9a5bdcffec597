import fc from "fast-check";

export type Metric = "message" | "tool";

/** Usage beyond the allowance; `late`: while it is being reported, not before. */
export interface Admission {
  metric: Metric;
  quantity: number;
  late: boolean;
}

/**
 * What happens to the next meter events of a customer. `after`: it is carried out and yet answered so. `stubborn`: the SDK's own
 * patience does not outlast it, so that the row fails.
 */
export interface Trouble {
  kind: "429" | "500" | "500_after" | "timeout_before" | "timeout_after";
  metric: Metric | null;
  stubborn: boolean;
}

/**
 * The step after which somebody who reported this customer was killed: rows made; rows leased; rows sent and not marked. Before the
 * first there is nothing to be seen, and after marking nothing left to do.
 */
export type Death = "claimed" | "leased" | "sent";

/** What one customer goes through between two reports. */
export interface Round {
  admissions: Admission[];
  trouble: Trouble | null;
  death: Death | null;
  /** Afterwards enough time passes for leases to end and retries to come due. */
  passes: boolean;
}

/** Many customers at once, and how often they are reported: `calls` at the same moment, `again` right after. */
export interface Batch {
  rounds: { calls: number; again: boolean }[];
  customers: Round[][];
}

const ROUNDS = 2;

const round = fc.record<Round>({
  admissions: fc.array(
    fc.record<Admission>({
      metric: fc.constantFrom("message", "tool"),
      quantity: fc.integer({ min: 1, max: 40 }),
      late: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  trouble: fc.option(
    fc.record<Trouble>({
      kind: fc.constantFrom("429", "500", "500_after", "timeout_before", "timeout_after"),
      metric: fc.constantFrom("message", "tool", null),
      stubborn: fc.boolean(),
    }),
    { freq: 2 },
  ),
  death: fc.option(fc.constantFrom<Death>("claimed", "leased", "sent"), { freq: 2 }),
  passes: fc.boolean(),
});

export function batches(customers: number): fc.Arbitrary<Batch> {
  const ofAll = { minLength: ROUNDS, maxLength: ROUNDS };
  return fc.record({
    rounds: fc.array(
      fc.record({ calls: fc.constantFrom(1, 2, 2, 3, 3), again: fc.boolean() }),
      ofAll,
    ),
    customers: fc.array(fc.array(round, ofAll), { minLength: customers, maxLength: customers }),
  });
}
