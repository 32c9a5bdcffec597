/** Checkout sessions, and the internal `payment_pages` endpoints the CLI's fixtures drive. */
import { arrayPage, pagination } from "../engine/answer.ts";
import { invalid } from "../engine/errors.ts";
import {
  arr,
  bool,
  currency,
  decimal,
  int,
  mergeMetadata,
  metadata,
  obj,
  oneOf,
  required,
  str,
  time,
  url,
  type Values,
} from "../engine/params.ts";
import { listRoute, retrieveRoute, type Route, route } from "../engine/route.ts";
import {
  type CheckoutHidden,
  type CheckoutSession,
  type Customer,
  newId,
  type Price,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isMetered, optionOf, wrongCurrency } from "../billing/amounts.ts";
import { expireCheckout, openSession, payCheckout } from "../billing/checkout.ts";
import { dueNow, lineItems, pricedLines, reckon } from "../billing/checkout_lines.ts";
import { couponOf } from "../billing/discounts.ts";
import { checkQuantity, currencyOf } from "../billing/subscriptions.ts";
import { cardError, resolveMethod } from "../billing/methods.ts";
import { checkTaxReady, customerPlace, noLocation } from "../billing/tax.ts";
import { createPrice } from "./prices.ts";
import { checkPercents, connectPercents, percentFields } from "./subscription_connect.ts";
import { checkConnect } from "../billing/destinations.ts";
import { newSession } from "./checkout_object.ts";
import { connectShape, shippingOf, shippingParam } from "./intents.ts";
import { automatic_tax } from "./tax.ts";

const HOUR = 3600;

/** The locales Checkout and the portal share; the sandbox's pages speak English whichever is asked for. */
export const LOCALES = [
  "auto",
  "da",
  "de",
  "en",
  "en-GB",
  "es",
  "fi",
  "fr",
  "it",
  "ja",
  "nb",
  "nl",
  "pl",
  "pt",
  "pt-BR",
  "sv",
  "zh",
] as const;

const line = obj({
  price: str(),
  price_data: obj({
    currency: required(currency()),
    product: str(),
    product_data: obj({
      name: required(str()),
      description: str(),
      metadata: metadata(),
    }),
    recurring: obj({
      interval: required(oneOf("day", "week", "month", "year")),
      interval_count: int(1, 36),
    }),
    tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
    unit_amount: int(0),
    unit_amount_decimal: decimal(),
  }),
  quantity: int(0, 999_999),
});

const createShape = {
  allow_promotion_codes: bool(),
  automatic_tax,
  billing_address_collection: oneOf("auto", "required"),
  cancel_url: url(),
  client_reference_id: str(200),
  currency: currency(),
  customer: str(),
  customer_creation: oneOf("always", "if_required"),
  customer_email: str(800),
  customer_update: obj({
    address: oneOf("auto", "never"),
    name: oneOf("auto", "never"),
    shipping: oneOf("never"),
  }),
  discounts: arr(obj({ coupon: str(), promotion_code: str() })),
  expires_at: time(),
  line_items: arr(line),
  locale: oneOf(...LOCALES),
  metadata: metadata(),
  mode: required(oneOf("payment", "setup", "subscription")),
  payment_intent_data: obj({
    description: str(1000),
    metadata: metadata(),
    receipt_email: str(),
    setup_future_usage: oneOf("off_session", "on_session"),
    shipping: shippingParam(),
    ...connectShape,
    transfer_group: str(),
  }),
  payment_method_collection: oneOf("always"),
  subscription_data: obj({
    ...connectPercents,
    description: str(500),
    metadata: metadata(),
    trial_end: time(),
    trial_period_days: int(1, 730),
    trial_settings: obj({
      end_behavior: required(
        obj({ missing_payment_method: required(oneOf("cancel", "create_invoice", "pause")) }),
      ),
    }),
  }),
  submit_type: oneOf("auto", "book", "donate", "pay", "subscribe"),
  success_url: url(),
  ui_mode: oneOf("hosted_page"),
};

export type Create = Values<typeof createShape>;

