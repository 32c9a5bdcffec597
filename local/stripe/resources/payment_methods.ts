/** Payment methods. */
import { listPage, pagination, where } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import {
  address,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  unset,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import type { PaymentMethod } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { createBankMethod } from "../billing/bank_debits.ts";
import { cardProblem } from "../billing/cards.ts";
import {
  type Address,
  attach,
  cardError,
  cardFromToken,
  createCardMethod,
  EMPTY_ADDRESS,
} from "../billing/methods.ts";
import { setDefaultMethod } from "./customers.ts";

/** What Stripe stores of an address that was given in parts: the rest is null. */
export function full(
  value: { [K in keyof Address]?: Address[K] } | null | undefined,
): Address | null {
  return value ? { ...EMPTY_ADDRESS, ...dropUndefined(value) } : null;
}

export function dropUndefined<T extends object>(
  value: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in value) {
    const each = value[key];
    if (isDefined(each)) kept[key] = each;
  }
  return kept;
}

const isDefined = <T>(value: T): value is Exclude<T, undefined> => value !== undefined;

const billingDetails = obj({
  address: address(),
  email: unset(str()),
  name: unset(str()),
  phone: unset(str()),
});

const methodShape = {
  type: required(oneOf("card", "sepa_debit", "us_bank_account")),
  sepa_debit: obj({ iban: required(str()) }),
  us_bank_account: obj({
    account_holder_type: oneOf("company", "individual"),
    account_number: required(str()),
    account_type: oneOf("checking", "savings"),
    routing_number: required(str()),
  }),
  allow_redisplay: oneOf("always", "limited", "unspecified"),
  billing_details: billingDetails,
  card: obj({
    token: str(),
    number: str(),
    exp_month: int(),
    exp_year: int(),
    cvc: str(4),
  }),
  metadata: metadata(),
};

function billing(p: Values<typeof methodShape>["billing_details"]) {
  return {
    address: full(p?.address) ?? EMPTY_ADDRESS,
    email: p?.email ?? null,
    name: p?.name ?? null,
    phone: p?.phone ?? null,
  };
}

function createMethod(work: Work, p: Values<typeof methodShape>): PaymentMethod {
  const { token, number, exp_month, exp_year, cvc } = p.card ?? {};
  const options = { billing: billing(p.billing_details), metadata: mergeMetadata({}, p.metadata) };
  if (p.type !== "card") {
    const number = p.type === "sepa_debit" ? p.sepa_debit?.iban : p.us_bank_account?.account_number;
    if (number === undefined) {
      throw invalid(`Missing required param: ${p.type}.`, p.type, "parameter_missing");
    }
    return createBankMethod(work, p.type, number, options);
  }
  if (token !== undefined) {
    return createCardMethod(work, cardFromToken(work, token, "card[token]"), options);
  }
  if (number === undefined || exp_month === undefined || exp_year === undefined) {
    throw invalid("Missing required param: card.", "card", "parameter_missing");
  }
  const problem = cardProblem({ number, exp_month, exp_year, cvc }, work.now());
  if (problem) throw cardError(problem, { param: problem.param });
  return createCardMethod(work, { number, exp_month, exp_year }, options);
}

export function detach(work: Work, id: string): PaymentMethod {
  const method = work.require("payment_method", id);
  if (method.customer === null) {
    throw invalid(
      "The payment method you provided is not attached to a customer so detachment is impossible.",
      "id",
    );
  }
  const customer = work.require("customer", method.customer);
  if (customer.invoice_settings.default_payment_method === id) {
    setDefaultMethod(work, customer.id, null, "customer.updated");
  }
  return work.change("payment_method", id, { customer: null }, "payment_method.detached");
}

export const paymentMethodRoutes: Route[] = [
  route(
    "GET",
    "/v1/customers/:id/payment_methods",
    { ...pagination, type: oneOf("card") },
    (work, p, id) => {
      work.require("customer", id);
      const url = `/v1/customers/${id}/payment_methods`;
      return listPage(work, "payment_method", url, p, {
        where: where({ customer: id, type: p.type }),
      });
    },
  ),
  route("GET", "/v1/customers/:id/payment_methods/:pm", {}, (work, _p, id, method) => {
    const found = work.require("payment_method", method);
    if (found.customer !== id) {
      throw invalid(`No such PaymentMethod: '${method}'`, "payment_method", "resource_missing");
    }
    return found;
  }),

  route("POST", "/v1/payment_methods", methodShape, createMethod),
  route("POST", "/v1/payment_methods/:id", {
    billing_details: billingDetails,
    card: obj({ exp_month: int(1, 12), exp_year: int() }),
    metadata: metadata(),
  }, (work, p, id) => {
    const old = work.require("payment_method", id);
    return work.change("payment_method", id, {
      billing_details: p.billing_details
        ? { ...old.billing_details, ...billing(p.billing_details) }
        : old.billing_details,
      card: old.card && { ...old.card, ...dropUndefined(p.card ?? {}) },
      metadata: mergeMetadata(old.metadata, p.metadata),
    }, "payment_method.updated");
  }),
  route(
    "POST",
    "/v1/payment_methods/:id/attach",
    { customer: required(str()) },
    (work, p, id) => attach(work, id, work.require("customer", p.customer, "customer").id, "id"),
  ),
  route("POST", "/v1/payment_methods/:id/detach", {}, (work, _p, id) => detach(work, id)),
  retrieveRoute("payment_method", "/v1/payment_methods"),
  listRoute("payment_method", "/v1/payment_methods", {
    customer: { param: str(), path: "customer" },
    type: { param: oneOf("card"), path: "type" },
  }),
];
