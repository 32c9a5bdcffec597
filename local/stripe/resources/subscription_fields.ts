/** What a subscription request may say, and the fields it sets directly. */
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
  unset,
  type Values,
  wordOr,
} from "../engine/params.ts";
import type { Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { periodEnd } from "../billing/due.ts";
import { taxSwitch } from "../billing/tax.ts";
import { checkPercents, connectPercents, percentFields } from "./subscription_connect.ts";
import { FEEDBACK } from "./portal_configurations.ts";
import { automatic_tax } from "./tax.ts";

export const DAY = 86_400;

export const cancellation = obj({ comment: unset(str()), feedback: unset(oneOf(...FEEDBACK)) });

export const proration = oneOf("always_invoice", "create_prorations", "none");

export const discounts = arr(
  obj({ coupon: str(), discount: str(), promotion_code: str() }),
);

export const common = {
  automatic_tax,
  cancel_at_period_end: bool(),
  cancellation_details: cancellation,
  collection_method: oneOf("charge_automatically", "send_invoice"),
  days_until_due: int(0),
  default_payment_method: unset(str()),
  discounts: unset(discounts),
  description: unset(str(500)),
  metadata: metadata(),
  off_session: bool(),
  payment_settings: obj({
    payment_method_types: unset(arr(oneOf("card"))),
    save_default_payment_method: oneOf("off", "on_subscription"),
  }),
  proration_behavior: proration,
  trial_settings: obj({
    end_behavior: required(
      obj({ missing_payment_method: required(oneOf("cancel", "create_invoice", "pause")) }),
    ),
  }),
};

export const payment_behavior = oneOf(
  "allow_incomplete",
  "default_incomplete",
  "error_if_incomplete",
  "pending_if_incomplete",
);

export const createShape = {
  ...common,
  ...connectPercents,
  payment_behavior: oneOf("allow_incomplete", "default_incomplete", "error_if_incomplete"),
  billing_mode: obj({ type: required(oneOf("flexible")) }),
  cancel_at: time(),
  currency: str(3),
  customer: required(str()),
  items: required(arr(obj({ price: required(str()), quantity: int(0), metadata: metadata() }))),
  trial_end: wordOr("now", time()),
  trial_period_days: int(1, 730),
};

const cancelAt = wordOr("max_period_end", wordOr("min_period_end", time()));

export const updateShape = {
  ...common,
  application_fee_percent: unset(connectPercents.application_fee_percent),
  transfer_data: unset(connectPercents.transfer_data),
  billing_cycle_anchor: obj({ type: required(oneOf("now", "unchanged")) }),
  cancel_at: unset(cancelAt),
  items: arr(obj({
    id: str(),
    price: str(),
    quantity: int(0),
    deleted: bool(),
    metadata: metadata(),
    clear_usage: bool(),
  })),
  payment_behavior,
  proration_date: time(),
  trial_end: wordOr("now", time()),
};

export function simpleFields(
  work: Work,
  old: Subscription,
  p: Values<typeof updateShape>,
): Partial<Subscription> {
  return {
    ...cancellationFields(work, old, p),
    ...connectFields(work, old, p),
    automatic_tax: p.automatic_tax ? taxSwitch(p.automatic_tax.enabled) : old.automatic_tax,
    collection_method: given(p.collection_method, old.collection_method),
    days_until_due: given(p.days_until_due, old.days_until_due),
    default_payment_method: given(p.default_payment_method, old.default_payment_method),
    description: given(p.description, old.description),
    metadata: mergeMetadata(old.metadata, p.metadata),
    payment_settings: old.payment_settings && {
      ...old.payment_settings,
      save_default_payment_method: given(
        p.payment_settings?.save_default_payment_method,
        old.payment_settings.save_default_payment_method,
      ),
    },
    trial_settings: p.trial_settings
      ? { end_behavior: { billing_cycle_anchor: null, ...p.trial_settings.end_behavior } }
      : old.trial_settings,
  };
}

/** Empty texts take them away; what is asked for must fit what stays. */
function connectFields(work: Work, old: Subscription, p: Values<typeof updateShape>) {
  if (p.application_fee_percent === undefined && p.transfer_data === undefined) return {};
  const data = p.transfer_data === undefined ? old.transfer_data : p.transfer_data;
  const fee = given(p.application_fee_percent, old.application_fee_percent);
  const wanted = {
    application_fee_percent: fee ?? undefined,
    transfer_data: data
      ? { amount_percent: data.amount_percent ?? undefined, destination: data.destination }
      : undefined,
  };
  checkPercents(work, wanted);
  return percentFields(wanted);
}

/** `cancel_at_period_end: true` also fills `cancel_at` with the period's end; false or an empty `cancel_at` takes both back. */
function cancellationFields(
  work: Work,
  old: Subscription,
  p: Values<typeof updateShape>,
): Partial<Subscription> {
  const details = {
    comment: null,
    feedback: null,
    feedback_option: null,
    reason: null,
    ...old.cancellation_details,
  };
  const now = work.now(old.test_clock ?? "");
  if (
    old.schedule !== null && (p.cancel_at !== undefined || p.cancel_at_period_end !== undefined)
  ) {
    throw invalid(
      `The subscription is managed by the subscription schedule \`${old.schedule}\`, and updating any cancelation ` +
        "behavior directly is not allowed. Please update the schedule instead.",
      p.cancel_at === undefined ? "cancel_at_period_end" : "cancel_at",
    );
  }
  const cancellation_details = {
    ...details,
    comment: given(p.cancellation_details?.comment, details.comment),
    feedback: given(p.cancellation_details?.feedback, details.feedback),
  };
  if (p.cancel_at_period_end === true) {
    return {
      cancel_at: periodEnd(old),
      cancel_at_period_end: true,
      canceled_at: old.canceled_at ?? now,
      cancellation_details: { ...cancellation_details, reason: "cancellation_requested" },
    };
  }
  if (p.cancel_at) {
    const ends = old.items.data.map((item) => item.current_period_end);
    const cancel_at = p.cancel_at === "max_period_end"
      ? Math.max(...ends)
      : p.cancel_at === "min_period_end"
      ? Math.min(...ends)
      : p.cancel_at;
    if (cancel_at <= now) throw invalid("`cancel_at` must be in the future.", "cancel_at");
    return {
      cancel_at,
      cancel_at_period_end: false,
      canceled_at: old.canceled_at ?? now,
      cancellation_details: { ...cancellation_details, reason: "cancellation_requested" },
    };
  }
  const taken = p.cancel_at === null ||
    (p.cancel_at_period_end === false && old.cancel_at_period_end);
  if (!taken) return { cancellation_details };
  return {
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { ...cancellation_details, reason: null },
  };
}

/** What a pending update can hold back; the rest would have to happen at once and is refused with it, as at Stripe. */
const PENDING = [
  "billing_cycle_anchor",
  "items",
  "payment_behavior",
  "proration_behavior",
  "proration_date",
  "trial_end",
];

export function checkPending(old: Subscription, p: Values<typeof updateShape>): void {
  if (p.payment_behavior !== "pending_if_incomplete") return;
  const others = Object.entries(p).filter(([name, value]) =>
    value !== undefined && !PENDING.includes(name)
  ).map(([name]) => name);
  if (others.length > 0) {
    throw invalid(
      "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass supported params. " +
        `Unsupported params: ${others.join(", ")}.`,
      others[0],
    );
  }
  if (old.collection_method !== "charge_automatically") {
    throw invalid(
      "Pending updates need `collection_method=charge_automatically`.",
      "payment_behavior",
    );
  }
}
