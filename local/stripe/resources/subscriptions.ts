/** Subscriptions and subscription items. */
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
import { arrayPage, listPage, pagination, where } from "../engine/answer.ts";
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Subscription, type SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { refusal } from "../billing/invoices.ts";
import { cancelNow, endTrial } from "../billing/lifecycle.ts";
import { periodEnd } from "../billing/due.ts";
import { applyChange, type ItemChange, planChange, type ProrationBehavior } from "../billing/proration.ts";
import { isEnded, onInvoiceFailed } from "../billing/status.ts";
import { createSubscription, withoutWrites } from "../billing/subscriptions.ts";

const STATUSES = [
  "active",
  "canceled",
  "incomplete",
  "incomplete_expired",
  "past_due",
  "paused",
  "trialing",
  "unpaid",
] as const;
const FEEDBACK = [
  "customer_service",
  "low_quality",
  "missing_features",
  "other",
  "switched_service",
  "too_complex",
  "too_expensive",
  "unused",
] as const;

const DAY = 86_400;
const cancellation = obj({ comment: unset(str()), feedback: unset(oneOf(...FEEDBACK)) });
const proration = oneOf("always_invoice", "create_prorations", "none");
const common = {
  cancel_at_period_end: bool(),
  cancellation_details: cancellation,
  collection_method: oneOf("charge_automatically", "send_invoice"),
  days_until_due: int(0),
  default_payment_method: unset(str()),
  description: unset(str(500)),
  metadata: metadata(),
  off_session: bool(),
  payment_behavior: oneOf("allow_incomplete", "default_incomplete", "error_if_incomplete"),
  payment_settings: obj({
    payment_method_types: unset(arr(oneOf("card"))),
    save_default_payment_method: oneOf("off", "on_subscription"),
  }),
  proration_behavior: proration,
  trial_settings: obj({
    end_behavior: required(obj({ missing_payment_method: required(oneOf("cancel", "create_invoice", "pause")) })),
  }),
};
const createShape = {
  ...common,
  billing_mode: obj({ type: required(oneOf("flexible")) }),
  cancel_at: time(),
  currency: str(3),
  customer: required(str()),
  items: required(arr(obj({ price: required(str()), quantity: int(0), metadata: metadata() }))),
  trial_end: wordOr("now", time()),
  trial_period_days: int(1, 730),
};
const updateShape = {
  ...common,
  cancel_at: unset(time()),
  items: arr(obj({
    id: str(),
    price: str(),
    quantity: int(0),
    deleted: bool(),
    metadata: metadata(),
    clear_usage: bool(),
  })),
  proration_date: time(),
  trial_end: wordOr("now", time()),
};

function create(work: Work, p: Values<typeof createShape>): Subscription {
  if (p.trial_end !== undefined && p.trial_period_days !== undefined) {
    throw invalid("You may only specify one of these parameters: trial_end, trial_period_days.", "trial_end", "parameters_exclusive");
  }
  if (p.collection_method === "send_invoice" && p.days_until_due === undefined) {
    throw invalid("Missing required param: days_until_due.", "days_until_due", "parameter_missing");
  }
  const now = work.now(work.clockOf(p.customer));
  const trialEnd = p.trial_period_days !== undefined
    ? now + p.trial_period_days * DAY
    : p.trial_end === "now"
    ? null
    : p.trial_end ?? null;
  const method = p.default_payment_method ?? null;
  if (method !== null) ownMethod(work, method, p.customer);
  return createSubscription(work, {
    customer: p.customer,
    items: p.items.map((item) => ({ ...item, metadata: mergeMetadata({}, item.metadata) })),
    cancel_at: p.cancel_at ?? null,
    cancel_at_period_end: p.cancel_at_period_end,
    collection_method: p.collection_method,
    days_until_due: p.days_until_due ?? null,
    default_payment_method: method,
    description: p.description ?? null,
    metadata: mergeMetadata({}, p.metadata),
    missing_payment_method: p.trial_settings?.end_behavior.missing_payment_method,
    payment_behavior: p.payment_behavior,
    save_default_payment_method: p.payment_settings?.save_default_payment_method ?? null,
    trial_end: trialEnd,
  });
}

function ownMethod(work: Work, method: string, customer: string): void {
  if (work.require("payment_method", method, "default_payment_method").customer !== customer) {
    throw invalid(
      `The customer does not have a payment method with the ID ${method}. The payment method must be attached to the customer.`,
      "default_payment_method",
      "resource_missing",
    );
  }
}

