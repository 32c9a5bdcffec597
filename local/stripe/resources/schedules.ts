/** Subscription schedules. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  given,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  time,
  type Values,
  wordOr,
} from "../engine/params.ts";
import { listPage, pagination, where } from "../engine/answer.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Schedule, SchedulePhase } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { cancelNow } from "../billing/lifecycle.ts";
import { settleCancellation } from "../billing/changes.ts";
import { layPhases, type PhaseSpec, presentPhase } from "../billing/schedule_phases.ts";
import { createSchedule, enter, release } from "../billing/schedules.ts";
import { isEnded } from "../billing/status.ts";
import { proration } from "./subscription_fields.ts";

const phase = obj({
  billing_cycle_anchor: oneOf("automatic", "phase_start"),
  duration: obj({
    interval: required(oneOf("day", "month", "week", "year")),
    interval_count: int(1, 1095),
  }),
  end_date: wordOr("now", time()),
  items: required(arr(obj({ price: required(str()), quantity: int(0), metadata: metadata() }))),
  metadata: metadata(),
  proration_behavior: proration,
  start_date: wordOr("now", time()),
});
const fields = {
  end_behavior: oneOf("cancel", "release"),
  metadata: metadata(),
  phases: arr(phase),
};
const createShape = {
  ...fields,
  customer: str(),
  from_subscription: str(),
  start_date: wordOr("now", time()),
};
const updateShape = { ...fields, proration_behavior: proration };

type Phases = NonNullable<Values<typeof fields>["phases"]>;

function specs(phases: Phases, now: number): PhaseSpec[] {
  return phases.map((each) => ({
    ...each,
    start_date: each.start_date === "now" ? now : each.start_date,
    end_date: each.end_date === "now" ? now : each.end_date,
    items: each.items.map((item) => ({ ...item, metadata: mergeMetadata({}, item.metadata) })),
    metadata: mergeMetadata({}, each.metadata),
  }));
}

function create(work: Work, p: Values<typeof createShape>): Schedule {
  const metadata = mergeMetadata({}, p.metadata);
  if (p.from_subscription !== undefined) return fromSubscription(work, p, p.from_subscription);
  if (p.customer === undefined || p.phases === undefined || p.phases.length === 0) {
    const param = p.customer === undefined ? "customer" : "phases";
    throw invalid(`Missing required param: ${param}.`, param, "parameter_missing");
  }
  const customer = work.require("customer", p.customer, "customer");
  const now = work.now(work.clockOf(customer.id));
  const start = p.start_date === undefined || p.start_date === "now" ? now : p.start_date;
  if (start < now) {
    throw invalid(
      "The sandbox does not backdate: `start_date` must not be in the past.",
      "start_date",
    );
  }
  return createSchedule(work, {
    customer: customer.id,
    phases: layPhases(work, specs(p.phases, now), start),
    subscription: null,
    end_behavior: p.end_behavior ?? "release",
    metadata,
  });
}

function fromSubscription(work: Work, p: Values<typeof createShape>, id: string): Schedule {
  const others = (["customer", "end_behavior", "phases", "start_date", "metadata"] as const)
    .filter((name) => p[name] !== undefined);
  if (others[0] !== undefined) {
    throw invalid(
      `You cannot set \`${others[0]}\` if \`from_subscription\` is set.`,
      others[0],
      "parameters_exclusive",
    );
  }
  const sub = work.require("subscription", id, "from_subscription");
  if (isEnded(sub)) {
    throw invalid(
      `You cannot migrate a subscription that is already in the \`${sub.status}\` status.`,
      "from_subscription",
    );
  }
  if (sub.schedule !== null) {
    throw invalid(
      `You cannot migrate a subscription that is already attached to a schedule: \`${sub.schedule}\`.`,
      "from_subscription",
    );
  }
  return createSchedule(work, {
    customer: sub.customer,
    phases: [presentPhase(work, sub)],
    subscription: sub,
    end_behavior: sub.cancel_at !== null || sub.cancel_at_period_end ? "cancel" : "release",
    metadata: {},
  });
}

function open(work: Work, id: string, verb: string): Schedule {
  const schedule = work.require("subscription_schedule", id);
  if (schedule.status !== "active" && schedule.status !== "not_started") {
    throw invalid(
      `You cannot ${verb} a subscription schedule that is currently in the \`${schedule.status}\` status.`,
    );
  }
  return schedule;
}

function update(work: Work, p: Values<typeof updateShape>, id: string): Schedule {
  const old = open(work, id, "update");
  const now = work.now(old.test_clock ?? "");
  const phases = p.phases ? newPhases(work, old, p.phases, now) : old.phases;
  const current = phases.find((each) => each.start_date === old.current_phase?.start_date);
  const last = phases.at(-1);
  const isLater = last && last.end_date > (old.phases.at(-1)?.end_date ?? 0);
  if (isLater) work.changeHidden("subscription_schedule", id, { warned: false });
  const done = work.change("subscription_schedule", id, {
    current_phase: current
      ? { start_date: current.start_date, end_date: current.end_date }
      : old.current_phase,
    end_behavior: given(p.end_behavior, old.end_behavior),
    metadata: mergeMetadata(old.metadata, p.metadata),
    phases,
  }, "subscription_schedule.updated");
  if (old.subscription && last && p.end_behavior !== undefined) {
    planEnd(work, old.subscription, p.end_behavior === "cancel" ? last.end_date : null, now);
  }
  if (p.phases && current && old.subscription) {
    const behavior = p.proration_behavior ?? "create_prorations";
    enter(work, old.subscription, current, behavior, now);
  }
  return done;
}

/** The end that a schedule brings is the subscription's `cancel_at`. */
function planEnd(work: Work, id: string, cancel_at: number | null, now: number): void {
  const sub = work.require("subscription", id);
  if (sub.cancel_at === cancel_at) return;
  work.change("subscription", id, {
    cancel_at,
    cancel_at_period_end: false,
    canceled_at: cancel_at === null ? null : sub.canceled_at ?? now,
  }, "customer.subscription.updated");
}

