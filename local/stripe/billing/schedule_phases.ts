/** The phases of a schedule: how they lie in time, and what each of them sells. */
import { invalid } from "../engine/errors.ts";
import { type Price, type SchedulePhase, type Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered } from "./amounts.ts";
import { periodEnd } from "./due.ts";
import { addIntervals, type Interval, intervalOf } from "./period.ts";
import { type ProrationBehavior } from "./proration.ts";
import { checkQuantity, recurringPrice } from "./subscriptions.ts";

export interface PhaseSpec {
  items: { price: string; quantity?: number; metadata?: Record<string, string> }[];
  start_date?: number;
  end_date?: number;
  duration?: { interval: Interval; interval_count?: number };
  billing_cycle_anchor?: "automatic" | "phase_start";
  metadata?: Record<string, string>;
  proration_behavior?: ProrationBehavior;
}

/** The phases, each beginning where the one before ends. Without an end or a duration one lasts an interval of its price. */
export function layPhases(work: Work, specs: readonly PhaseSpec[], start: number): SchedulePhase[] {
  let from = start;
  let currency: string | undefined;
  return specs.map((spec, i) => {
    const prices = spec.items.map((item, j) =>
      recurringPrice(work, item.price, `phases[${i}][items][${j}][price]`, currency)
    );
    const [first] = prices;
    if (!first) {
      throw invalid(
        `Missing required param: phases[${i}][items].`,
        `phases[${i}][items]`,
        "parameter_missing",
      );
    }
    currency = first.currency;
    prices.forEach((price, j) =>
      checkQuantity(price, spec.items[j]?.quantity, `phases[${i}][items][${j}]`)
    );
    const phase = newPhase(spec, from, endOf(spec, from, first, i), prices);
    from = phase.end_date;
    return phase;
  });
}

function endOf(spec: PhaseSpec, start: number, price: Price, i: number): number {
  if (spec.end_date !== undefined && spec.duration) {
    throw invalid(
      `You may only specify one of these parameters: phases[${i}][end_date], phases[${i}][duration].`,
      `phases[${i}][end_date]`,
      "parameters_exclusive",
    );
  }
  if (spec.start_date !== undefined && spec.start_date !== start) {
    throw invalid(
      "The start of each phase must be the end of the one before it.",
      `phases[${i}][start_date]`,
    );
  }
  const lasts = spec.duration ?? {
    interval: intervalOf(price.recurring?.interval),
    interval_count: price.recurring?.interval_count,
  };
  const end = spec.end_date ?? addIntervals(start, lasts.interval, lasts.interval_count ?? 1);
  if (end <= start) {
    throw invalid("A phase must end after its start.", `phases[${i}][end_date]`);
  }
  return end;
}

function newPhase(
  spec: PhaseSpec,
  start_date: number,
  end_date: number,
  prices: Price[],
): SchedulePhase {
  return {
    add_invoice_items: [],
    application_fee_percent: null,
    billing_cycle_anchor: spec.billing_cycle_anchor ?? null,
    billing_thresholds: null,
    collection_method: null,
    currency: prices[0]?.currency ?? "usd",
    default_payment_method: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    end_date,
    invoice_settings: null,
    items: spec.items.map((item, i) => ({
      billing_thresholds: null,
      discounts: [],
      metadata: item.metadata ?? {},
      plan: item.price,
      price: item.price,
      ...quantityOf(prices[i], item.quantity),
      tax_rates: [],
    })),
    metadata: spec.metadata ?? {},
    on_behalf_of: null,
    proration_behavior: spec.proration_behavior ?? "create_prorations",
    start_date,
    transfer_data: null,
    trial_end: null,
  };
}

const quantityOf = (price: Price | undefined, quantity = 1) =>
  price && isMetered(price) ? {} : { quantity };

/** What a schedule made from a running subscription begins with: the period it is in. */
export function presentPhase(work: Work, sub: Subscription): SchedulePhase {
  const [first] = sub.items.data;
  const spec = {
    items: sub.items.data.map(({ price, quantity, metadata }) => ({
      price: price.id,
      quantity,
      metadata,
    })),
    metadata: sub.metadata,
  };
  const start = first?.current_period_start ?? work.now(sub.test_clock ?? "");
  const prices = sub.items.data.map((item) => item.price);
  return newPhase(spec, start, periodEnd(sub), prices);
}
