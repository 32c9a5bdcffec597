/** Billing Portal configurations and sessions. */
import { invalid } from "../engine/errors.ts";
import { arr, int, obj, oneOf, required, str, url, type Values } from "../engine/params.ts";
import { type Route, route } from "../engine/route.ts";
import { newId, type PortalSession, type Subscription } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isEnded } from "../billing/status.ts";
import { LOCALES } from "./checkout.ts";
import { defaultConfiguration, type Features } from "./portal_configurations.ts";

const flowShape = obj({
  after_completion: obj({
    type: required(oneOf("hosted_confirmation", "portal_homepage", "redirect")),
    hosted_confirmation: obj({ custom_message: str(500) }),
    redirect: obj({ return_url: required(url()) }),
  }),
  subscription_cancel: obj({ subscription: required(str()) }),
  subscription_update: obj({ subscription: required(str()) }),
  subscription_update_confirm: obj({
    subscription: required(str()),
    items: required(arr(obj({ id: required(str()), price: str(), quantity: int(0) }))),
  }),
  type: required(
    oneOf(
      "payment_method_update",
      "subscription_cancel",
      "subscription_update",
      "subscription_update_confirm",
    ),
  ),
});

const sessionShape = {
  configuration: str(),
  customer: required(str()),
  flow_data: flowShape,
  locale: oneOf(...LOCALES),
  return_url: url(),
};

type Flow = NonNullable<Values<typeof sessionShape>["flow_data"]>;

function createSession(work: Work, p: Values<typeof sessionShape>): PortalSession {
  const customer = work.require("customer", p.customer, "customer");
  const configuration = p.configuration === undefined
    ? defaultConfiguration(work)
    : work.require("billing_portal.configuration", p.configuration, "configuration");
  if (!configuration.active) {
    throw invalid("The portal configuration is not active.", "configuration");
  }
  const id = newId("bps_");
  const session: PortalSession = {
    id,
    object: "billing_portal.session",
    configuration: configuration.id,
    created: work.now(),
    customer: customer.id,
    customer_account: null,
    flow: p.flow_data ? readFlow(work, p.flow_data, customer.id, configuration.features) : null,
    livemode: false,
    locale: p.locale ?? null,
    on_behalf_of: null,
    return_url: p.return_url ?? configuration.default_return_url,
    url: `${work.settings.publicUrl}/p/session/${id}`,
  };
  return work.create("billing_portal.session", session, { waiting: null, made_ms: Date.now() }, {
    event: "billing_portal.session.created",
  });
}

function readFlow(
  work: Work,
  flow: Flow,
  customer: string,
  features: Features,
): PortalSession["flow"] {
  const details = { payment_method_update: null, ...flow }[flow.type];
  const isOff = flow.type === "payment_method_update"
    ? !features.payment_method_update.enabled
    : flow.type === "subscription_cancel"
    ? !features.subscription_cancel.enabled
    : !features.subscription_update.enabled;
  if (isOff) {
    throw invalid(
      `The portal configuration does not enable the flow \`${flow.type}\`.`,
      "flow_data[type]",
    );
  }
  if (flow.type !== "payment_method_update") {
    if (!details) {
      throw invalid(
        `Missing required param: flow_data[${flow.type}].`,
        `flow_data[${flow.type}]`,
        "parameter_missing",
      );
    }
    checkSubscription(
      work,
      details.subscription,
      customer,
      `flow_data[${flow.type}][subscription]`,
      flow.type,
    );
  }
  const confirm = flow.type === "subscription_update_confirm"
    ? flow.subscription_update_confirm
    : undefined;
  for (const [i, item] of (confirm?.items ?? []).entries()) {
    if (item.price !== undefined) {
      work.require(
        "price",
        item.price,
        `flow_data[subscription_update_confirm][items][${i}][price]`,
      );
    }
  }
  const after = flow.after_completion;
  return {
    after_completion: {
      hosted_confirmation: after?.hosted_confirmation
        ? { custom_message: after.hosted_confirmation.custom_message ?? null }
        : null,
      redirect: after?.redirect ?? null,
      type: after?.type ?? "portal_homepage",
    },
    customer_update: null,
    subscription_cancel: flow.type === "subscription_cancel" && flow.subscription_cancel
      ? { retention: null, subscription: flow.subscription_cancel.subscription }
      : null,
    subscription_pause: null,
    subscription_update: flow.type === "subscription_update"
      ? flow.subscription_update ?? null
      : null,
    subscription_update_confirm: confirm
      ? {
        discounts: null,
        items: confirm.items.map((item) => ({
          id: item.id,
          price: item.price ?? null,
          quantity: item.quantity ?? 1,
        })),
        subscription: confirm.subscription,
      }
      : null,
    type: flow.type,
  };
}

function checkSubscription(
  work: Work,
  id: string,
  customer: string,
  param: string,
  type: string,
): Subscription {
  const sub = work.require("subscription", id, param);
  if (sub.customer !== customer) {
    throw invalid(`No such subscription: '${id}'`, param, "resource_missing");
  }
  if (isEnded(sub)) throw invalid(`The subscription ${id} is already canceled.`, param);
  if (type === "subscription_cancel" && (sub.cancel_at !== null || sub.cancel_at_period_end)) {
    throw invalid(`The subscription \`${id}\` is already set to be canceled.`, param);
  }
  return sub;
}

export const portalRoutes: Route[] = [
  route("POST", "/v1/billing_portal/sessions", sessionShape, createSession),
];