/** Past phases may be left out; the present one must be there and begin where it began. */
function newPhases(work: Work, old: Schedule, phases: Phases, now: number): SchedulePhase[] {
  const first = phases[0]?.start_date;
  if (first === undefined) {
    throw invalid(
      "You must set `start_date` on the first phase.",
      "phases[0][start_date]",
      "parameter_missing",
    );
  }
  const start = first === "now" ? now : first;
  const laid = layPhases(work, specs(phases, now), start);
  const present = old.current_phase?.start_date;
  if (present !== undefined && !laid.some((each) => each.start_date === present)) {
    throw invalid(
      "You can not modify the start date of the current phase.",
      "phases[0][start_date]",
    );
  }
  if (present === undefined && start < now) {
    throw invalid("The first phase must not begin in the past.", "phases[0][start_date]");
  }
  if (laid.some((each) => each.start_date >= (present ?? start) && each.end_date < now)) {
    throw invalid("The end of a phase must not be in the past.", "phases");
  }
  return laid;
}

const cancelShape = { invoice_now: bool(), prorate: bool() };

function cancel(work: Work, p: Values<typeof cancelShape>, id: string): Schedule {
  const schedule = open(work, id, "cancel");
  const now = work.now(schedule.test_clock ?? "");
  const sub = schedule.subscription ? work.require("subscription", schedule.subscription) : null;
  const done = work.change("subscription_schedule", id, {
    canceled_at: now,
    current_phase: null,
    status: "canceled",
  }, "subscription_schedule.canceled");
  if (sub && !isEnded(sub)) {
    settleCancellation(work, sub, p.prorate ?? true, p.invoice_now ?? true);
    work.change("subscription", sub.id, { schedule: null });
    cancelNow(work, sub.id, "cancellation_requested");
  }
  return done;
}

export const scheduleRoutes: Route[] = [
  route("POST", "/v1/subscription_schedules", createShape, create),
  route("POST", "/v1/subscription_schedules/:id", updateShape, update),
  route("POST", "/v1/subscription_schedules/:id/cancel", cancelShape, cancel),
  route("POST", "/v1/subscription_schedules/:id/release", { preserve_cancel_date: bool() }, (
    work,
    p,
    id,
  ) => release(work, open(work, id, "release"), p.preserve_cancel_date ?? false)),
  retrieveRoute("subscription_schedule", "/v1/subscription_schedules"),
  route("GET", "/v1/subscription_schedules", {
    ...pagination,
    customer: str(),
    scheduled: bool(),
  }, (work, p) => {
    const status = p.scheduled ? "not_started" : undefined;
    return listPage(work, "subscription_schedule", "/v1/subscription_schedules", p, {
      where: where({ customer: p.customer, status }),
    });
  }),
];
