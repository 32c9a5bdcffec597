/** Balances, the transactions they are the sum of, and payouts: the platform's, and with `Stripe-Account` an account's. */
import { listPage, pagination, where } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import {
  currency,
  int,
  mergeMetadata,
  metadata,
  oneOf,
  range,
  required,
  str,
} from "../engine/params.ts";
import { forAccounts, retrieveRoute, type Route, route } from "../engine/route.ts";
import { balance } from "../billing/balance.ts";
import { cancelPayout, createPayout } from "../billing/payouts.ts";

const TRANSACTIONS = "/v1/balance_transactions";

export const balanceRoutes: Route[] = forAccounts(
  route("GET", "/v1/balance", {}, (work) => balance(work)),
  route("GET", TRANSACTIONS, {
    ...pagination,
    currency: currency(),
    payout: str(),
    source: str(),
    type: str(),
  }, (work, p) => {
    if (p.payout !== undefined) {
      work.require("payout", p.payout, "payout");
      throw invalid(
        "Balance transaction history can only be filtered on automatic transfers, not manual.",
        "payout",
      );
    }
    return listPage(work, "balance_transaction", TRANSACTIONS, p, {
      where: where({ currency: p.currency, source: p.source, type: p.type }),
    });
  }),
  retrieveRoute("balance_transaction", TRANSACTIONS),
  route("POST", "/v1/payouts", {
    amount: required(int(1)),
    currency: required(currency()),
    description: str(),
    metadata: metadata(),
    method: oneOf("standard"),
    source_type: oneOf("card"),
    statement_descriptor: str(22),
  }, (work, p) => createPayout(work, { ...p, metadata: mergeMetadata({}, p.metadata) })),
  route("POST", "/v1/payouts/:id", { metadata: metadata() }, (work, p, id) => {
    const old = work.require("payout", id);
    return work.change("payout", id, {
      metadata: mergeMetadata(old.metadata, p.metadata),
    }, "payout.updated");
  }),
  route("POST", "/v1/payouts/:id/cancel", {}, (work, _p, id) => cancelPayout(work, id)),
  retrieveRoute("payout", "/v1/payouts"),
  route("GET", "/v1/payouts", {
    ...pagination,
    arrival_date: range(),
    destination: str(),
    status: oneOf("canceled", "failed", "in_transit", "paid", "pending"),
  }, (work, p) => {
    if (p.arrival_date) {
      throw invalid("The sandbox does not filter payouts by `arrival_date`.", "arrival_date");
    }
    return listPage(work, "payout", "/v1/payouts", p, {
      where: where({ destination: p.destination, status: p.status }),
    });
  }),
);
