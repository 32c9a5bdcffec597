/** Charges and refunds. */
import { invalid } from "../engine/errors.ts";
import { bool, int, mergeMetadata, metadata, oneOf, str, type Values } from "../engine/params.ts";
import { forAccounts, listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Work } from "../engine/work.ts";
import { refund } from "../billing/refunds.ts";

const refundShape = {
  amount: int(1),
  charge: str(),
  metadata: metadata(),
  payment_intent: str(),
  reason: oneOf("duplicate", "fraudulent", "requested_by_customer"),
  refund_application_fee: bool(),
  reverse_transfer: bool(),
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
  const { amount, reason, refund_application_fee, reverse_transfer } = p;
  const metadata = mergeMetadata({}, p.metadata);
  return refund(work, charge, {
    amount,
    metadata,
    reason,
    refund_application_fee,
    reverse_transfer,
  });
}

export const refundRoutes: Route[] = [
  ...forAccounts(retrieveRoute("charge", "/v1/charges")),
  route("POST", "/v1/charges/:id", {
    description: str(),
    metadata: metadata(),
    transfer_group: str(),
  }, (work, p, id) => {
    const old = work.require("charge", id);
    return work.change("charge", id, {
      description: p.description ?? old.description,
      metadata: mergeMetadata(old.metadata, p.metadata),
      transfer_group: p.transfer_group ?? old.transfer_group,
    }, "charge.updated");
  }),
  ...forAccounts(listRoute("charge", "/v1/charges", {
    customer: { param: str(), path: "customer" },
    payment_intent: { param: str(), path: "payment_intent" },
    transfer_group: { param: str(), path: "transfer_group" },
  })),
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
  route("POST", "/v1/refunds/:id/cancel", {}, (work, _p, id) => {
    const { status } = work.require("refund", id);
    // Only a refund that waits for the payer can be taken back, and no test card makes one wait.
    throw invalid(
      `You cannot cancel refund ${id}: only refunds with a status of requires_action can be canceled, and this one is ${status}.`,
    );
  }),
  ...forAccounts(retrieveRoute("refund", "/v1/refunds")),
  ...forAccounts(listRoute("refund", "/v1/refunds", {
    charge: { param: str(), path: "charge" },
    payment_intent: { param: str(), path: "payment_intent" },
  })),
];
