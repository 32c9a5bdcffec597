/** Where an object can be fetched, as a thin event says it. */
import type { Account, AlertTriggered, Kind, Objects, RelatedObject } from "./types.ts";

const PATHS: Partial<Record<string, string>> = {
  "account": "/v1/accounts",
  "application_fee": "/v1/application_fees",
  "payout": "/v1/payouts",
  "transfer": "/v1/transfers",
  "v2.core.account": "/v2/core/accounts",
  "billing.credit_balance_transaction": "/v1/billing/credit_balance_transactions",
  "billing.credit_grant": "/v1/billing/credit_grants",
  "billing.meter": "/v1/billing/meters",
  "billing_portal.configuration": "/v1/billing_portal/configurations",
  "charge": "/v1/charges",
  "checkout.session": "/v1/checkout/sessions",
  "coupon": "/v1/coupons",
  "customer": "/v1/customers",
  "dispute": "/v1/disputes",
  "invoice": "/v1/invoices",
  "invoice_payment": "/v1/invoice_payments",
  "invoiceitem": "/v1/invoiceitems",
  "payment_intent": "/v1/payment_intents",
  "payment_method": "/v1/payment_methods",
  "price": "/v1/prices",
  "product": "/v1/products",
  "promotion_code": "/v1/promotion_codes",
  "refund": "/v1/refunds",
  "setup_intent": "/v1/setup_intents",
  "subscription": "/v1/subscriptions",
  "subscription_schedule": "/v1/subscription_schedules",
  "test_helpers.test_clock": "/v1/test_helpers/test_clocks",
  "v2.core.event_destination": "/v2/core/event_destinations",
};

/** Undefined for what has no address of its own. */
export function relatedTo(
  object: Objects[Kind] | AlertTriggered | Account,
): RelatedObject | undefined {
  const path = PATHS[object.object];
  if (path === undefined || !("id" in object)) return undefined;
  return { id: object.id, type: object.object, url: `${path}/${object.id}` };
}
