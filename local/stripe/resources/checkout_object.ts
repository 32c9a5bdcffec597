/** The Checkout session as an object. */
import { mergeMetadata } from "../engine/params.ts";
import type { CheckoutSession } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";
import { bankTypeFor } from "../billing/bank_debits.ts";
import type { Create } from "./checkout.ts";

interface Made {
  id: string;
  now: number;
  expires_at: number;
  customer: string | null;
  email: string | null;
  currency: string | null;
  subtotal: number | null;
  total: number | null;
  discount: number;
  discounts: NonNullable<CheckoutSession["discounts"]>;
}

/** What the page offers: a card, and for a payment the currency's bank debit. */
function methodTypes(mode: Create["mode"], currency: string | null): string[] {
  const bank = mode === "payment" ? bankTypeFor(currency) : null;
  return bank ? ["card", bank] : ["card"];
}

export function newSession(work: Work, p: Create, made: Made): CheckoutSession {
  return {
    id: made.id,
    object: "checkout.session",
    adaptive_pricing: null,
    after_expiration: null,
    allow_promotion_codes: p.allow_promotion_codes ?? null,
    allowed_payment_method_types: null,
    amount_subtotal: made.subtotal,
    amount_total: made.total,
    automatic_tax: p.automatic_tax?.enabled
      ? { enabled: true, liability: { type: "self" }, provider: "stripe", status: null }
      : { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: p.billing_address_collection ?? null,
    cancel_url: p.cancel_url ?? null,
    client_reference_id: p.client_reference_id ?? null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: made.now,
    currency: made.currency,
    currency_conversion: null,
    custom_fields: [],
    custom_text: {
      after_submit: null,
      shipping_address: null,
      submit: null,
      terms_of_service_acceptance: null,
    },
    customer: made.customer,
    customer_account: null,
    customer_creation: made.customer !== null
      ? null
      : p.customer_creation ?? (p.mode === "payment" ? "if_required" : "always"),
    customer_details: made.email === null ? null : {
      address: null,
      business_name: null,
      email: made.email,
      individual_name: null,
      name: null,
      phone: null,
      tax_exempt: "none",
      tax_ids: null,
    },
    customer_email: p.customer_email ?? null,
    discounts: made.discounts,
    expires_at: made.expires_at,
    integration_identifier: null,
    invoice: null,
    invoice_creation: p.mode === "payment"
      ? {
        enabled: false,
        invoice_data: {
          account_tax_ids: null,
          custom_fields: null,
          description: null,
          footer: null,
          issuer: null,
          metadata: {},
          rendering_options: null,
        },
      }
      : null,
    livemode: false,
    locale: p.locale ?? null,
    managed_payments: null,
    metadata: mergeMetadata({}, p.metadata),
    mode: p.mode,
    origin_context: null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: p.mode === "subscription" ? "always" : "if_required",
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: methodTypes(p.mode, made.currency),
    payment_status: made.total === 0 || made.total === null ? "no_payment_required" : "unpaid",
    permissions: null,
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: "open",
    submit_type: p.submit_type ?? null,
    subscription: null,
    success_url: p.success_url ?? null,
    total_details: made.total === null
      ? null
      : { amount_discount: made.discount, amount_shipping: 0, amount_tax: 0 },
    ui_mode: "hosted_page",
    url: `${work.settings.publicUrl}/c/pay/${made.id}`,
    wallet_options: null,
  };
}
