/** Transfers to connected accounts, their reversals, and application fees. https://docs.stripe.com/connect */
import { arrayPage, pagination } from "../engine/answer.ts";
import { invalid, missing } from "../engine/errors.ts";
import {
  bool,
  currency,
  int,
  mergeMetadata,
  metadata,
  oneOf,
  required,
  str,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { Charge, Transfer } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { requireRecipient } from "../billing/accounts.ts";
import { availableIn } from "../billing/balance.ts";
import { refundFee } from "../billing/fees.ts";
import { reverseTransfer, transfer } from "../billing/transfers.ts";

const createShape = {
  amount: int(1),
  currency: required(currency()),
  description: str(),
  destination: required(str()),
  metadata: metadata(),
  source_transaction: str(),
  source_type: oneOf("card"),
  transfer_group: str(),
};
type Create = Values<typeof createShape>;

function create(work: Work, p: Create): Transfer {
  const account = requireRecipient(work, p.destination, "destination");
  const source = p.source_transaction === undefined
    ? null
    : sourceOf(work, p, p.source_transaction);
  const sent = source ? sentFrom(work, source) : 0;
  const amount = p.amount ?? (source ? source.amount_captured - sent : undefined);
  if (amount === undefined) {
    throw invalid("Missing required param: amount.", "amount", "parameter_missing");
  }
  if (source && sent + amount > source.amount_captured) {
    throw invalid(
      `Transfers using this transaction as a source must not exceed the source amount of ${source.amount_captured}. ` +
        `(Already transferred: ${sent}.)`,
      "amount",
    );
  }
  if (!source && amount > availableIn(work, p.currency)) {
    throw invalid(
      "You have insufficient available funds in your Stripe account. Try adding funds directly to your available balance " +
        "by creating Charges using the 4000000000000077 test card. See: https://stripe.com/docs/testing#available-balance",
      undefined,
      "balance_insufficient",
    );
  }
  const group = p.transfer_group ?? source?.transfer_group ??
    (source ? `group_${source.payment_intent ?? source.id}` : null);
  if (source && source.transfer_group === null) {
    work.change("charge", source.id, { transfer_group: group }, "charge.updated");
  }
  return transfer(work, {
    amount,
    currency: p.currency,
    description: p.description,
    destination: account.id,
    metadata: mergeMetadata({}, p.metadata),
    source,
    transfer_group: group,
  });
}

/** The payment whose money is sent on, also before it is available. */
function sourceOf(work: Work, p: Create, id: string): Charge {
  const source = work.require("charge", id, "source_transaction");
  if (source.status !== "succeeded" || !source.captured) {
    throw invalid(
      `Charge ${id} has not been paid, so it cannot be a source.`,
      "source_transaction",
    );
  }
  if (source.currency !== p.currency) {
    throw invalid(
      `The currency of source_transaction's balance transaction (${source.currency}) must be the same as the transfer ` +
        `currency (${p.currency})`,
      "currency",
    );
  }
  const isOther = p.transfer_group !== undefined && source.transfer_group !== null &&
    p.transfer_group !== source.transfer_group;
  if (isOther) {
    throw invalid(
      `The transfer_group of the transfer (${p.transfer_group}) must be that of its source_transaction ` +
        `(${source.transfer_group}).`,
      "transfer_group",
    );
  }
  return source;
}

const sentFrom = (work: Work, source: Charge) =>
  work.store.all("transfer", { source_transaction: source.id })
    .reduce((sum, each) => sum + each.amount, 0);

const reverseShape = {
  amount: int(1),
  description: str(),
  metadata: metadata(),
  refund_application_fee: bool(),
};

function reverse(work: Work, p: Values<typeof reverseShape>, id: string) {
  const old = work.require("transfer", id);
  const made = reverseTransfer(work, id, {
    amount: p.amount ?? old.amount - old.amount_reversed,
    metadata: mergeMetadata({}, p.metadata),
    refund_application_fee: p.refund_application_fee,
  });
  return made;
}

const page = { limit: pagination.limit, starting_after: str(), ending_before: str() };

const transferRoutes: Route[] = [
  route("POST", "/v1/transfers", createShape, create),
  route(
    "POST",
    "/v1/transfers/:id",
    { description: str(), metadata: metadata() },
    (work, p, id) => {
      const old = work.require("transfer", id);
      return work.change("transfer", id, {
        description: p.description ?? old.description,
        metadata: mergeMetadata(old.metadata, p.metadata),
      }, "transfer.updated");
    },
  ),
  retrieveRoute("transfer", "/v1/transfers"),
  listRoute("transfer", "/v1/transfers", {
    destination: { param: str(), path: "destination" },
    transfer_group: { param: str(), path: "transfer_group" },
  }),
  route("POST", "/v1/transfers/:id/reversals", reverseShape, reverse),
  route("GET", "/v1/transfers/:id/reversals", page, (work, p, id) => {
    work.require("transfer", id);
    const all = work.store.all("transfer_reversal", { transfer: id }).reverse();
    return arrayPage(all, `/v1/transfers/${id}/reversals`, p);
  }),
  route("GET", "/v1/transfers/:id/reversals/:reversal", {}, (work, _p, id, reversal) => {
    return reversalOf(work, id, reversal);
  }),
  route(
    "POST",
    "/v1/transfers/:id/reversals/:reversal",
    { metadata: metadata() },
    (work, p, id, reversal) => {
      const old = reversalOf(work, id, reversal);
      return work.change("transfer_reversal", reversal, {
        metadata: mergeMetadata(old.metadata, p.metadata),
      });
    },
  ),
];

function reversalOf(work: Work, id: string, reversal: string) {
  const found = work.find("transfer_reversal", reversal);
  if (found?.transfer !== id) throw missing("transfer reversal", reversal, "id");
  return found;
}

function refundOf(work: Work, id: string, refund: string) {
  const found = work.find("fee_refund", refund);
  if (found?.fee !== id) throw missing("fee refund", refund, "id");
  return found;
}

const FEES = "/v1/application_fees";
const feeRoutes: Route[] = [
  retrieveRoute("application_fee", FEES),
  listRoute("application_fee", FEES, { charge: { param: str(), path: "charge" } }),
  route(
    "POST",
    `${FEES}/:id/refunds`,
    { amount: int(1), metadata: metadata() },
    (work, p, id) => refundFee(work, id, p.amount, mergeMetadata({}, p.metadata)),
  ),
  route("GET", `${FEES}/:id/refunds`, page, (work, p, id) => {
    work.require("application_fee", id);
    const all = work.store.all("fee_refund", { fee: id }).reverse();
    return arrayPage(all, `${FEES}/${id}/refunds`, p);
  }),
  route("GET", `${FEES}/:id/refunds/:refund`, {}, (work, _p, id, refund) => {
    return refundOf(work, id, refund);
  }),
  route("POST", `${FEES}/:id/refunds/:refund`, { metadata: metadata() }, (work, p, id, refund) => {
    const old = refundOf(work, id, refund);
    const done = work.change("fee_refund", refund, {
      metadata: mergeMetadata(old.metadata, p.metadata),
    });
    work.emit("application_fee.refund.updated", done);
    return done;
  }),
];

export const moneyRoutes: Route[] = [...transferRoutes, ...feeRoutes];
