/** Charges and refunds. */
import { invalid } from "../engine/errors.ts";
import { int, mergeMetadata, metadata, oneOf, str, type Values } from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Work } from "../engine/work.ts";
import { refund } from "../billing/charges.ts";

const refundShape = {
  amount: int(1),
  charge: str(),
  metadata: metadata(),
  payment_intent: str(),
  reason: oneOf("duplicate", "fraudulent", "requested_by_customer"),
};

function createRefund(work: Work, p: Values<typeof refundShape>) {
  const id = p.charge ??
    (p.payment_intent === undefined
      ? undefined
      : work.require("payment_intent", p.payment_intent, "payment_intent").latest_charge);
  if (!id) {
    const message =
      "One of the following params should be provided for this request: payment_intent or charge.";
    throw invalid(message, undefined, "parameter_missing");
  }
  const charge = work.require("charge", id, "charge");
  if (charge.status !== "succeeded") {
    throw invalid(`Charge ${id} has not been paid and cannot be refunded.`, "charge");
  }
  const left = charge.amount_captured - charge.amount_refunded;
  return refund(work, charge, p.amount ?? left, p.reason ?? null, mergeMetadata({}, p.metadata));
}

export const refundRoutes: Route[] = [
  retrieveRoute("charge", "/v1/charges"),
  listRoute("charge", "/v1/charges", {
    customer: { param: str(), path: "customer" },
    payment_intent: { param: str(), path: "payment_intent" },
  }),
  route("POST", "/v1/refunds", refundShape, createRefund),
  route("POST", "/v1/refunds/:id", { metadata: metadata() }, (work, p, id) => {
    const old = work.require("refund", id);
    const done = work.change(
      "refund",
      id,
      { metadata: mergeMetadata(old.metadata, p.metadata) },
      "refund.updated",
    );
    work.emit("charge.refund.updated", done);
    return done;
  }),
  retrieveRoute("refund", "/v1/refunds"),
  listRoute("refund", "/v1/refunds", {
    charge: { param: str(), path: "charge" },
    payment_intent: { param: str(), path: "payment_intent" },
  }),
];
