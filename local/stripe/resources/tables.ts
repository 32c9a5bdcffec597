/** What `expand[]` may do, per kind of object, and every route of the API. */
import type { Rendering } from "../engine/answer.ts";
import { listOf } from "../engine/answer.ts";
import type { Route } from "../engine/route.ts";
import { lineItems } from "../billing/checkout_lines.ts";
import { accountRoutes } from "./accounts_v1.ts";
import { accountLinkRoutes } from "./account_links.ts";
import { accountV2Routes } from "./accounts_v2.ts";
import { balanceRoutes } from "./balance.ts";
import { moneyRoutes } from "./transfers.ts";
import { alertRoutes } from "./alerts.ts";
import { customerTax } from "../billing/tax.ts";
import { catalogueRoutes } from "./catalogue.ts";
import { entitlementRoutes } from "./entitlements.ts";
import { disputeRoutes } from "./disputes.ts";
import { v2CoreRoutes } from "./event_destinations.ts";
import { meterEventRoutes } from "./meter_events.ts";
import { meterRoutes } from "./meters.ts";
import { checkoutRoutes } from "./checkout.ts";
import { creditRoutes } from "./credits.ts";
import { couponRoutes } from "./coupons.ts";
import { customerRoutes } from "./customers.ts";
import { paymentMethodRoutes } from "./payment_methods.ts";
import { portalConfigurationRoutes } from "./portal_configurations.ts";
import { refundRoutes } from "./refunds.ts";
import { scheduleRoutes } from "./schedules.ts";
import { setupIntentRoutes } from "./setup_intents.ts";
import { subscriptionItemRoutes } from "./subscription_items.ts";
import { intentRoutes } from "./intents.ts";
import { previewRoutes } from "./invoice_preview.ts";
import { invoiceRoutes } from "./invoices.ts";
import { portalRoutes } from "./portal.ts";
import { subscriptionRoutes } from "./subscriptions.ts";
import { systemRoutes } from "./system.ts";
import { taxRoutes } from "./tax.ts";

export const routes: readonly Route[] = [
  // Before the products: a longer path of theirs is here.
  ...entitlementRoutes,
  ...catalogueRoutes,
  ...accountRoutes,
  ...accountV2Routes,
  ...accountLinkRoutes,
  ...balanceRoutes,
  ...moneyRoutes,
  // Before the customers: a longer path of theirs is here.
  ...couponRoutes,
  ...customerRoutes,
  ...paymentMethodRoutes,
  ...intentRoutes,
  ...setupIntentRoutes,
  ...refundRoutes,
  ...disputeRoutes,
  ...previewRoutes,
  ...invoiceRoutes,
  ...subscriptionRoutes,
  ...subscriptionItemRoutes,
  ...scheduleRoutes,
  ...checkoutRoutes,
  ...portalConfigurationRoutes,
  ...portalRoutes,
  ...taxRoutes,
  ...systemRoutes,
  ...v2CoreRoutes,
  ...meterRoutes,
  ...meterEventRoutes,
  ...alertRoutes,
  ...creditRoutes,
];

