/**
 * Subscription schedules: phases that time puts upon a subscription, one after the other.
 * https://docs.stripe.com/billing/subscriptions/subscription-schedules
 */
import {
  type EventType,
  newId,
  type Schedule,
  type SchedulePhase,
  type Subscription,
  type SubscriptionItem,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { presentPhase } from "./schedule_phases.ts";
import { isMetered } from "./amounts.ts";
import { EXPIRY_WARNING, periodEnd } from "./due.ts";
import { endAsPlanned } from "./lifecycle.ts";
import { applyChange, billLeftOut } from "./changes.ts";
import { type ItemChange, planChange } from "./proration.ts";
import { createItem, createSubscription, recurringPrice } from "./subscriptions.ts";

const UPDATED = "customer.subscription.updated";
const SCHEDULE_UPDATED = "subscription_schedule.updated";

export interface ScheduleSpec {
  customer: string;
  phases: SchedulePhase[];
  subscription: Subscription | null;
  end_behavior: Schedule["end_behavior"];
  metadata: Record<string, string>;
}

export function createSchedule(work: Work, spec: ScheduleSpec): Schedule {
  const clock = work.clockOf(spec.customer);
  const now = work.now(clock);
  const schedule: Schedule = {
    id: newId("sub_sched_"),
    object: "subscription_schedule",
    application: null,
    billing_mode: { flexible: { proration_discounts: "included" }, type: "flexible" },
    canceled_at: null,
    completed_at: null,
    created: now,
    current_phase: null,
    customer: spec.customer,
    customer_account: null,
    default_settings: {
      application_fee_percent: null,
      billing_cycle_anchor: "automatic",
      billing_thresholds: null,
      collection_method: spec.subscription?.collection_method ?? "charge_automatically",
      default_payment_method: spec.subscription?.default_payment_method ?? null,
      description: null,
      invoice_settings: {
        account_tax_ids: null,
        custom_fields: null,
        days_until_due: null,
        description: null,
        footer: null,
        issuer: { type: "self" },
      },
      on_behalf_of: null,
      transfer_data: null,
    },
    end_behavior: spec.end_behavior,
    livemode: false,
    metadata: spec.metadata,
    pause_schedules: [],
    phases: spec.phases,
    released_at: null,
    released_subscription: null,
    status: "not_started",
    subscription: null,
    test_clock: clock === "" ? null : clock,
  };
  const hidden = { warned: false };
  work.create("subscription_schedule", schedule, hidden, { clock });
  if (spec.subscription) attach(work, schedule, spec.subscription.id);
  else if ((spec.phases[0]?.start_date ?? now) <= now) start(work, schedule);
  const done = work.require("subscription_schedule", schedule.id);
  work.emit("subscription_schedule.created", done);
  return done;
}

function attach(work: Work, schedule: Schedule, subscription: string, event?: EventType): void {
  const [first] = schedule.phases;
  work.change("subscription_schedule", schedule.id, {
    current_phase: first ? spanOf(first) : null,
    status: "active",
    subscription,
  }, event);
  work.change("subscription", subscription, { schedule: schedule.id }, UPDATED);
}

const spanOf = ({ start_date, end_date }: SchedulePhase) => ({ start_date, end_date });

/** The first phase begins: its subscription comes to be. */
function start(work: Work, schedule: Schedule, event?: EventType): void {
  const [first] = schedule.phases;
  const sub = createSubscription(work, {
    customer: schedule.customer,
    items: (first?.items ?? []).map((item) => ({
      price: item.price,
      quantity: item.quantity,
      metadata: item.metadata ?? {},
    })),
    metadata: first?.metadata ?? {},
    scheduled: true,
  });
  attach(work, schedule, sub.id, event);
}

/** One due step of a schedule: it begins, warns, goes to its next phase or ends. */
export function stepSchedule(work: Work, id: string): void {
  const schedule = work.require("subscription_schedule", id);
  const now = work.now(schedule.test_clock ?? "");
  if (schedule.status === "not_started") return start(work, schedule, SCHEDULE_UPDATED);
  const last = schedule.phases.at(-1);
  if (!last || schedule.status !== "active") return;
  const { warned } = work.hidden("subscription_schedule", id);
  if (!warned && last.end_date - EXPIRY_WARNING <= now) {
    work.changeHidden("subscription_schedule", id, { warned: true });
    work.emit("subscription_schedule.expiring", schedule);
  }
  const end = schedule.current_phase?.end_date ?? now;
  if (end > now) return;
  const next = schedule.phases.find((phase) => phase.start_date >= end);
  if (!next) return complete(work, schedule, now);
  work.change(
    "subscription_schedule",
    id,
    { current_phase: spanOf(next) },
    SCHEDULE_UPDATED,
  );
  if (schedule.subscription) enter(work, schedule.subscription, next, next.proration_behavior, now);
}

function complete(work: Work, schedule: Schedule, now: number): void {
  const { subscription, end_behavior } = schedule;
  work.change("subscription_schedule", schedule.id, {
    completed_at: now,
    current_phase: null,
    released_subscription: end_behavior === "cancel" ? null : subscription,
    status: "completed",
    subscription: end_behavior === "cancel" ? subscription : null,
  }, "subscription_schedule.completed");
  if (!subscription) return;
  const ends = end_behavior === "cancel";
  work.change("subscription", subscription, { schedule: null }, ends ? undefined : UPDATED);
  if (ends) endAsPlanned(work, work.require("subscription", subscription), now);
}

/** The subscription becomes what the phase says: at the end of its period without prorations, before it with them. */
export function enter(
  work: Work,
  id: string,
  phase: SchedulePhase,
  behavior: SchedulePhase["proration_behavior"],
  now: number,
): void {
  const before = work.require("subscription", id);
  const metadata = { ...before.metadata, ...phase.metadata };
  const base = work.change("subscription", id, { metadata });
  if (!isSame(base, phase)) {
    if (now >= periodEnd(base)) replaceItems(work, base, phase, now);
    else {applyChange(
        work,
        base,
        planChange(work, base, changesTo(base, phase), now),
        behavior,
        now,
      );}
  }
  if (phase.billing_cycle_anchor === "phase_start") {
    work.change("subscription", id, { billing_cycle_anchor: now });
  }
  const after = work.require("subscription", id);
  work.change("subscription", id, before);
  work.change("subscription", id, after, UPDATED);
}

function isSame(sub: Subscription, phase: SchedulePhase): boolean {
  const text = (price: string, quantity: number | undefined) => `${price} ${quantity ?? 1}`;
  const has = sub.items.data.map((item) => text(item.price.id, item.quantity)).sort().join();
  return has === phase.items.map((item) => text(item.price, item.quantity)).sort().join();
}

/** Items whose price stays keep their id; an item of another price is another item. They begin with the coming period. */
function replaceItems(work: Work, sub: Subscription, phase: SchedulePhase, now: number): void {
  const data = phase.items.map((wanted, i): SubscriptionItem => {
    const { quantity } = wanted;
    const old = sub.items.data.find((item) => item.price.id === wanted.price);
    if (old) return isMetered(old.price) ? old : { ...old, quantity: quantity ?? 1 };
    const price = recurringPrice(work, wanted.price, `items[${i}][price]`, sub.currency);
    const metadata = wanted.metadata ?? {};
    return createItem({
      subscription: sub.id,
      price,
      quantity,
      metadata,
      start: now,
      end: now,
      now,
    });
  });
  const left = sub.items.data.filter((item) => !data.some(({ id }) => id === item.id));
  billLeftOut(work, sub, left, now);
  work.change("subscription", sub.id, { items: { ...sub.items, data } });
}

function changesTo(sub: Subscription, phase: SchedulePhase): ItemChange[] {
  const left = [...sub.items.data];
  const take = (price: string) => {
    const at = left.findIndex((item) => item.price.id === price);
    return at < 0 ? undefined : left.splice(at, 1)[0];
  };
  const kept = phase.items.map((wanted) => ({ wanted, old: take(wanted.price) }));
  const changes: ItemChange[] = kept.map(({ wanted, old }) => ({
    id: (old ?? left.shift())?.id,
    price: wanted.price,
    quantity: wanted.quantity,
  }));
  return [...changes, ...left.map(({ id }) => ({ id, deleted: true }))];
}

export function release(work: Work, schedule: Schedule, keepsCancellation: boolean): Schedule {
  if (schedule.subscription) {
    const sub = work.require("subscription", schedule.subscription);
    const cancel = keepsCancellation ? {} : { cancel_at: null, cancel_at_period_end: false };
    work.change("subscription", sub.id, { schedule: null, ...cancel }, UPDATED);
  }
  return work.change("subscription_schedule", schedule.id, {
    current_phase: null,
    released_at: work.now(schedule.test_clock ?? ""),
    released_subscription: schedule.subscription,
    status: "released",
    subscription: null,
  }, "subscription_schedule.released");
}

/** A change made to the subscription directly is a change of the phase it is in. */
export function followSubscription(work: Work, sub: Subscription): void {
  const schedule = sub.schedule ? work.find("subscription_schedule", sub.schedule) : null;
  if (!schedule) return;
  const present = presentPhase(work, sub).items;
  const phases = schedule.phases.map((phase) =>
    phase.start_date === schedule.current_phase?.start_date ? { ...phase, items: present } : phase
  );
  work.change("subscription_schedule", schedule.id, { phases }, SCHEDULE_UPDATED);
}
