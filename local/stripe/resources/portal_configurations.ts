/** Billing Portal configurations. */
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  given,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  unset,
  url,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { newId, type PortalConfiguration } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";

export const FEEDBACK = [
  "customer_service",
  "low_quality",
  "missing_features",
  "other",
  "switched_service",
  "too_complex",
  "too_expensive",
  "unused",
] as const;

const proration = oneOf("always_invoice", "create_prorations", "none");

const featureShape = {
  customer_update: obj({
    allowed_updates: unset(arr(oneOf("address", "email", "name", "phone", "shipping", "tax_id"))),
    enabled: bool(),
  }),
  invoice_history: obj({ enabled: required(bool()) }),
  payment_method_update: obj({ enabled: required(bool()) }),
  subscription_cancel: obj({
    cancellation_reason: obj({
      enabled: required(bool()),
      options: unset(arr(oneOf(...FEEDBACK))),
    }),
    enabled: bool(),
    mode: oneOf("at_period_end", "immediately"),
    proration_behavior: proration,
  }),
  subscription_update: obj({
    default_allowed_updates: unset(arr(oneOf("price", "promotion_code", "quantity"))),
    enabled: bool(),
    products: unset(arr(obj({ product: required(str()), prices: required(arr(str())) }))),
    proration_behavior: proration,
  }),
};

const profile = obj({
  headline: unset(str(60)),
  privacy_policy_url: url(),
  terms_of_service_url: url(),
});

const configuration = {
  business_profile: profile,
  default_return_url: unset(url()),
  features: obj(featureShape),
  metadata: metadata(),
  name: unset(str()),
};

const createConfiguration = { ...configuration, features: required(obj(featureShape)) };
const updateConfiguration = { ...configuration, active: bool() };

/** Stripe's limit. */
const MOST_PRODUCTS = 10;

export type Features = PortalConfiguration["features"];
type PortalProducts = Features["subscription_update"]["products"];

const NO_FEATURES: Features = {
  customer_update: { allowed_updates: [], enabled: false },
  invoice_history: { enabled: false },
  payment_method_update: { enabled: false, payment_method_configuration: null },
  subscription_cancel: {
    cancellation_reason: { enabled: false, feedback_options: null, options: [] },
    enabled: false,
    mode: "at_period_end",
    proration_behavior: "none",
  },
  subscription_pause: { duration: { interval_options: [], type: "indefinite" }, enabled: false },
  subscription_update: {
    billing_cycle_anchor: null,
    default_allowed_updates: [],
    enabled: false,
    proration_behavior: "none",
    schedule_at_period_end: { conditions: [] },
    trial_update_behavior: "end_trial",
  },
};

/** Without saved settings: everything on, plan changes invoiced at once, any active recurring price allowed. */
const ALL_FEATURES: Features = {
  ...NO_FEATURES,
  customer_update: { allowed_updates: ["email", "name"], enabled: true },
  invoice_history: { enabled: true },
  payment_method_update: { enabled: true, payment_method_configuration: null },
  subscription_cancel: {
    cancellation_reason: { enabled: true, feedback_options: null, options: [...FEEDBACK] },
    enabled: true,
    mode: "at_period_end",
    proration_behavior: "none",
  },
  subscription_update: {
    ...NO_FEATURES.subscription_update,
    default_allowed_updates: ["price"],
    enabled: true,
    proration_behavior: "always_invoice",
  },
};

type Offered = NonNullable<
  NonNullable<Values<typeof featureShape>["subscription_update"]>["products"]
>;

function checkProducts(work: Work, products: Offered): void {
  const param = "features[subscription_update][products]";
  if (products.length > MOST_PRODUCTS) {
    throw invalid(`You may pass at most ${MOST_PRODUCTS} products.`, param);
  }
  for (const [i, each] of products.entries()) {
    const { id } = work.require("product", each.product, `${param}[${i}][product]`);
    for (const [n, price] of each.prices.entries()) {
      const at = `${param}[${i}][prices][${n}]`;
      if (work.require("price", price, at).product === id) continue;
      throw invalid(`The price ${price} does not belong to the product ${id}.`, at);
    }
  }
}

/** What the portal lets switch to; it stands beside the object, which shows it only when asked. */
function mergeProducts(
  work: Work,
  old: PortalProducts,
  p: Values<typeof featureShape> | undefined,
): PortalProducts {
  const given = p?.subscription_update?.products;
  if (given === undefined) return old;
  checkProducts(work, given ?? []);
  return (given ?? []).map(({ prices, product }) => ({
    adjustable_quantity: { enabled: false, maximum: null, minimum: 1 },
    ...{ prices, product },
  }));
}