export const rendering: Rendering = {
  expandable: {
    "billing.alert": ["usage_threshold.filters.customer", "usage_threshold.meter"],
    "billing.credit_balance_summary": ["customer"],
    "billing.credit_balance_transaction": [
      "credit.credits_application_invoice_voided.invoice",
      "credit_grant",
      "debit.credits_applied.invoice",
      "test_clock",
    ],
    "billing.credit_grant": ["customer", "test_clock"],
    "billing_portal.session": ["configuration"],
    "application_fee": ["balance_transaction", "charge", "originating_transaction"],
    "balance_transaction": ["source"],
    "charge": [
      "application_fee",
      "balance_transaction",
      "customer",
      "payment_intent",
      "source_transfer",
      "transfer",
    ],
    "checkout.session": [
      "customer",
      "discounts.coupon",
      "discounts.promotion_code",
      "invoice",
      "payment_intent",
      "setup_intent",
      "subscription",
    ],
    "dispute": ["charge", "payment_intent"],
    "discount": ["customer", "promotion_code", "source.coupon"],
    "promotion_code": ["customer", "promotion.coupon"],
    "customer": ["default_source", "invoice_settings.default_payment_method", "test_clock"],
    "invoice": [
      "customer",
      "default_payment_method",
      "discounts",
      "parent.subscription_details.subscription",
      "test_clock",
      "total_pretax_credit_amounts.credit_balance_transaction",
      "total_pretax_credit_amounts.discount",
    ],
    "invoice_payment": ["invoice", "payment.payment_intent", "payment.charge"],
    "invoiceitem": ["customer", "invoice", "pricing.price_details.price", "test_clock"],
    "line_item": [
      "pretax_credit_amounts.credit_balance_transaction",
      "pretax_credit_amounts.discount",
      "pricing.price_details.price",
      "subscription",
    ],
    "payment_intent": ["customer", "latest_charge", "payment_method"],
    "payment_method": ["customer"],
    "plan": ["product"],
    "price": ["product"],
    "product": ["default_price"],
    "fee_refund": ["balance_transaction", "fee"],
    "payout": ["balance_transaction", "failure_balance_transaction"],
    "refund": [
      "balance_transaction",
      "charge",
      "customer",
      "failure_balance_transaction",
      "payment_intent",
      "payment_method",
      "source_transfer_reversal",
      "transfer_reversal",
    ],
    "setup_intent": ["customer", "payment_method"],
    "subscription": [
      "customer",
      "default_payment_method",
      "discounts",
      "latest_invoice",
      "pending_setup_intent",
      "schedule",
      "test_clock",
    ],
    "transfer": ["balance_transaction", "destination_payment", "source_transaction"],
    "transfer_reversal": [
      "balance_transaction",
      "destination_payment_refund",
      "source_refund",
      "transfer",
    ],
    "subscription_schedule": [
      "customer",
      "default_settings.default_payment_method",
      "phases.items.price",
      "phases.items.plan",
      "released_subscription",
      "subscription",
      "test_clock",
    ],
  },
  includable: {
    "billing_portal.configuration": {
      "features.subscription_update.products": (work, id) =>
        work.hidden("billing_portal.configuration", id).products ?? null,
    },
    "coupon": {
      applies_to: (work, id) => ({ products: work.hidden("coupon", id).products ?? [] }),
      currency_options: (work, id) => work.hidden("coupon", id).currency_options ?? {},
    },
    "price": {
      currency_options: (work, id) => work.hidden("price", id).currency_options ?? {},
      tiers: (work, id) => work.hidden("price", id).tiers ?? [],
    },
    "checkout.session": {
      line_items: (work, id) =>
        listOf(lineItems(work, id), `/v1/checkout/sessions/${id}/line_items`),
    },
    "charge": {
      refunds: (work, id) =>
        listOf(work.store.all("refund", { charge: id }).reverse(), `/v1/charges/${id}/refunds`),
    },
    "customer": {
      sources: (_work, id) => listOf([], `/v1/customers/${id}/sources`),
      subscriptions: (work, id) => {
        const live = work.store.all("subscription", { customer: id })
          .filter((sub) => !["canceled", "incomplete_expired"].includes(sub.status));
        return listOf(live.reverse(), `/v1/customers/${id}/subscriptions`);
      },
      tax: (work, id) => customerTax(work, id),
      tax_ids: (_work, id) => listOf([], `/v1/customers/${id}/tax_ids`),
    },
    "invoice": {
      payments: (work, id) =>
        listOf(
          work.store.all("invoice_payment", { invoice: id }).reverse(),
          `/v1/invoice_payments?invoice=${id}`,
        ),
      confirmation_secret: (work, id) => {
        const { payment_intent } = work.hidden("invoice", id);
        const intent = payment_intent ? work.find("payment_intent", payment_intent) : null;
        return intent?.client_secret
          ? { client_secret: intent.client_secret, type: "payment_intent" }
          : null;
      },
    },
  },
};
