/**
 * The stored objects, typed by the installed SDK: a missing non-optional key or a wrong enum word does not compile.
 *
 * `Wire` turns an SDK type into what travels: an expandable field (`string | Customer`) is its id, a `Decimal` is text.
 */
import type Stripe from "stripe";
import type { ThinType } from "./thin_types.ts";

type Unexpanded<T> = T extends { object: string } ? never : T;
type Field<T> = string extends T ? Word<Unexpanded<T>> : Wire<T>;
export type Wire<T> = T extends string | number | boolean | null | undefined ? Word<T>
  : T extends Stripe.Decimal ? string
  : T extends (infer E)[] ? Field<E>[]
  : T extends object ? { [K in keyof T]: Field<T[K]> }
  : T;

export type Customer = Wire<Stripe.Customer>;
export type Product = Wire<Stripe.Product>;
export type Price = Wire<Stripe.Price>;
export type Plan = Wire<Stripe.Plan>;
export type PaymentMethod = Wire<Stripe.PaymentMethod>;
export type SetupIntent = Wire<Stripe.SetupIntent>;
export type PaymentIntent = Wire<Stripe.PaymentIntent>;
export type Charge = Wire<Stripe.Charge>;
export type Refund = Wire<Stripe.Refund>;
export type Invoice = Wire<Stripe.Invoice>;
export type InvoiceItem = Wire<Stripe.InvoiceItem>;
export type InvoiceLine = Wire<Stripe.InvoiceLineItem>;
export type InvoicePayment = Wire<Stripe.InvoicePayment>;
export type Subscription = Wire<Stripe.Subscription>;
export type Dispute = Wire<Stripe.Dispute>;
export type Coupon = Wire<Stripe.Coupon>;
export type PromotionCode = Wire<Stripe.PromotionCode>;
export type Discount = Wire<Stripe.Discount>;
export type PriceOption = NonNullable<Price["currency_options"]>[string];
export type PriceTier = NonNullable<Price["tiers"]>[number];
export type Schedule = Wire<Stripe.SubscriptionSchedule>;
export type SchedulePhase = Schedule["phases"][number];
export type SubscriptionItem = Wire<Stripe.SubscriptionItem>;
export type TaxRate = Wire<Stripe.TaxRate>;
export type TaxRegistration = Wire<Stripe.Tax.Registration>;
export type TaxSettings = Wire<Stripe.Tax.Settings>;
export type CheckoutSession = Wire<Stripe.Checkout.Session>;
export type LineItem = Wire<Stripe.LineItem>;
export type PortalSession = Wire<Stripe.BillingPortal.Session>;
export type PortalConfiguration = Wire<Stripe.BillingPortal.Configuration>;
export type Meter = Wire<Stripe.Billing.Meter>;
export type Alert = Wire<Stripe.Billing.Alert>;
export type CreditGrant = Wire<Stripe.Billing.CreditGrant>;
export type CreditTransaction = Wire<Stripe.Billing.CreditBalanceTransaction>;
export type CreditSummary = Wire<Stripe.Billing.CreditBalanceSummary>;
export type AlertTriggered = Wire<Stripe.Billing.AlertTriggered>;
export type TestClock = Wire<Stripe.TestHelpers.TestClock>;
export type WebhookEndpoint = Wire<Stripe.WebhookEndpoint>;
/** Money between the platform and its connected accounts. */
export type Account = Wire<Stripe.Account>;
export type AccountV2 = Wire<Stripe.V2.Core.Account>;
export type AccountLink = Wire<Stripe.V2.Core.AccountLink>;
export type ApplicationFee = Wire<Stripe.ApplicationFee>;
export type Balance = Wire<Stripe.Balance>;
export type BalanceTransaction = Wire<Stripe.BalanceTransaction>;
export type BankAccount = Wire<Stripe.BankAccount>;
export type FeeRefund = Wire<Stripe.FeeRefund>;
export type Payout = Wire<Stripe.Payout>;
export type Transfer = Wire<Stripe.Transfer>;
export type TransferReversal = Wire<Stripe.TransferReversal>;
export type Feature = Wire<Stripe.Entitlements.Feature>;
export type ProductFeature =
  & Omit<Wire<Stripe.ProductFeature>, "entitlement_feature">
  & { entitlement_feature: Feature };