function mergeFeatures(
  old: Features,
  p: Values<typeof featureShape> | undefined,
): Features {
  if (!p) return old;
  const { customer_update, subscription_cancel: cancel, subscription_update: update } = p;
  const reason = cancel?.cancellation_reason;
  return {
    ...old,
    customer_update: {
      allowed_updates: customer_update?.allowed_updates ?? old.customer_update.allowed_updates,
      enabled: given(customer_update?.enabled, old.customer_update.enabled),
    },
    invoice_history: p.invoice_history ?? old.invoice_history,
    payment_method_update: { ...old.payment_method_update, ...p.payment_method_update },
    subscription_cancel: {
      cancellation_reason: {
        ...old.subscription_cancel.cancellation_reason,
        enabled: given(reason?.enabled, old.subscription_cancel.cancellation_reason.enabled),
        options: reason?.options ?? old.subscription_cancel.cancellation_reason.options,
      },
      enabled: given(cancel?.enabled, old.subscription_cancel.enabled),
      mode: given(cancel?.mode, old.subscription_cancel.mode),
      proration_behavior: given(
        cancel?.proration_behavior,
        old.subscription_cancel.proration_behavior,
      ),
    },
    subscription_update: {
      ...old.subscription_update,
      default_allowed_updates: update?.default_allowed_updates ??
        old.subscription_update.default_allowed_updates,
      enabled: given(update?.enabled, old.subscription_update.enabled),
      proration_behavior: given(
        update?.proration_behavior,
        old.subscription_update.proration_behavior,
      ),
    },
  };
}

function newConfiguration(
  work: Work,
  p: Values<typeof configuration>,
  { features, products, isDefault }: {
    features: Features;
    products: PortalProducts;
    isDefault: boolean;
  },
) {
  const now = work.now();
  const made: PortalConfiguration = {
    id: newId("bpc_"),
    object: "billing_portal.configuration",
    active: true,
    application: null,
    business_profile: {
      headline: p.business_profile?.headline ?? null,
      privacy_policy_url: p.business_profile?.privacy_policy_url ?? null,
      terms_of_service_url: p.business_profile?.terms_of_service_url ?? null,
    },
    created: now,
    default_return_url: p.default_return_url ?? null,
    features,
    is_default: isDefault,
    livemode: false,
    login_page: { enabled: false, url: null },
    metadata: mergeMetadata({}, p.metadata),
    name: p.name ?? null,
    updated: now,
  };
  return work.create("billing_portal.configuration", made, { products }, {
    event: "billing_portal.configuration.created",
  });
}

/** Stripe wants settings saved in its dashboard once; the sandbox has none and makes the default when it is first needed. */
export function defaultConfiguration(work: Work): PortalConfiguration {
  return work.store.all("billing_portal.configuration", { is_default: 1 })[0] ??
    newConfiguration(work, {}, { features: ALL_FEATURES, products: null, isDefault: true });
}

export const portalConfigurationRoutes: Route[] = [
  route("POST", "/v1/billing_portal/configurations", createConfiguration, (work, p) => {
    const products = mergeProducts(work, null, p.features);
    const features = mergeFeatures(NO_FEATURES, p.features);
    return newConfiguration(work, p, { features, products, isDefault: false });
  }),
  route("POST", "/v1/billing_portal/configurations/:id", updateConfiguration, (work, p, id) => {
    const old = work.require("billing_portal.configuration", id);
    const { products: before } = work.hidden("billing_portal.configuration", id);
    const products = mergeProducts(work, before, p.features);
    work.changeHidden("billing_portal.configuration", id, { products });
    const { headline, privacy_policy_url, terms_of_service_url } = p.business_profile ?? {};
    return work.change("billing_portal.configuration", id, {
      active: given(p.active, old.active),
      business_profile: {
        headline: given(headline, old.business_profile.headline),
        privacy_policy_url: given(privacy_policy_url, old.business_profile.privacy_policy_url),
        terms_of_service_url: given(
          terms_of_service_url,
          old.business_profile.terms_of_service_url,
        ),
      },
      default_return_url: given(p.default_return_url, old.default_return_url),
      features: mergeFeatures(old.features, p.features),
      metadata: mergeMetadata(old.metadata, p.metadata),
      name: given(p.name, old.name),
      updated: work.now(),
    }, "billing_portal.configuration.updated");
  }),
  retrieveRoute("billing_portal.configuration", "/v1/billing_portal/configurations"),
  listRoute("billing_portal.configuration", "/v1/billing_portal/configurations", {
    active: { param: bool(), path: "active" },
    is_default: { param: bool(), path: "is_default" },
  }),
];