/** One event for one request, whatever it changed: the whole update is compared with what was there before. */
function update(work: Work, p: Values<typeof updateShape>, id: string): Subscription {
  const old = live(work, id);
  if (p.cancel_at_period_end === true && p.cancel_at) {
    throw invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at", "parameters_exclusive");
  }
  if (p.default_payment_method) ownMethod(work, p.default_payment_method, old.customer);
  work.change("subscription", id, simpleFields(work, old, p));
  const outcome = p.items ? changeItems(work, id, p, p.items) : null;
  if (p.trial_end !== undefined) changeTrial(work, id, p.trial_end);
  const done = emitUpdate(work, old);
  if (outcome?.invoice && outcome.outcome && outcome.outcome !== "paid") {
    onInvoiceFailed(work, work.require("invoice", outcome.invoice), false);
    if (p.payment_behavior === "error_if_incomplete") {
      try {
        refusal(work, outcome.invoice, outcome.outcome);
      } catch (error) {
        throw withoutWrites(error);
      }
    }
    return work.require("subscription", id);
  }
  return done;
}

function live(work: Work, id: string): Subscription {
  const sub = work.require("subscription", id);
  if (isEnded(sub)) {
    throw invalid("A canceled subscription can only update its cancellation_details and metadata.", undefined, "invalid_canceled_subscription_fields");
  }
  return sub;
}

/** Restores the old row for one instant, so that the change to the present one is written as one event. */
function emitUpdate(work: Work, old: Subscription): Subscription {
  const fresh = work.require("subscription", old.id);
  const type = fresh.status === "paused" && old.status !== "paused" ? "customer.subscription.paused" : "customer.subscription.updated";
  if (type.endsWith("paused")) return fresh;
  work.change("subscription", old.id, old);
  return work.change("subscription", old.id, fresh, type);
}

