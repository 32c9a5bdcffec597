/** Setup intents. */
import { invalid } from "../engine/errors.ts";
import {
  bool,
  given,
  mergeMetadata,
  metadata,
  oneOf,
  str,
  unset,
  url,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { SetupIntent } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createSetup } from "../billing/intents.ts";
import { cardError, resolveMethod } from "../billing/methods.ts";
import { confirmSetup } from "../billing/payments.ts";
import { automatic, types } from "./intents.ts";

const setupFields = {
  customer: str(),
  description: unset(str()),
  metadata: metadata(),
  payment_method: str(),
  payment_method_types: types,
};

const setupCreate = {
  ...setupFields,
  automatic_payment_methods: automatic,
  confirm: bool(),
  return_url: url(),
  usage: oneOf("off_session", "on_session"),
};

function createSetupIntent(work: Work, p: Values<typeof setupCreate>): SetupIntent {
  if (p.customer !== undefined) work.require("customer", p.customer, "customer");
  const method = p.payment_method === undefined
    ? null
    : resolveMethod(work, p.payment_method, "payment_method");
  const intent = createSetup(work, {
    customer: p.customer ?? null,
    description: p.description,
    metadata: mergeMetadata({}, p.metadata),
    payment_method: method?.id,
    usage: p.usage,
  });
  return p.confirm ? confirmSetupNow(work, intent.id, method?.id) : intent;
}

function confirmSetupNow(work: Work, id: string, wanted: string | undefined): SetupIntent {
  const intent = work.require("setup_intent", id);
  const methodId = wanted ?? intent.payment_method;
  if (!methodId || intent.status === "succeeded" || intent.status === "canceled") {
    throw invalid(
      methodId
        ? `You cannot confirm this SetupIntent because it has a status of ${intent.status}.`
        : "You cannot confirm this SetupIntent because it's missing a payment method.",
      undefined,
      "setup_intent_unexpected_state",
    );
  }
  const done = confirmSetup(work, id, { method: resolveMethod(work, methodId, "payment_method") });
  const error = done.last_setup_error;
  if (done.status !== "requires_payment_method" || !error) return done;
  const { code = "card_declined", decline_code = null, message = "Your card was declined." } =
    error;
  throw cardError({ code, decline_code, message }, { setup_intent: done }, true);
}

export const setupIntentRoutes: Route[] = [
  route("POST", "/v1/setup_intents", setupCreate, createSetupIntent),
  route("POST", "/v1/setup_intents/:id", setupFields, (work, p, id) => {
    const old = work.require("setup_intent", id);
    const method = p.payment_method === undefined
      ? old.payment_method
      : resolveMethod(work, p.payment_method, "payment_method").id;
    return work.change("setup_intent", id, {
      customer: given(p.customer, old.customer),
      description: given(p.description, old.description),
      metadata: mergeMetadata(old.metadata, p.metadata),
      payment_method: method,
      status: old.status === "requires_payment_method" && method
        ? "requires_confirmation"
        : old.status,
    });
  }),
  route(
    "POST",
    "/v1/setup_intents/:id/confirm",
    { payment_method: str(), return_url: url() },
    (work, p, id) => confirmSetupNow(work, id, p.payment_method),
  ),
  route("POST", "/v1/setup_intents/:id/cancel", {
    cancellation_reason: oneOf("abandoned", "duplicate", "requested_by_customer"),
  }, (work, p, id) => {
    const intent = work.require("setup_intent", id);
    if (intent.status === "succeeded" || intent.status === "canceled") {
      throw invalid(
        `You cannot cancel this SetupIntent because it has a status of ${intent.status}.`,
        undefined,
        "setup_intent_unexpected_state",
      );
    }
    return work.change("setup_intent", id, {
      cancellation_reason: p.cancellation_reason ?? null,
      next_action: null,
      status: "canceled",
    }, "setup_intent.canceled");
  }),
  retrieveRoute("setup_intent", "/v1/setup_intents"),
  listRoute("setup_intent", "/v1/setup_intents", {
    customer: { param: str(), path: "customer" },
    payment_method: { param: str(), path: "payment_method" },
  }),
];
