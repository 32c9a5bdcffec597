/** Disputes. Only test cards make them; evidence is a text. */
import { invalid } from "../engine/errors.ts";
import { bool, mergeMetadata, metadata, obj, str } from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Dispute } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { lose, submit } from "../billing/disputes.ts";

const OPEN = ["needs_response", "warning_needs_response", "warning_under_review"];

function open(work: Work, id: string): Dispute {
  const dispute = work.require("dispute", id);
  if (!OPEN.includes(dispute.status)) {
    throw invalid(`This dispute is already closed: its status is ${dispute.status}.`);
  }
  return dispute;
}

export const disputeRoutes: Route[] = [
  route("POST", "/v1/disputes/:id", {
    evidence: obj({ product_description: str(), uncategorized_text: str() }),
    metadata: metadata(),
    submit: bool(),
  }, (work, p, id) => {
    const old = work.require("dispute", id);
    const done = work.change("dispute", id, {
      evidence: { ...old.evidence, ...p.evidence },
      metadata: mergeMetadata(old.metadata, p.metadata),
    }, "charge.dispute.updated");
    // Evidence is sent with the request that brings it, unless it says otherwise.
    if (!p.evidence || p.submit === false) return done;
    return submit(work, open(work, id), done.evidence.uncategorized_text);
  }),
  route("POST", "/v1/disputes/:id/close", {}, (work, _p, id) => lose(work, open(work, id))),
  retrieveRoute("dispute", "/v1/disputes"),
  listRoute("dispute", "/v1/disputes", {
    charge: { param: str(), path: "charge" },
    payment_intent: { param: str(), path: "payment_intent" },
  }),
];