function create(work: Work, p: Create): CheckoutSession {
  checkModes(p);
  const customer = p.customer === undefined
    ? null
    : work.require("customer", p.customer, "customer");
  const lines = (p.line_items ?? []).map((item, i) => readLine(work, item, i, p.mode));
  checkLines(p, lines.map((each) => each.price));
  const now = work.now();
  const expires_at = p.expires_at ?? now + 24 * HOUR;
  if (expires_at < now + HOUR / 2 || expires_at > now + 24 * HOUR) {
    throw invalid(
      "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
      "expires_at",
    );
  }
  const id = newId("cs_test_", 58);
  const hidden: CheckoutHidden = {
    lines: lines.map((each) => ({
      id: newId("li_"),
      price: each.price.id,
      ...(each.quantity === undefined ? {} : { quantity: each.quantity }),
    })),
    subscription: p.mode !== "subscription" ? null : {
      ...percentFields(p.subscription_data ?? {}),
      description: p.subscription_data?.description ?? null,
      metadata: mergeMetadata({}, p.subscription_data?.metadata),
      missing_payment_method:
        p.subscription_data?.trial_settings?.end_behavior.missing_payment_method ??
          "create_invoice",
      trial_end: p.subscription_data?.trial_end ?? null,
      trial_period_days: p.subscription_data?.trial_period_days ?? null,
    },
    payment: p.mode !== "payment" ? null : {
      description: p.payment_intent_data?.description ?? null,
      metadata: mergeMetadata({}, p.payment_intent_data?.metadata),
      receipt_email: p.payment_intent_data?.receipt_email ?? null,
      setup_future_usage: p.payment_intent_data?.setup_future_usage ?? null,
      shipping: shippingOf(p.payment_intent_data?.shipping),
      connect: {
        application_fee_amount: p.payment_intent_data?.application_fee_amount ?? null,
        transfer_data: p.payment_intent_data?.transfer_data ?? null,
        transfer_group: p.payment_intent_data?.transfer_group ?? null,
      },
    },
    ...(p.automatic_tax?.enabled ? { tax: taxOf(p, customer) } : {}),
    waiting: null,
  };
  const isTrial = hidden.subscription?.trial_end != null ||
    hidden.subscription?.trial_period_days != null;
  const prices = lines.map((each) => each.price);
  const currency = p.mode === "setup"
    ? p.currency ?? null
    : currencyOf(work, customer, prices, p.currency) ?? null;
  for (const [i, price] of prices.entries()) {
    if (currency !== null && !optionOf(work, price, currency)) {
      throw wrongCurrency(price, currency, `line_items[${i}][price]`);
    }
  }
  if (p.automatic_tax?.enabled) checkTax(work, p, customer, prices, currency ?? "");
  const [discount] = p.discounts ?? [];
  const detailed = lines.map((each) => ({ ...each, id: "" }));
  if (discount) {
    const { total } = dueNow(pricedLines(work, detailed, currency ?? "", null, false), false);
    const target = {
      customer: customer?.id ?? null,
      currency: currency ?? undefined,
      amount: total,
    };
    couponOf(work, discount, target, "discounts[0]");
  }
  const priced = pricedLines(work, detailed, currency ?? "", discount ?? null, isTrial);
  const due = dueNow(priced, isTrial);
  if (p.mode === "payment") {
    const at = (name: string) => `payment_intent_data[${name}]`;
    checkConnect(work, p.payment_intent_data ?? {}, due.total, at);
  }
  if (p.mode === "subscription") {
    checkPercents(work, p.subscription_data ?? {}, (name) => `subscription_data[${name}]`);
  }
  const session = newSession(work, p, {
    id,
    now,
    expires_at,
    customer: customer?.id ?? null,
    email: customer?.email ?? p.customer_email ?? null,
    currency,
    subtotal: p.mode === "setup" ? null : due.subtotal,
    total: p.mode === "setup" ? null : due.total,
    discount: due.discount,
    discounts: discount
      ? [{ coupon: discount.coupon ?? null, promotion_code: discount.promotion_code ?? null }]
      : [],
  });
  // Sessions live in real time even for a customer with a test clock, so that a page can be opened after advancing it.
  const made = work.create("checkout.session", session, hidden);
  return made.automatic_tax.enabled ? reckon(work, made) : made;
}

/** The page asks for the address unless the customer's own is to be used. */
function taxOf(p: Create, customer: Customer | null): NonNullable<CheckoutHidden["tax"]> {
  const saves = customer === null || p.customer_update?.address === "auto";
  return { collects: saves, saves, address: null };
}

function checkTax(
  work: Work,
  p: Create,
  customer: Customer | null,
  prices: readonly Price[],
  currency: string,
): void {
  checkTaxReady(work, prices, currency);
  const asks = customer === null || p.customer_update?.address === "auto";
  if (asks || customerPlace(work, customer)) return;
  throw noLocation(
    "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the " +
      "Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to save " +
      "the address entered in Checkout to the Customer.",
  );
}

