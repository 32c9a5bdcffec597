/** Customers and their payment methods. */
import { invalid } from "../engine/errors.ts";
import {
  address,
  arr,
  given,
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
import { listPage, pagination, where } from "../engine/answer.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Customer, newId, type PaymentMethod } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { type Address, attach, cardError, cardFromToken, createCardMethod, EMPTY_ADDRESS } from "../billing/payments.ts";
import { cardProblem } from "../billing/cards.ts";
import { cancelNow } from "../billing/lifecycle.ts";

const fields = {
  address: address(),
  balance: int(),
  description: unset(str()),
  email: unset(str(512)),
  invoice_prefix: str(12),
  invoice_settings: obj({ default_payment_method: unset(str()), footer: unset(str()) }),
  metadata: metadata(),
  name: unset(str(256)),
  phone: unset(str(20)),
  preferred_locales: arr(str()),
  shipping: unset(obj({ address: address(), name: required(str()), phone: unset(str()) })),
  source: str(),
  tax_exempt: oneOf("exempt", "none", "reverse"),
};
const createShape = { ...fields, payment_method: str(), test_clock: str() };
type Patch = Values<typeof fields>;

/** What Stripe stores of an address that was given in parts: the rest is null. */
function full(value: { [K in keyof Address]: Address[K] | undefined } | null | undefined): Address | null {
  return value ? { ...EMPTY_ADDRESS, ...dropUndefined(value) } : null;
}
function dropUndefined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key in value) {
    const each = value[key];
    if (isDefined(each)) kept[key] = each;
  }
  return kept;
}
const isDefined = <T>(value: T): value is Exclude<T, undefined> => value !== undefined;

export function createCustomer(work: Work, p: Values<typeof createShape>): Customer {
  if (p.test_clock !== undefined) {
    const clock = work.require("test_helpers.test_clock", p.test_clock, "test_clock");
    if (clock.status !== "ready") throw invalid("The test clock is advancing; wait until it is ready.", "test_clock");
  }
  const clock = p.test_clock ?? "";
  const id = newId("cus_", 14);
  const customer: Customer = {
    id,
    object: "customer",
    address: full(p.address),
    balance: p.balance ?? 0,
    created: work.now(clock),
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: p.description ?? null,
    discount: null,
    email: p.email ?? null,
    invoice_prefix: p.invoice_prefix ?? newId("", 8).toUpperCase(),
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: p.invoice_settings?.footer ?? null,
      rendering_options: null,
    },
    livemode: false,
    metadata: mergeMetadata({}, p.metadata),
    name: p.name ?? null,
    next_invoice_sequence: 1,
    phone: p.phone ?? null,
    preferred_locales: p.preferred_locales ?? [],
    shipping: p.shipping ? { name: p.shipping.name, address: full(p.shipping.address) ?? EMPTY_ADDRESS } : null,
    tax_exempt: p.tax_exempt ?? "none",
    test_clock: p.test_clock ?? null,
  };
  work.create("customer", customer, {}, { clock });
  const first = p.payment_method !== undefined
    ? attach(work, p.payment_method, id)
    : p.source !== undefined
    ? attachToken(work, p.source, id)
    : null;
  const wanted = p.invoice_settings?.default_payment_method;
  // The same shared test name given twice means the one method just attached.
  const chosen = wanted && wanted === p.payment_method && first ? first.id : wanted ?? (p.source ? first?.id : null);
  const done = chosen ? setDefaultMethod(work, id, chosen) : work.require("customer", id);
  work.emit("customer.created", done);
  return done;
}

/** A legacy `source` token becomes an attached payment method that is the default; the sandbox has no sources. */
function attachToken(work: Work, token: string, customer: string): PaymentMethod {
  const method = createCardMethod(work, cardFromToken(work, token, "source"));
  return attach(work, method.id, customer, "source");
}

export function setDefaultMethod(work: Work, customerId: string, methodId: string | null, event?: string): Customer {
  const customer = work.require("customer", customerId);
  const param = "invoice_settings[default_payment_method]";
  const method = methodId === null ? null : work.require("payment_method", methodId, param);
  if (method && method.customer !== customerId) {
    throw invalid(`The customer does not have a payment method with the ID ${method.id}.`, param, "resource_missing");
  }
  const invoice_settings = { ...customer.invoice_settings, default_payment_method: method?.id ?? null };
  return work.change("customer", customerId, { invoice_settings }, event);
}

