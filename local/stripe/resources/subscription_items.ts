/** Subscription items: each change is an update of their subscription. */
import { arrayPage, pagination } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import { int, metadata, required, str, time, type Values } from "../engine/params.ts";
import { type Route, route } from "../engine/route.ts";
import type { Subscription, SubscriptionItem } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { payment_behavior, proration } from "./subscription_fields.ts";
import { live, update } from "./subscriptions.ts";

function ownerOf(work: Work, item: string): Subscription {
  const found = work.store.sql(
    "select o.id from objects o, json_each(o.data, '$.items.data') i where o.kind = 'subscription' " +
      "and json_extract(i.value, '$.id') = ?",
  ).get(item);
  if (!found) throw invalid(`No such subscription_item: '${item}'`, "id", "resource_missing");
  return work.require("subscription", String(found.id));
}

const itemOf = (sub: Subscription, id: string): SubscriptionItem | undefined =>
  sub.items.data.find((item) => item.id === id);

const itemShape = {
  metadata: metadata(),
  payment_behavior,
  price: str(),
  proration_behavior: proration,
  proration_date: time(),
  quantity: int(0),
};

/** What belongs to the item, and how its subscription is to be updated. */
function split(p: Values<typeof itemShape>) {
  const { payment_behavior, proration_behavior, proration_date, ...item } = p;
  return { item, how: { payment_behavior, proration_behavior, proration_date } };
}

export const subscriptionItemRoutes: Route[] = [
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
  route(
    "POST",
    "/v1/subscription_items",
    { ...itemShape, subscription: required(str()) },
    (work, p) => {
      const before = live(work, work.require("subscription", p.subscription, "subscription").id);
      const { subscription: _, ...rest } = p;
      const { item, how } = split(rest);
      const after = update(work, { ...how, items: [item] }, before.id);
      return after.items.data.find((each) => !itemOf(before, each.id));
    },
  ),
  route("POST", "/v1/subscription_items/:id", itemShape, (work, p, id) => {
    const { item, how } = split(p);
    return itemOf(update(work, { ...how, items: [{ ...item, id }] }, ownerOf(work, id).id), id);
  }),
  route("DELETE", "/v1/subscription_items/:id", {
    proration_behavior: proration,
    proration_date: time(),
  }, (work, p, id) => {
    const items = [{ id, deleted: true }];
    update(work, { ...p, items }, ownerOf(work, id).id);
    return { id, object: "subscription_item", deleted: true };
  }),
];