function simpleFields(work: Work, old: Subscription, p: Values<typeof updateShape>): Partial<Subscription> {
  return {
    ...cancellationFields(work, old, p),
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

/** `cancel_at_period_end: true` also fills `cancel_at` with the period's end; false or an empty `cancel_at` takes both back. */
function cancellationFields(work: Work, old: Subscription, p: Values<typeof updateShape>): Partial<Subscription> {
  const details = { comment: null, feedback: null, feedback_option: null, reason: null, ...old.cancellation_details };
  const now = work.now(old.test_clock ?? "");
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
    if (p.cancel_at <= now) throw invalid("`cancel_at` must be in the future.", "cancel_at");
    return {
      cancel_at: p.cancel_at,
      cancel_at_period_end: false,
      canceled_at: old.canceled_at ?? now,
      cancellation_details: { ...cancellation_details, reason: "cancellation_requested" },
    };
  }
  const taken = p.cancel_at === null || (p.cancel_at_period_end === false && old.cancel_at_period_end);
  if (!taken) return { cancellation_details };
  return {
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { ...cancellation_details, reason: null },
  };
}

function changeItems(
  work: Work,
  id: string,
  p: { payment_behavior?: string; proration_behavior?: ProrationBehavior; proration_date?: number },
  items: NonNullable<Values<typeof updateShape>["items"]>,
) {
  const sub = work.require("subscription", id);
  const now = work.now(sub.test_clock ?? "");
  const at = p.proration_date ?? now;
  const start = sub.items.data[0]?.current_period_start ?? now;
  if (at < start || at > periodEnd(sub)) {
    throw invalid("`proration_date` must be within the current period.", "proration_date");
  }
  const changes: ItemChange[] = items.map((item) => ({
    ...item,
    metadata: item.metadata === undefined ? undefined : mergeMetadata({}, item.metadata),
  }));
  const plan = planChange(work, sub, changes, at);
  return applyChange(
    work,
    sub,
    plan,
    p.proration_behavior ?? "create_prorations",
    at,
    p.payment_behavior === "default_incomplete" ? null : {},
  );
}

function changeTrial(work: Work, id: string, end: number | "now"): void {
  const sub = work.require("subscription", id);
  const now = work.now(sub.test_clock ?? "");
  const trial_end = end === "now" ? now : end;
  const data = sub.items.data.map((item) => ({ ...item, current_period_end: trial_end }));
  work.change("subscription", id, {
    billing_cycle_anchor: trial_end,
    items: { ...sub.items, data },
    status: end === "now" ? sub.status : "trialing",
    trial_end,
    trial_start: sub.trial_start ?? now,
  });
  if (end === "now" && sub.status === "trialing") endTrial(work, work.require("subscription", id));
}

function cancel(work: Work, p: Values<typeof cancelShape>, id: string): Subscription {
  const sub = work.require("subscription", id);
  if (isEnded(sub)) throw invalid(`No such subscription: '${id}'`, "id", "resource_missing");
  if (p.cancellation_details) {
    const details = { comment: null, feedback: null, feedback_option: null, reason: null, ...sub.cancellation_details };
    work.change("subscription", id, {
      cancellation_details: {
        ...details,
        comment: given(p.cancellation_details.comment, details.comment),
        feedback: given(p.cancellation_details.feedback, details.feedback),
      },
    });
  }
  return cancelNow(work, id, "cancellation_requested");
}
const cancelShape = { cancellation_details: cancellation };

function ownerOf(work: Work, item: string): Subscription {
  const found = work.store.sql(
    "select o.id from objects o, json_each(o.data, '$.items.data') i where o.kind = 'subscription' " +
      "and json_extract(i.value, '$.id') = ?",
  ).get(item);
  if (!found) throw invalid(`No such subscription_item: '${item}'`, "id", "resource_missing");
  return work.require("subscription", String(found.id));
}
const itemOf = (sub: Subscription, id: string): SubscriptionItem | undefined => sub.items.data.find((item) => item.id === id);

const itemShape = {
  metadata: metadata(),
  payment_behavior: common.payment_behavior,
  price: str(),
  proration_behavior: proration,
  proration_date: time(),
  quantity: int(0),
};

const LIVE = STATUSES.filter((status) => status !== "canceled");

export const subscriptionRoutes: Route[] = [
  route("POST", "/v1/subscriptions", createShape, create),
  route("POST", "/v1/subscriptions/:id", updateShape, update),
  route("DELETE", "/v1/subscriptions/:id", cancelShape, cancel),
  retrieveRoute("subscription", "/v1/subscriptions"),
  route("GET", "/v1/subscriptions", {
    ...pagination,
    collection_method: common.collection_method,
    customer: str(),
    price: str(),
    status: oneOf(...STATUSES, "all", "ended"),
    test_clock: str(),
  }, (work, p) => {
    const anyOf: Record<string, readonly string[]> = {
      status: p.status === undefined
        ? LIVE
        : p.status === "all"
        ? STATUSES
        : p.status === "ended"
        ? ["canceled", "incomplete_expired"]
        : [p.status],
    };
    if (p.price !== undefined) anyOf["items.data[0].price.id"] = [p.price];
    const filter = where({
      collection_method: p.collection_method,
      customer: p.customer,
      test_clock: p.test_clock,
    });
    return listPage(work, "subscription", "/v1/subscriptions", p, { where: filter, anyOf });
  }),

  route("GET", "/v1/subscription_items", {
    limit: pagination.limit,
    starting_after: str(),
    ending_before: str(),
    subscription: required(str()),
  }, (work, p) => {
    const sub = work.require("subscription", p.subscription, "subscription");
    return arrayPage(sub.items.data, "/v1/subscription_items", p);
  }),
  route("GET", "/v1/subscription_items/:id", {}, (work, _p, id) => itemOf(ownerOf(work, id), id)),
  route("POST", "/v1/subscription_items", { ...itemShape, subscription: required(str()) }, (work, p) => {
    const before = live(work, work.require("subscription", p.subscription, "subscription").id);
    const { subscription: _, payment_behavior, proration_behavior, proration_date, ...item } = p;
    const after = update(work, { payment_behavior, proration_behavior, proration_date, items: [item] }, before.id);
    return after.items.data.find((each) => !itemOf(before, each.id));
  }),
  route("POST", "/v1/subscription_items/:id", itemShape, (work, p, id) => {
    const { payment_behavior, proration_behavior, proration_date, ...item } = p;
    const items = [{ ...item, id }];
    return itemOf(update(work, { payment_behavior, proration_behavior, proration_date, items }, ownerOf(work, id).id), id);
  }),
  route("DELETE", "/v1/subscription_items/:id", { proration_behavior: proration, proration_date: time() }, (work, p, id) => {
    const items = [{ id, deleted: true }];
    update(work, { ...p, items }, ownerOf(work, id).id);
    return { id, object: "subscription_item", deleted: true };
  }),
];