function updateCustomer(work: Work, p: Patch, id: string): Customer {
  const old = work.require("customer", id);
  const source = p.source === undefined ? undefined : attachToken(work, p.source, id).id;
  const wanted = source ?? p.invoice_settings?.default_payment_method;
  if (wanted) setDefaultMethodCheck(work, id, wanted);
  return work.change("customer", id, {
    address: p.address === undefined ? old.address ?? null : full(p.address),
    balance: given(p.balance, old.balance),
    description: given(p.description, old.description),
    email: given(p.email, old.email),
    invoice_settings: {
      ...old.invoice_settings,
      default_payment_method: given(wanted, old.invoice_settings.default_payment_method),
      footer: given(p.invoice_settings?.footer, old.invoice_settings.footer),
    },
    metadata: mergeMetadata(old.metadata, p.metadata),
    name: given(p.name, old.name ?? null),
    phone: given(p.phone, old.phone ?? null),
    preferred_locales: given(p.preferred_locales, old.preferred_locales ?? []),
    shipping: p.shipping === undefined
      ? old.shipping
      : p.shipping && { name: p.shipping.name, address: full(p.shipping.address) ?? EMPTY_ADDRESS },
    tax_exempt: given(p.tax_exempt, old.tax_exempt ?? "none"),
  }, "customer.updated");
}

function setDefaultMethodCheck(work: Work, customer: string, method: string): void {
  const param = "invoice_settings[default_payment_method]";
  if (work.require("payment_method", method, param).customer !== customer) {
    throw invalid(`The customer does not have a payment method with the ID ${method}.`, param, "resource_missing");
  }
}

function deleteCustomer(work: Work, id: string) {
  work.require("customer", id);
  for (const sub of work.store.all("subscription", { customer: id })) {
    if (!["canceled", "incomplete_expired"].includes(sub.status)) cancelNow(work, sub.id, "cancellation_requested");
  }
  return work.remove("customer", id, "customer.deleted");
}

const billingDetails = obj({
  address: address(),
  email: unset(str()),
  name: unset(str()),
  phone: unset(str()),
});
const methodShape = {
  type: required(oneOf("card")),
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
  if (token !== undefined) return createCardMethod(work, cardFromToken(work, token, "card[token]"), options);
  if (number === undefined || exp_month === undefined || exp_year === undefined) {
    throw invalid("Missing required param: card.", "card", "parameter_missing");
  }
  const problem = cardProblem({ number, exp_month, exp_year, cvc }, work.now());
  if (problem) throw cardError(problem, { param: problem.param });
  return createCardMethod(work, { number, exp_month, exp_year }, options);
}

export const customerRoutes: Route[] = [
  route("POST", "/v1/customers", createShape, createCustomer),
  route("POST", "/v1/customers/:id", fields, updateCustomer),
  route("DELETE", "/v1/customers/:id", {}, (work, _p, id) => deleteCustomer(work, id)),
  retrieveRoute("customer", "/v1/customers"),
  route("GET", "/v1/customers", { ...pagination, email: str(), test_clock: str() }, (work, p) => {
    // Without the filter, customers of test clocks are left out, as at Stripe.
    const filter = where({ email: p.email, test_clock: p.test_clock ?? null });
    return listPage(work, "customer", "/v1/customers", p, { where: filter });
  }),
  route("GET", "/v1/customers/:id/payment_methods", { ...pagination, type: oneOf("card") }, (work, p, id) => {
    work.require("customer", id);
    const url = `/v1/customers/${id}/payment_methods`;
    return listPage(work, "payment_method", url, p, { where: where({ customer: id, type: p.type }) });
  }),
  route("GET", "/v1/customers/:id/payment_methods/:pm", {}, (work, _p, id, method) => {
    const found = work.require("payment_method", method);
    if (found.customer !== id) throw invalid(`No such PaymentMethod: '${method}'`, "payment_method", "resource_missing");
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
      billing_details: p.billing_details ? { ...old.billing_details, ...billing(p.billing_details) } : old.billing_details,
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
  route("POST", "/v1/payment_methods/:id/detach", {}, (work, _p, id) => {
    const method = work.require("payment_method", id);
    if (method.customer === null) {
      throw invalid("The payment method you provided is not attached to a customer so detachment is impossible.", "id");
    }
    const customer = work.require("customer", method.customer);
    if (customer.invoice_settings.default_payment_method === id) {
      setDefaultMethod(work, customer.id, null, "customer.updated");
    }
    return work.change("payment_method", id, { customer: null }, "payment_method.detached");
  }),
  retrieveRoute("payment_method", "/v1/payment_methods"),
  listRoute("payment_method", "/v1/payment_methods", {
    customer: { param: str(), path: "customer" },
    type: { param: oneOf("card"), path: "type" },
  }),
];