export type EventDestination = Wire<Stripe.V2.Core.EventDestination>;

/** The SDK opens its enums with `string & {}` for words of later versions; what the sandbox says must be a known one. */
type Word<T> = T extends string
  ? (string extends T ? (IsPlainString<T> extends true ? T : never) : T)
  : T;
type IsPlainString<T> = (<G>() => G extends T ? 1 : 2) extends (<G>() => G extends string ? 1 : 2)
  ? true
  : false;

/** The names of events; one that Stripe does not have does not compile. */
export type EventType = Wire<Stripe.WebhookEndpointCreateParams.EnabledEvent>;

/** An event whose object is any of the above. */
export interface StripeEvent {
  id: string;
  object: "event";
  /** The connected account it happened on; absent for the platform's own. */
  account?: string;
  api_version: string;
  created: number;
  data: { object: unknown; previous_attributes?: Record<string, unknown> };
  livemode: false;
  pending_webhooks: number;
  request: { id: string | null; idempotency_key: string | null };
  type: EventType;
}

export interface RelatedObject {
  id: string;
  type: string;
  url: string;
}

/** An event of `/v2`. What is delivered is the same without its `data`. */
export interface ThinEvent extends Wire<Omit<Stripe.V2.Core.EventBase, "type">> {
  type: ThinType;
  data?: unknown;
  related_object?: RelatedObject;
}

export interface Objects {
  "application_fee": ApplicationFee;
  "balance_transaction": BalanceTransaction;
  "billing.alert": Alert;
  "billing.credit_balance_transaction": CreditTransaction;
  "billing.credit_grant": CreditGrant;
  "billing.meter": Meter;
  "billing_portal.configuration": PortalConfiguration;
  "billing_portal.session": PortalSession;
  "charge": Charge;
  "checkout.session": CheckoutSession;
  "coupon": Coupon;
  "customer": Customer;
  "discount": Discount;
  "dispute": Dispute;
  "entitlements.feature": Feature;
  "event": StripeEvent;
  "fee_refund": FeeRefund;
  "invoice": Invoice;
  "invoice_payment": InvoicePayment;
  "invoiceitem": InvoiceItem;
  "payment_intent": PaymentIntent;
  "payment_method": PaymentMethod;
  "payout": Payout;
  "price": Price;
  "product": Product;
  "product_feature": ProductFeature;
  "promotion_code": PromotionCode;
  "refund": Refund;
  "setup_intent": SetupIntent;
  "subscription": Subscription;
  "subscription_schedule": Schedule;
  "tax.registration": TaxRegistration;
  "test_helpers.test_clock": TestClock;
  "transfer": Transfer;
  "transfer_reversal": TransferReversal;
  "v2.core.account": AccountV2;
  "v2.core.account_link": AccountLink & { id: string };
  "v2.core.event": ThinEvent;
  "v2.core.event_destination": EventDestination;
  "webhook_endpoint": WebhookEndpoint;
}
export type Kind = keyof Objects;

/** What the sandbox must remember beside an object and Stripe does not show. */
export interface HiddenByKind {
  "payout": { fails: { code: string; message: string } | null; settles_at: number | null };
  "refund": RefundHidden;
  "v2.core.account": AccountHidden;
  "v2.core.account_link": { token: string; visit: string | null; done: boolean };
  /** The customers it has fired for, and the last meter event that was there before it watched. */
  "billing.alert": { triggered: string[]; after: number };
  /** Its end has come, by time or by request: what was left is debited. */
  "billing.credit_grant": { expired: boolean };
  "checkout.session": CheckoutHidden;
  "invoice": { payment_intent: string | null; subscription: string | null; retries: number };
  "coupon": CouponHidden;
  /** Of its `tax`, which is shown only when expanded. */
  "customer": { ip_address?: string | null };
  "discount": Terms;
  /** Shown only when expanded. */
  "price": { tiers?: PriceTier[]; currency_options?: Record<string, PriceOption> };
  "payment_method": { card: string; authenticated: boolean };
  /** What it is attached to. */
  "product_feature": { product: string };
  "payment_intent": PaymentIntentHidden;
  "subscription": SubscriptionHidden;
  /** `subscription_schedule.expiring` is sent once. */
  "subscription_schedule": { warned: boolean };
  "test_helpers.test_clock": { target: number | null };
  "v2.core.event_destination": { secret: string; url: string };
  /** `connect`: gets the events of connected accounts, not the platform's own. */
  "webhook_endpoint": { secret: string; connect?: boolean };
  /** Shown only when expanded. */
  "billing_portal.configuration": {
    products?: PortalConfiguration["features"]["subscription_update"]["products"];
  };
  "billing_portal.session": { waiting: PortalWaiting | null; made_ms?: number };
}
export type Hidden<K extends Kind> = K extends keyof HiddenByKind ? HiddenByKind[K]
  : Record<never, never>;

