import type Stripe from "stripe";
import { type Account, productOf } from "./read.ts";
import { became, type Call, type Draft, SetupError, update } from "./steps.ts";
import type { Wanted, WantedFeature, WantedMeter, WantedProduct } from "./wanted.ts";

/** Products, meters and features: what prices and subscriptions hang on. Pure. */

export function planProducts(draft: Draft, wanted: Wanted, account: Account): void {
  for (const product of wanted.products) {
    const known = productOf(account.products, account.prices, product.mark);
    if (known) mendProduct(draft, product, known);
    else createProduct(draft, product);
  }
}

function labelOf({ mark }: WantedProduct): string {
  return `${mark.kind.replace("_", " ")} ${mark.id}`;
}

function createProduct(draft: Draft, product: WantedProduct): void {
  const { ref, mark, name, description } = product;
  const path = "/v1/products";
  const params = {
    name,
    ...(description && { description }),
    metadata: { [mark.kind]: mark.id },
  };
  const label = labelOf(product);
  draft.add({
    kind: "product",
    name: label,
    change: "create",
    details: [JSON.stringify(name)],
    calls: [{ method: "POST", path, params, creates: { ref, once: label } }],
  });
}

function mendProduct(draft: Draft, product: WantedProduct, known: Stripe.Product): void {
  const { ref, name, description } = product;
  draft.ids.set(ref, known.id);
  const details: string[] = [];
  if (known.name !== name) details.push(`name ${became(known.name, name)}`);
  if (description !== undefined && (known.description ?? "") !== description) {
    details.push(`description ${became(known.description, description || null)}`);
  }
  if (!known.active) details.push("archived → sold");
  const label = labelOf(product);
  if (details.length === 0) return draft.keep("product", label, JSON.stringify(name));
  // An empty text unsets.
  const params = { name, ...(description !== undefined && { description }), active: true };
  const calls = [update(`/v1/products/${known.id}`, params)];
  draft.add({ kind: "product", name: label, change: "update", details, calls });
}

export function planMeters(draft: Draft, wanted: Wanted, account: Account): void {
  for (const meter of wanted.meters) {
    const named = account.meters.filter(({ event_name }) => event_name === meter.eventName);
    const active = named.find(({ status }) => status === "active");
    if (active && !isSum(active)) {
      throw new SetupError(
        `The meter ${active.id} of ${meter.eventName} does not sum up "value" by "stripe_customer_id", as the functions ` +
          "report usage. Deactivate it in Stripe, or name another event in `metrics`.",
      );
    }
    planMeter(draft, meter, active ?? named.find(isSum), named);
  }
}

function isSum({ default_aggregation, customer_mapping, value_settings }: Stripe.Billing.Meter) {
  return default_aggregation.formula === "sum" &&
    customer_mapping.event_payload_key === "stripe_customer_id" &&
    value_settings.event_payload_key === "value";
}

function planMeter(
  draft: Draft,
  { ref, eventName, name }: WantedMeter,
  known: Stripe.Billing.Meter | undefined,
  before: Stripe.Billing.Meter[],
): void {
  const path = "/v1/billing/meters";
  if (known === undefined) {
    const params = {
      display_name: name,
      event_name: eventName,
      default_aggregation: { formula: "sum" },
    };
    const once = [eventName, ...before.map(({ id }) => id)].join(" ");
    draft.add({
      kind: "meter",
      name: eventName,
      change: "create",
      details: [`${JSON.stringify(name)}, summed up`],
      calls: [{ method: "POST", path, params, creates: { ref, once } }],
    });
    return;
  }
  draft.ids.set(ref, known.id);
  const details: string[] = [];
  const calls: Call[] = [];
  if (known.status !== "active") {
    details.push(`${known.status} → active`);
    calls.push(update(`${path}/${known.id}/reactivate`, {}));
  }
  if (known.display_name !== name) {
    details.push(`name ${became(known.display_name, name)}`);
    calls.push(update(`${path}/${known.id}`, { display_name: name }));
  }
  if (calls.length === 0) draft.keep("meter", eventName, JSON.stringify(name));
  else draft.add({ kind: "meter", name: eventName, change: "update", details, calls });
}

/**
 * Nothing of ours reads Stripe's entitlements: access is what Postgres says. They are a copy for whatever else works with the
 * account (its dashboard, other services), so they are kept right like everything else, and never taken away.
 */
export function planFeatures(draft: Draft, wanted: Wanted, account: Account): void {
  for (const feature of wanted.features) {
    const known = account.features.find(({ lookup_key, active }) =>
      lookup_key === feature.key && active
    );
    const { details, calls } = featureItself(draft, feature, known);
    for (const product of feature.products) {
      const id = draft.known(product);
      const has = (account.attached.get(id) ?? [])
        .some(({ entitlement_feature }) => entitlement_feature.id === known?.id);
      if (has) continue;
      details.push(`to ${nameOf(wanted, product)}`);
      const path = `/v1/products/${product}/features`;
      const params = { entitlement_feature: feature.ref };
      calls.push({ method: "POST", path, params, creates: { ref: "", once: "" } });
    }
    const change = known === undefined ? "create" : "update";
    if (calls.length === 0) draft.keep("feature", feature.key, JSON.stringify(feature.name));
    else draft.add({ kind: "feature", name: feature.key, change, details, calls });
  }
  noteStrays(draft, wanted, account);
}

function featureItself(
  draft: Draft,
  { ref, key, name }: WantedFeature,
  known: Stripe.Entitlements.Feature | undefined,
): { details: string[]; calls: Call[] } {
  const path = "/v1/entitlements/features";
  if (known === undefined) {
    const creates = { ref, once: key };
    const params = { lookup_key: key, name };
    return {
      details: [JSON.stringify(name)],
      calls: [{ method: "POST", path, params, creates }],
    };
  }
  draft.ids.set(ref, known.id);
  if (known.name === name) return { details: [], calls: [] };
  return {
    details: [`name ${became(known.name, name)}`],
    calls: [update(`${path}/${known.id}`, { name })],
  };
}

/** Taking a feature off a product would end running entitlements; that is for a person to decide. */
function noteStrays(draft: Draft, wanted: Wanted, account: Account): void {
  for (const { ref, mark } of wanted.products.filter(({ mark }) => mark.kind === "plan")) {
    const keys = wanted.features.filter(({ products }) => products.includes(ref))
      .map(({ key }) => key);
    for (
      const { entitlement_feature: { lookup_key } } of account.attached.get(draft.known(ref)) ?? []
    ) {
      if (keys.includes(lookup_key)) continue;
      draft.notes.push(
        `Stripe's product of plan ${mark.id} has the feature ${lookup_key}, which no row gives it. ` +
          "Detach it in Stripe if it should go.",
      );
    }
  }
}

function nameOf(wanted: Wanted, product: string): string {
  const mark = wanted.products.find(({ ref }) => ref === product)?.mark;
  return `${mark?.kind ?? "product"} ${mark?.id ?? ""}`;
}
