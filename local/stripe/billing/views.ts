/** What the hosted pages show: flat, ready for a template, nothing to look up. */
import { bankTypeFor } from "./bank_debits.ts";
import type {
  CardView,
  CheckoutView,
  InvoiceView,
  PortalFlowView,
  PortalInvoiceView,
  PortalSubscriptionView,
  PortalView,
  PriceView,
} from "../hosted.ts";
import type {
  CheckoutSession,
  Invoice,
  PaymentMethod,
  PortalSession,
  Price,
  Subscription,
} from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { isTrial, lastingDiscount, type PricedLine, sessionLines } from "./checkout_lines.ts";
import { periodEnd } from "./due.ts";
import { isMetered, optionOf } from "./amounts.ts";
import { productName } from "./lines.ts";
import { isEnded } from "./status.ts";
import { sumTaxes, taxName } from "./tax.ts";
import { countryNames } from "./tax_rates.ts";

/** In `currency` where the price has it. */
export function priceView(work: Work, price: Price, currency = price.currency): PriceView {
  const option = optionOf(work, price, currency);
  const product = work.find("product", price.product);
  const interval = price.recurring?.interval;
  return {
    id: price.id,
    lookup_key: price.lookup_key,
    product: price.product,
    product_name: productName(work, price),
    product_description: product?.description ?? null,
    currency: option ? currency : price.currency,
    unit_amount: Number((option ?? price).unit_amount_decimal ?? 0),
    interval:
      interval === "day" || interval === "week" || interval === "month" || interval === "year"
        ? interval
        : null,
    interval_count: price.recurring?.interval_count ?? 1,
  };
}

export function cardView(method: PaymentMethod, defaultId: string | null): CardView {
  return {
    id: method.id,
    brand: method.card?.brand ?? "card",
    last4: method.card?.last4 ?? "????",
    exp_month: method.card?.exp_month ?? 0,
    exp_year: method.card?.exp_year ?? 0,
    is_default: method.id === defaultId,
  };
}

function cardsOf(work: Work, customerId: string | null): CardView[] {
  const customer = customerId ? work.find("customer", customerId) : null;
  if (!customer) return [];
  const chosen = customer.invoice_settings.default_payment_method;
  return work.store.all("payment_method", { customer: customer.id }).map((method) =>
    cardView(method, chosen)
  ).reverse();
}

export function checkoutView(work: Work, session: CheckoutSession): CheckoutView {
  const hidden = work.hidden("checkout.session", session.id);
  const priced = sessionLines(work, session);
  const lines = priced.map(({ id, price, quantity = 1, amount }) => {
    const view = priceView(work, price, session.currency ?? price.currency);
    return {
      description: view.product_name,
      quantity,
      // In tiers there is no one price of a unit: what one comes to.
      unit_amount: price.billing_scheme === "tiered" && !isMetered(price)
        ? Math.round(amount / Math.max(1, quantity))
        : view.unit_amount,
      amount,
      is_metered: isMetered(price),
      interval: view.interval,
      interval_count: view.interval_count,
      lasting_discount: lastingDiscount(work, session, id),
    };
  });
  const customer = session.customer ? work.find("customer", session.customer) : null;
  const email = customer?.email ?? session.customer_email ?? null;
  const { mode, status } = session;
  const discounts = discountViews(work, session);
  return {
    id: session.id,
    mode: mode === "payment" || mode === "setup" ? mode : "subscription",
    status: status === "complete" || status === "expired" ? status : "open",
    merchant_name: work.settings.merchantName,
    currency: session.currency,
    lines,
    amount_subtotal: lines.reduce((sum, line) => sum + line.amount, 0),
    amount_discount: session.total_details?.amount_discount ?? 0,
    amount_total: session.amount_total ?? 0,
    taxes: taxViews(work, session, priced),
    collects_address: hidden.tax?.collects ?? false,
    bank_debit: session.mode === "payment" ? bankTypeFor(session.currency) : null,
    countries: hidden.tax?.collects ? countryNames() : [],
    address: hidden.tax?.address ??
      (customer?.address?.country
        ? { country: customer.address.country, postal_code: customer.address.postal_code }
        : null),
    allow_promotion_codes: session.allow_promotion_codes ?? false,
    promotion_code: discounts[0]?.code ?? null,
    discounts,
    trial_period_days: hidden.subscription?.trial_period_days ?? null,
    email,
    email_is_editable: email === null,
    customer_name: customer?.name ?? null,
    saved_cards: cardsOf(work, session.customer),
    awaiting_authentication: hidden.waiting !== null,
    success_url: session.success_url,
    cancel_url: session.cancel_url,
    expires_at: session.expires_at,
  };
}

