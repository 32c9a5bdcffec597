/** When time must act on an object next (Unix seconds of its clock), or null. The scheduler wakes on this column. */
import type { Hidden, Kind, Objects, Subscription } from "../engine/types.ts";

const DAY = 86_400;
export const INCOMPLETE_LIFETIME = 23 * 3600;
export const TRIAL_WARNING = 3 * DAY;
export const EXPIRY_WARNING = 7 * DAY;
export const PENDING_LIFETIME = 23 * 3600;

type Rules = { [K in Kind]?: (object: Objects[K], hidden: Hidden<K>) => number | null };
const RULES: Rules = {
  "balance_transaction": ({ status, available_on }) => status === "pending" ? available_on : null,
  "payment_intent": (_intent, { settles_at }) => settles_at ?? null,
  "payout": (_payout, { settles_at }) => settles_at,
  "refund": (_refund, { settles_at }) => settles_at ?? null,
  "billing.credit_grant": (grant, { expired }) =>
    expired || grant.voided_at !== null ? null : grant.expires_at,
  "checkout.session": (session) => session.status === "open" ? session.expires_at : null,
  "coupon": (coupon) => coupon.valid ? coupon.redeem_by : null,
  "promotion_code": (code) => code.active ? code.expires_at : null,
  "invoice": (invoice) => {
    if (invoice.status === "draft") return invoice.automatically_finalizes_at;
    return invoice.status === "open" ? invoice.next_payment_attempt : null;
  },
  "subscription": (sub, hidden) => {
    if (["canceled", "incomplete_expired", "paused"].includes(sub.status)) return null;
    if (sub.status === "incomplete") return sub.created + INCOMPLETE_LIFETIME;
    const times = [periodEnd(sub)];
    if (sub.cancel_at !== null) times.push(sub.cancel_at);
    if (sub.pending_update) times.push(sub.pending_update.expires_at);
    if (sub.status === "trialing" && sub.trial_end !== null) {
      times.push(sub.trial_end);
      if (!hidden.trial_warned) times.push(sub.trial_end - TRIAL_WARNING);
    }
    return Math.min(...times);
  },
  "subscription_schedule": (schedule, { warned }) => {
    if (schedule.status === "not_started") return schedule.phases[0]?.start_date ?? null;
    if (schedule.status !== "active" || !schedule.current_phase) return null;
    const { end_date } = schedule.current_phase;
    const last = schedule.phases.at(-1)?.end_date ?? end_date;
    return warned ? end_date : Math.min(end_date, last - EXPIRY_WARNING);
  },
};

export function periodEnd(sub: Subscription): number {
  return Math.min(...sub.items.data.map((item) => item.current_period_end));
}

export function dueAt<K extends Kind>(
  kind: K,
  object: Objects[K],
  hidden: Hidden<K>,
): number | null {
  return RULES[kind]?.(object, hidden) ?? null;
}