export interface AccountHidden {
  /** How it was made: an account of `/v1` has a type of its own. */
  type: "custom" | "express" | "none" | "standard";
  /** The hosted form was filled in to the end. */
  submitted: boolean;
  bank: BankAccount | null;
  /** Why payouts to this bank fail, for test numbers that do. */
  payout_failure: { code: string; message: string } | null;
  /** Set by hand (operator, control): no transfers whatever was submitted. */
  disabled: boolean;
  /** `/v1` capabilities that are asked for and that `/v2` has no configuration for here. */
  card_payments: boolean;
}

export interface RefundHidden {
  /** What becomes of it, and when, in the sandbox's own time. */
  outcome?: "failed" | "succeeded" | null;
  settles_at?: number | null;
}

export interface PaymentIntentHidden {
  invoice: string | null;
  /** A bank debit under way: what becomes of it, and when, in the sandbox's own time. */
  settles_at?: number | null;
}

/** Shown only when expanded: the products a coupon is for, its amounts in other currencies. */
export interface CouponHidden {
  products: string[] | null;
  currency_options: Record<string, { amount_off: number }> | null;
}
export type Terms =
  & Pick<Coupon, "amount_off" | "currency" | "duration" | "percent_off">
  & CouponHidden;

/** What makes a payment a destination charge. */
export interface ConnectSpec {
  application_fee_amount?: number | null;
  transfer_data?: { destination: string; amount?: number } | null;
  transfer_group?: string | null;
}

export interface CheckoutHidden {
  lines: { price: string; quantity?: number; id: string }[];
  subscription: {
    description: string | null;
    metadata: Record<string, string>;
    trial_end: number | null;
    trial_period_days: number | null;
    missing_payment_method: "cancel" | "create_invoice" | "pause";
    application_fee_percent?: number | null;
    transfer_data?: Subscription["transfer_data"];
  } | null;
  payment: {
    description: string | null;
    metadata: Record<string, string>;
    receipt_email: string | null;
    setup_future_usage: "off_session" | "on_session" | null;
    shipping: PaymentIntent["shipping"];
    connect?: ConnectSpec;
  } | null;
  /** What automatic tax needs: whether the page asks for the address, the one given there, and whether the customer keeps it. */
  tax?: {
    collects: boolean;
    address: { country: string; postal_code: string | null } | null;
    saves: boolean;
  };
  /** The card that waits for the bank's answer, between `requires_action` and its confirmation. */
  waiting: { payment_method: string; email: string | null } | null;
}

/** What a portal action wanted to do, while the bank's challenge is open. */
export type PortalWaiting =
  | {
    action: "plan";
    subscription: string;
    price: string;
    quantity: number;
    promotion_code?: string;
  }
  | { action: "method"; payment_method: string };

export interface SubscriptionHidden {
  /** By item: usage before this time is settled, since its price changed in mid-period. */
  usage_since?: Record<string, number>;
  /** `trial_will_end` is sent once. */
  trial_warned: boolean;
  /** The invoice whose failed payment keeps this subscription past due or incomplete. */
  unpaid_invoice: string | null;
  /** The invoice whose payment resumes a paused subscription. */
  resumes_with?: string | null;
  /** What `pending_update` will do once its invoice is paid. */
  pending?: { invoice: string; patch: Partial<Subscription> } | null;
}

export const API_VERSION = "2026-10-28.endive";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
export function newId(prefix: string, length = 24): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return prefix + Array.from(bytes, (byte) => ALPHABET.charAt(byte % 62)).join("");
}