function taxViews(
  work: Work,
  session: CheckoutSession,
  lines: readonly PricedLine[],
): CheckoutView["taxes"] {
  if (session.automatic_tax.status === "requires_location_inputs") return null;
  const trial = isTrial(work, session.id);
  const today = lines.filter(({ price }) => !(trial && price.type === "recurring"));
  return sumTaxes(today.flatMap(({ tax }) => tax ? [tax] : [])).map((tax) => ({
    name: taxName(tax),
    amount: tax.amount,
    inclusive: tax.tax_behavior === "inclusive",
  }));
}

function discountViews(work: Work, session: CheckoutSession): CheckoutView["discounts"] {
  return (session.discounts ?? []).map(({ coupon, promotion_code }) => {
    const code = promotion_code ? work.find("promotion_code", promotion_code) : null;
    const id = code?.promotion.coupon ?? coupon ?? "";
    const terms = work.find("coupon", id);
    const percent = terms?.percent_off;
    return {
      name: terms?.name ?? (percent ? `${percent}% off` : "Discount"),
      code: code?.code ?? null,
      amount: session.total_details?.amount_discount ?? 0,
    };
  });
}

/** Prices the portal lets a subscription change to: those the configuration lists, or every active recurring one. */
export function allowedPrices(work: Work, session: PortalSession): Price[] {
  const { configuration } = session;
  // A data folder of an older version has them in the object itself.
  const products = work.hidden("billing_portal.configuration", configuration).products ??
    work.require("billing_portal.configuration", configuration).features.subscription_update
      .products;
  const listed = products?.flatMap((product) => product.prices) ?? null;
  return work.store.all("price", { active: 1, type: "recurring" })
    .filter((price) => listed === null || listed.length === 0 || listed.includes(price.id))
    // The portal does not offer prices by usage.
    .filter((price) => !isMetered(price) && work.find("product", price.product)?.active);
}

function subscriptionView(work: Work, sub: Subscription): PortalSubscriptionView {
  const item = sub.items.data.find((each) => !isMetered(each.price)) ?? sub.items.data[0];
  const customer = work.find("customer", sub.customer);
  const methodId = sub.default_payment_method ??
    customer?.invoice_settings.default_payment_method ?? null;
  const method = methodId ? work.find("payment_method", methodId) : null;
  return {
    id: sub.id,
    status: sub.status,
    price: item ? priceView(work, item.price, sub.currency) : null,
    quantity: item?.quantity ?? 1,
    current_period_end: item ? periodEnd(sub) : null,
    trial_end: sub.trial_end,
    cancel_at: sub.cancel_at,
    cancel_at_period_end: sub.cancel_at_period_end,
    ends_at: sub.cancel_at ?? (sub.cancel_at_period_end ? periodEnd(sub) : null),
    default_card: method ? cardView(method, methodId) : null,
  };
}

function invoiceRow(invoice: Invoice): PortalInvoiceView {
  return {
    id: invoice.id,
    number: invoice.number,
    status: invoice.status,
    created: invoice.created,
    currency: invoice.currency,
    total: invoice.total,
    amount_due: invoice.amount_due,
    description: invoice.lines.data[0]?.description ?? invoice.description ?? "",
    hosted_invoice_url: invoice.hosted_invoice_url ?? null,
  };
}

