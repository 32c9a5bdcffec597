import fc from "fast-check";

/** What happens to a subscription at Stripe. What does not fit its present state does not happen. */
export const ACTIONS = [
  "subscribe_pro",
  "subscribe_business",
  "renew",
  "fail",
  "recover",
  "upgrade",
  "downgrade",
  "cancel_at_period_end",
  "cancel_at",
  "resume",
  "cancel_now",
  "refund",
] as const;
export type Action = typeof ACTIONS[number];

/** What Stripe does to the next requests about this customer. */
export interface Trouble {
  kind: "429" | "500" | "timeout_before" | "timeout_after" | "stale";
  path: "/v1/subscriptions" | "/v1/invoices";
  /** Three is more than the SDK's patience. */
  times: 1 | 3;
}

/** The steps after which a function can be killed; each leaves the database as that death does. */
export const DEATHS = ["received", "leased", "applied"] as const;
export type Death = typeof DEATHS[number];

/** How what is waiting arrives after an action: `order` sorts it, `keep` leaves some for later, `twice` repeats some. */
export interface Arrival {
  order: number;
  keep: number;
  drop: number;
  twice: boolean;
  atOnce: boolean;
  trouble: Trouble | null;
  death: Death | null;
}

export interface Schedule {
  steps: { action: Action; arrival: Arrival }[];
}

const trouble = fc.record<Trouble>({
  kind: fc.constantFrom("429", "500", "timeout_before", "timeout_after", "stale"),
  path: fc.constantFrom("/v1/subscriptions", "/v1/invoices"),
  times: fc.constantFrom(1, 1, 1, 3),
});

const arrival = fc.record<Arrival>({
  order: fc.nat(),
  keep: fc.nat({ max: 3 }),
  drop: fc.nat({ max: 3 }),
  twice: fc.boolean(),
  atOnce: fc.boolean(),
  trouble: fc.option(trouble, { freq: 4 }),
  death: fc.option(fc.constantFrom(...DEATHS), { freq: 6 }),
});

/** Every lifecycle begins with a subscription, or nothing would happen in most of them. */
export const schedules: fc.Arbitrary<Schedule> = fc.tuple(
  fc.record({ action: fc.constantFrom<Action>("subscribe_pro", "subscribe_business"), arrival }),
  fc.array(fc.record({ action: fc.constantFrom(...ACTIONS), arrival }), {
    minLength: 1,
    maxLength: 4,
  }),
).map(([first, rest]) => ({ steps: [first, ...rest] }));

/** One lifecycle, and many ways in which its events arrive. */
export interface Lifecycle {
  actions: Action[];
  arrivals: Arrival[][];
}

export function lifecycles(schedulesOfEach: number): fc.Arbitrary<Lifecycle> {
  const steps = { minLength: 3, maxLength: 5 };
  return fc.array(fc.constantFrom(...ACTIONS), steps).chain((rest) => {
    const actions: Action[] = ["subscribe_pro", ...rest];
    const ofOne = fc.array(arrival, { minLength: actions.length, maxLength: actions.length });
    const arrivals = fc.array(ofOne, { minLength: schedulesOfEach, maxLength: schedulesOfEach });
    return fc.record({ actions: fc.constant(actions), arrivals });
  });
}

/** The same order for the same number: a shuffle that a seed can repeat. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  let state = (seed % 2_147_483_646) + 1;
  const next = () => state = (state * 48_271) % 2_147_483_647;
  return items.map((item) => ({ item, at: next() })).sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
