/** Customers and their payment methods. */
import { listPage, pagination, where } from "../engine/answer.ts";
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
import { retrieveRoute, type Route, route } from "../engine/route.ts";
import { type Customer, type EventType, newId, type PaymentMethod } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { OLD_COUPON } from "../engine/legacy.ts";
import { expireCheckout } from "../billing/checkout.ts";
import { redeem, removeDiscount } from "../billing/discounts.ts";
import { cancelNow } from "../billing/lifecycle.ts";
import { attach, cardFromToken, createCardMethod, EMPTY_ADDRESS } from "../billing/methods.ts";
import { isEnded } from "../billing/status.ts";
import { customerPlace, noLocation } from "../billing/tax.ts";
import { full } from "./payment_methods.ts";

const fields = {
  [OLD_COUPON]: unset(str()),
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
  tax: obj({
    ip_address: unset(str(45)),
    validate_location: oneOf("auto", "deferred", "immediately"),
  }),
  tax_exempt: oneOf("exempt", "none", "reverse"),
};

const createShape = {
  ...fields,
  payment_method: str(),
  tax: obj({
    ip_address: unset(str(45)),
    validate_location: oneOf("deferred", "immediately"),
  }),
  test_clock: str(),
};

type Patch = Values<typeof fields>;

export function createCustomer(work: Work, p: Values<typeof createShape>): Customer {
  if (p.test_clock !== undefined) {
    const clock = work.require("test_helpers.test_clock", p.test_clock, "test_clock");
    if (clock.status !== "ready") {
      throw invalid("The test clock is advancing; wait until it is ready.", "test_clock");
    }
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
    shipping: p.shipping
      ? { name: p.shipping.name, address: full(p.shipping.address) ?? EMPTY_ADDRESS }
      : null,
    tax_exempt: p.tax_exempt ?? "none",
    test_clock: p.test_clock ?? null,
  };
  work.create("customer", customer, { ip_address: p.tax?.ip_address ?? null }, { clock });
  const first = p.payment_method !== undefined
    ? attach(work, p.payment_method, id)
    : p.source !== undefined
    ? attachToken(work, p.source, id)
    : null;
  const wanted = p.invoice_settings?.default_payment_method;
  // The same shared test name given twice means the one method just attached.
  const chosen = wanted && wanted === p.payment_method && first
    ? first.id
    : wanted ?? (p.source ? first?.id : null);
  if (chosen) setDefaultMethod(work, id, chosen);
  discount(work, id, p[OLD_COUPON]);
  const done = work.require("customer", id);
  if (p.tax?.validate_location === "immediately") checkLocation(work, done);
  work.emit("customer.created", done);
  return done;
}

/** A legacy `source` token becomes an attached payment method that is the default; the sandbox has no sources. */
function attachToken(work: Work, token: string, customer: string): PaymentMethod {
  const method = createCardMethod(work, cardFromToken(work, token, "source"));
  return attach(work, method.id, customer, "source");
}

export function setDefaultMethod(
  work: Work,
  customerId: string,
  methodId: string | null,
  event?: EventType,
): Customer {
  const customer = work.require("customer", customerId);
  const param = "invoice_settings[default_payment_method]";
  const method = methodId === null ? null : work.require("payment_method", methodId, param);
  if (method && method.customer !== customerId) {
    throw invalid(
      `The customer does not have a payment method with the ID ${method.id}.`,
      param,
      "resource_missing",
    );
  }
  const invoice_settings = {
    ...customer.invoice_settings,
    default_payment_method: method?.id ?? null,
  };
  return work.change("customer", customerId, { invoice_settings }, event);
}

/** The discount of a customer, which only requests of older versions can set. */
function discount(work: Work, id: string, coupon: string | null | undefined): void {
  if (coupon === undefined) return;
  const old = work.require("customer", id).discount ?? null;
  if (old) removeDiscount(work, old.id);
  const made = coupon === null ? null : redeem(work, { coupon }, { customer: id }, "coupon");
  work.change("customer", id, { discount: made });
}

function updateCustomer(work: Work, p: Patch, id: string): Customer {
  discount(work, id, p[OLD_COUPON]);
  const old = work.require("customer", id);
  const source = p.source === undefined ? undefined : attachToken(work, p.source, id).id;
  const wanted = source ?? p.invoice_settings?.default_payment_method;
  if (wanted) setDefaultMethodCheck(work, id, wanted);
  if (p.tax?.ip_address !== undefined) {
    work.changeHidden("customer", id, { ip_address: p.tax.ip_address });
  }
  const done = work.change("customer", id, {
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
  const when = p.tax?.validate_location ?? "auto";
  const moved = p.address !== undefined || p.shipping !== undefined;
  if (when === "immediately" || (when === "auto" && moved && customerPlace(work, old))) {
    const isTaxed = work.store.all("subscription", { customer: id })
      .some((sub) => sub.automatic_tax.enabled && !isEnded(sub));
    if (when === "immediately" || isTaxed) checkLocation(work, done);
  }
  return done;
}

function checkLocation(work: Work, customer: Customer): void {
  if (!customerPlace(work, customer)) throw noLocation();
}

function setDefaultMethodCheck(work: Work, customer: string, method: string): void {
  const param = "invoice_settings[default_payment_method]";
  if (work.require("payment_method", method, param).customer !== customer) {
    throw invalid(
      `The customer does not have a payment method with the ID ${method}.`,
      param,
      "resource_missing",
    );
  }
}

/** Schedules that have not begun. (One that has begun ended with its subscription.) */
const open = (customer: string) => ({ customer, status: "not_started" });

function deleteCustomer(work: Work, id: string) {
  work.require("customer", id);
  for (const sub of work.store.all("subscription", { customer: id })) {
    if (!["canceled", "incomplete_expired"].includes(sub.status)) {
      cancelNow(work, sub.id, "cancellation_requested");
    }
  }
  // Nobody can pay for a customer that is gone. (Not documented by Stripe; the strict reading.)
  for (const session of work.store.all("checkout.session", { customer: id, status: "open" })) {
    expireCheckout(work, session.id);
  }
  for (const { id: schedule } of work.store.all("subscription_schedule", open(id))) {
    const done = { canceled_at: work.now(work.clockOf(id)), status: "canceled" } as const;
    work.change("subscription_schedule", schedule, done, "subscription_schedule.canceled");
  }
  return work.remove("customer", id, "customer.deleted");
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
];