function flowView(session: PortalSession): PortalFlowView | null {
  const flow = session.flow;
  if (!flow) return null;
  const { type, after_completion: after } = flow;
  const confirm = flow.subscription_update_confirm?.items[0];
  const known = type === "subscription_cancel" || type === "subscription_update" ||
    type === "subscription_update_confirm";
  return {
    type: known ? type : "payment_method_update",
    subscription: flow.subscription_cancel?.subscription ??
      flow.subscription_update?.subscription ??
      flow.subscription_update_confirm?.subscription ?? null,
    price: confirm?.price ?? null,
    quantity: confirm?.quantity ?? null,
    after_completion: {
      type: after.type,
      redirect: after.redirect?.return_url ?? null,
      message: after.hosted_confirmation?.custom_message ?? null,
    },
  };
}

export function portalView(work: Work, session: PortalSession): PortalView {
  const { features, business_profile } = work.require(
    "billing_portal.configuration",
    session.configuration,
  );
  const customer = work.require("customer", session.customer);
  const live = work.store.all("subscription", { customer: customer.id }).filter((sub) =>
    !isEnded(sub)
  );
  const shown = work.store.all("invoice", { customer: customer.id }).filter((invoice) =>
    invoice.status !== "draft"
  );
  const cancel = features.subscription_cancel;
  return {
    id: session.id,
    merchant_name: work.settings.merchantName,
    headline: business_profile.headline,
    return_url: session.return_url,
    customer: { id: customer.id, email: customer.email, name: customer.name ?? null },
    subscriptions: live.map((sub) => subscriptionView(work, sub)).reverse(),
    prices: allowedPrices(work, session).map((price) =>
      priceView(work, price, live[0]?.currency ?? price.currency)
    ),
    payment_methods: cardsOf(work, customer.id),
    invoices: features.invoice_history.enabled ? shown.map(invoiceRow).reverse() : [],
    features: {
      invoice_history: features.invoice_history.enabled,
      payment_method_update: features.payment_method_update.enabled,
      subscription_cancel: cancel.enabled,
      cancel_mode: cancel.mode === "immediately" ? "immediately" : "at_period_end",
      cancellation_reasons: cancel.cancellation_reason.enabled
        ? cancel.cancellation_reason.options
        : [],
      subscription_update: features.subscription_update.enabled,
      promotion_code: features.subscription_update.default_allowed_updates.includes(
        "promotion_code",
      ),
    },
    flow: flowView(session),
    awaiting_authentication: work.hidden("billing_portal.session", session.id).waiting !== null,
  };
}

export function invoiceView(work: Work, invoice: Invoice): InvoiceView {
  const { payment_intent } = work.hidden("invoice", invoice.id);
  const intent = payment_intent ? work.find("payment_intent", payment_intent) : null;
  return {
    id: invoice.id,
    number: invoice.number,
    status: invoice.status,
    merchant_name: work.settings.merchantName,
    customer_name: invoice.customer_name,
    customer_email: invoice.customer_email,
    created: invoice.created,
    period_start: invoice.period_start,
    period_end: invoice.period_end,
    currency: invoice.currency,
    lines: invoice.lines.data.map((line) => ({
      description: line.description ?? "",
      quantity: line.quantity ?? 1,
      amount: line.amount,
      period_start: line.period.start,
      period_end: line.period.end,
    })),
    subtotal: invoice.subtotal,
    discount: (invoice.total_discount_amounts ?? []).reduce((sum, each) => sum + each.amount, 0),
    taxes: (invoice.total_taxes ?? []).map((tax) => ({
      name: taxName(tax),
      amount: tax.amount,
      inclusive: tax.tax_behavior === "inclusive",
    })),
    total: invoice.total,
    amount_paid: invoice.amount_paid,
    amount_remaining: invoice.amount_remaining,
    awaiting_authentication: invoice.status === "open" && intent?.status === "requires_action",
  };
}