function checkModes(p: Create): void {
  const exclusive = (a: string, b: string) =>
    invalid(`You may only specify one of these parameters: ${a}, ${b}.`, a, "parameters_exclusive");
  if (p.customer !== undefined && p.customer_email !== undefined) {
    throw exclusive("customer", "customer_email");
  }
  if (p.customer !== undefined && p.customer_creation !== undefined) {
    throw exclusive("customer", "customer_creation");
  }
  if (p.customer_update && p.customer === undefined) {
    throw invalid("`customer_update` can only be used with `customer`.", "customer_update");
  }
  if (p.success_url === undefined) {
    throw invalid("Missing required param: success_url.", "success_url", "parameter_missing");
  }
  if (p.discounts && p.allow_promotion_codes !== undefined) {
    throw exclusive("allow_promotion_codes", "discounts");
  }
  if (p.discounts && p.discounts.length > 1) {
    throw invalid("You can pass at most one discount.", "discounts");
  }
  const wrongMode = (param: string, mode: string) =>
    invalid(`You can not pass \`${param}\` in \`${mode}\` mode.`, param);
  if (p.subscription_data && p.mode !== "subscription") {
    throw wrongMode("subscription_data", p.mode);
  }
  if (p.payment_intent_data && p.mode !== "payment") throw wrongMode("payment_intent_data", p.mode);
  if (p.customer_creation && p.mode === "subscription") {
    throw wrongMode("customer_creation", p.mode);
  }
  if (p.mode === "setup" && p.automatic_tax?.enabled) throw wrongMode("automatic_tax", p.mode);
  if (p.mode === "setup" && p.discounts) throw wrongMode("discounts", p.mode);
  if (p.mode === "setup" && p.line_items) throw wrongMode("line_items", p.mode);
  const { trial_end, trial_period_days } = p.subscription_data ?? {};
  if (trial_end !== undefined && trial_period_days !== undefined) {
    throw exclusive("subscription_data[trial_end]", "subscription_data[trial_period_days]");
  }
}

function readLine(
  work: Work,
  item: NonNullable<Create["line_items"]>[number],
  i: number,
  mode: string,
) {
  const at = `line_items[${i}]`;
  if (item.price !== undefined && item.price_data) {
    throw invalid(
      `You may only specify one of these parameters: ${at}[price], ${at}[price_data].`,
      at,
      "parameters_exclusive",
    );
  }
  if (item.price === undefined && !item.price_data) {
    throw invalid(`Missing required param: ${at}[price].`, `${at}[price]`, "parameter_missing");
  }
  const price = item.price_data
    ? createPrice(work, item.price_data)
    : work.require("price", item.price ?? "", `${at}[price]`);
  if (!price.active) {
    throw invalid(
      "The price specified is inactive. This field only accepts active prices.",
      `${at}[price]`,
    );
  }
  if (mode === "payment" && price.type === "recurring") {
    throw invalid(
      "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
      `${at}[price]`,
    );
  }
  checkQuantity(price, item.quantity, at);
  if (item.quantity === undefined && !isMetered(price)) {
    throw invalid(
      `Quantity is required. Add \`quantity\` to \`${at}\``,
      `${at}[quantity]`,
      "parameter_missing",
    );
  }
  return { price, quantity: item.quantity };
}

function checkLines(p: Create, prices: Price[]): void {
  if (p.mode === "setup") return;
  if (prices.length === 0) {
    throw invalid("Missing required param: line_items.", "line_items", "parameter_missing");
  }
  if (p.mode === "subscription" && !prices.some((price) => price.type === "recurring")) {
    throw invalid(
      "You must provide at least one recurring price in `subscription` mode when using prices.",
      "line_items",
    );
  }
}

const confirmShape = { payment_method: required(str()), expected_amount: int(0), email: str() };

function confirm(work: Work, p: Values<typeof confirmShape>, id: string): CheckoutSession {
  const session = openSession(work, id);
  if (p.expected_amount !== undefined && p.expected_amount !== (session.amount_total ?? 0)) {
    throw invalid("The amount of the Checkout Session is not the expected one.", "expected_amount");
  }
  const method = resolveMethod(work, p.payment_method, "payment_method");
  const outcome = payCheckout(work, id, { method, email: p.email ?? method.billing_details.email });
  if (outcome.outcome === "declined") throw cardError(outcome, {}, true);
  return work.require("checkout.session", id);
}

const page = { limit: pagination.limit, starting_after: str(), ending_before: str() };

export const checkoutRoutes: Route[] = [
  route("POST", "/v1/checkout/sessions", createShape, create),
  route("POST", "/v1/checkout/sessions/:id", { metadata: metadata() }, (work, p, id) => {
    const old = work.require("checkout.session", id);
    return work.change("checkout.session", id, {
      metadata: mergeMetadata(old.metadata, p.metadata),
    });
  }),
  route("POST", "/v1/checkout/sessions/:id/expire", {}, (work, _p, id) => expireCheckout(work, id)),
  retrieveRoute("checkout.session", "/v1/checkout/sessions"),
  listRoute("checkout.session", "/v1/checkout/sessions", {
    customer: { param: str(), path: "customer" },
    payment_intent: { param: str(), path: "payment_intent" },
    status: { param: oneOf("complete", "expired", "open"), path: "status" },
    subscription: { param: str(), path: "subscription" },
  }),
  route("GET", "/v1/checkout/sessions/:id/line_items", page, (work, p, id) => {
    work.require("checkout.session", id);
    return arrayPage(lineItems(work, id), `/v1/checkout/sessions/${id}/line_items`, p);
  }),
  route("GET", "/v1/payment_pages/:id", {}, (work, _p, id) => work.require("checkout.session", id)),
  route("POST", "/v1/payment_pages/:id/confirm", confirmShape, confirm),
];
