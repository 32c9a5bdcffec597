/**
 * What the hosted pages (Checkout, Billing Portal, hosted invoice) may ask of the sandbox.
 *
 * Pages get one `Hosted` object and nothing else: no store, no HTTP to the API. Every call is synchronous, runs in one
 * SQLite transaction with its events, and is the same code the API's own endpoints use. Amounts are integer minor
 * units with a lower-case currency beside them; times are Unix seconds (of the customer's test clock when it has one).
 *
 * Errors: an unknown id gives `null` from the `get…View` functions and a `StripeError` (404) from the others; a refused
 * action (session already complete, feature disabled in the portal configuration) throws `StripeError` with a message
 * that can be shown. A declined card is not an error but an outcome.
 */
export interface CardInput {
  /** Digits with or without spaces. Test cards only; any other number is declined as Stripe does in test mode. */
  number: string;
  exp_month: number;
  exp_year: number;
  cvc: string;
  name?: string;
}

export type PayOutcome =
  /** Paid (or set up). `redirect` is the success/return URL with {CHECKOUT_SESSION_ID} filled in. */
  | { outcome: "succeeded"; redirect: string }
  /** Show `message` beside the card form; the person may try again. `param`: the form field at fault, if one is. */
  | {
    outcome: "declined";
    message: string;
    code: string;
    param?: "number" | "exp_month" | "exp_year" | "cvc";
  }
  /** Show the (sandbox) bank's challenge, then call `confirmAuthentication` / `portalConfirmAuthentication`. */
  | { outcome: "requires_action"; message: string };

export type PromotionOutcome =
  | { outcome: "applied" }
  | { outcome: "refused"; message: string };

export interface CardView {
  id: string;
  brand: string;
  last4: string;
  exp_month: number;
  exp_year: number;
  is_default: boolean;
}

export interface PriceView {
  id: string;
  lookup_key: string | null;
  product: string;
  product_name: string;
  product_description: string | null;
  currency: string;
  unit_amount: number;
  interval: "day" | "week" | "month" | "year" | null;
  interval_count: number;
}

export interface CheckoutLineView {
  description: string;
  quantity: number;
  unit_amount: number;
  amount: number;
  /** Billed later, for what was used. */
  is_metered: boolean;
  interval: PriceView["interval"];
  interval_count: number;
  /** What is taken off each period from now on, for so many months (null: for ever). */
  lasting_discount: { amount: number; months: number | null } | null;
}

export interface CheckoutView {
  id: string;
  mode: "payment" | "setup" | "subscription";
  /** Only an `open` session can be paid; the page of another shows why it is closed. */
  status: "open" | "complete" | "expired";
  merchant_name: string;
  currency: string | null;
  lines: CheckoutLineView[];
  amount_subtotal: number;
  amount_discount: number;
  /** What tax there is today, by name, and whether it comes on top; null while the place is unknown. */
  taxes: { name: string; amount: number; inclusive: boolean }[] | null;
  /** The page asks for the address, which decides the tax. */
  collects_address: boolean;
  /** What the page offers beside a card; paid later. */
  bank_debit: "sepa_debit" | "us_bank_account" | null;
  address: { country: string; postal_code: string | null } | null;
  /** Code and name of every country, when the address is asked for. */
  countries: [string, string][];
  /** Due now: 0 in a trial and in setup mode. */
  amount_total: number;
  trial_period_days: number | null;
  /** Whether the person may give a promotion code, the one in force, and every discount with what it takes off today. */
  allow_promotion_codes: boolean;
  promotion_code: string | null;
  discounts: { name: string; code: string | null; amount: number }[];
  /** The e-mail is fixed when the session has a customer with one; else the page asks for it. */
  email: string | null;
  email_is_editable: boolean;
  customer_name: string | null;
  saved_cards: CardView[];
  /** True between a `requires_action` outcome and its confirmation: show the challenge, also after a reload. */
  awaiting_authentication: boolean;
  success_url: string | null;
  cancel_url: string | null;
  expires_at: number;
}

export interface PortalSubscriptionView {
  id: string;
  status: string;
  price: PriceView | null;
  quantity: number;
  current_period_end: number | null;
  trial_end: number | null;
  cancel_at: number | null;
  cancel_at_period_end: boolean;
  /** When access ends if the subscription is ending, in either of Stripe's forms. */
  ends_at: number | null;
  default_card: CardView | null;
}

export interface ReceiptView {
  id: string;
  merchant_name: string;
  created: number;
  currency: string;
  amount: number;
  amount_refunded: number;
  description: string | null;
  /** `Visa •••• 4242`, or the kind of payment method. */
  paid_with: string;
}

export interface PortalInvoiceView {
  id: string;
  number: string | null;
  status: string | null;
  created: number;
  currency: string;
  total: number;
  amount_due: number;
  description: string;
  hosted_invoice_url: string | null;
}

export interface PortalView {
  id: string;
  merchant_name: string;
  headline: string | null;
  return_url: string | null;
  customer: { id: string; email: string | null; name: string | null };
  subscriptions: PortalSubscriptionView[];
  /** Prices the configuration allows to change to (all active recurring ones of its products). */
  prices: PriceView[];
  payment_methods: CardView[];
  invoices: PortalInvoiceView[];
  features: {
    invoice_history: boolean;
    payment_method_update: boolean;
    subscription_cancel: boolean;
    cancel_mode: "at_period_end" | "immediately";
    cancellation_reasons: string[];
    subscription_update: boolean;
    /** The confirmation of a change of plan takes one. */
    promotion_code: boolean;
  };
  /** A deep link: show only this step, and go to `redirect` (or back to the overview) once it is done. */
  flow: PortalFlowView | null;
  awaiting_authentication: boolean;
}

export interface PortalFlowView {
  type:
    | "payment_method_update"
    | "subscription_cancel"
    | "subscription_update"
    | "subscription_update_confirm";
  subscription: string | null;
  /** Only for `subscription_update_confirm`: the price it asks to confirm. */
  price: string | null;
  quantity: number | null;
  after_completion: { type: string; redirect: string | null; message: string | null };
}

/** Result of a portal action. `redirect`: where the flow wants the person next, null = stay on the overview. */
export interface PortalResult {
  redirect: string | null;
}

/** `promotion_code` as the person typed it; a refusal names it in its `param`. */
export interface PlanInput {
  price: string;
  quantity?: number;
  promotion_code?: string;
}

export interface PlanChangePreview {
  currency: string;
  /** Charged (or, if negative, credited) now because of the change. */
  amount_due_now: number;
  lines: { description: string; amount: number }[];
  next_amount: number;
  next_payment_at: number;
}

export type PlanChangeOutcome =
  | ({ outcome: "succeeded" } & PortalResult)
  | { outcome: "declined"; message: string; code: string }
  | { outcome: "requires_action"; message: string };

export interface InvoiceView {
  id: string;
  number: string | null;
  status: string | null;
  merchant_name: string;
  customer_name: string | null;
  customer_email: string | null;
  created: number;
  period_start: number;
  period_end: number;
  currency: string;
  lines: {
    description: string;
    quantity: number;
    amount: number;
    period_start: number;
    period_end: number;
  }[];
  subtotal: number;
  discount: number;
  taxes: { name: string; amount: number; inclusive: boolean }[];
  total: number;
  amount_paid: number;
  amount_remaining: number;
  awaiting_authentication: boolean;
}

/** The form of a connected account, opened by its link. */
export interface OnboardingView {
  visit: string;
  account: string;
  merchant_name: string;
  /** It was submitted or left; only its end is shown. */
  done: boolean;
  countries: [string, string][];
  /** Two capital letters, or empty. What the platform has said is not asked again. */
  country: string;
  country_is_fixed: boolean;
  entity_type: "company" | "individual";
  entity_is_fixed: boolean;
  given_name: string;
  surname: string;
  registered_name: string;
  bank_last4: string | null;
  /** What is due, as paths into the account. */
  missing: string[];
  refresh_url: string;
  return_url: string | null;
}

export interface OnboardingInput {
  country: string;
  entity_type: "company" | "individual";
  given_name: string;
  surname: string;
  registered_name: string;
  /** A test account number or IBAN. */
  bank: string;
}

/** A bank account to debit: a test IBAN, or a US test account number. */
export interface BankInput {
  number: string;
  name?: string;
}

export interface Hosted {
  /** Uses up the link. `refresh`: it was used or is too old, so the platform must make a new one. null: never existed. */
  openAccountLink(
    account: string,
    token: string,
  ): { visit: string } | { refresh: string } | null;
  getOnboardingView(visit: string): OnboardingView | null;
  /** A refusal names the field in its `param`. */
  submitOnboarding(visit: string, input: OnboardingInput): void;
  leaveOnboarding(visit: string): void;

  getCheckoutView(sessionId: string): CheckoutView | null;
  /** Pays or sets up with a new `card`, or with `saved_card` (an id of `saved_cards`). `email` is needed when the session has none. */
  payCheckout(
    sessionId: string,
    input: { card?: CardInput; bank?: BankInput; saved_card?: string; email?: string },
  ): PayOutcome;
  /** The person's answer to the bank's challenge. Refusal is `declined`; the session stays open. */
  confirmAuthentication(sessionId: string, approve: boolean): PayOutcome;
  /** The billing address that decides the tax. A refusal says why, for the person. */
  setBillingAddress(
    sessionId: string,
    address: { country: string; postal_code: string | null },
  ): PromotionOutcome;
  /** A person's promotion code, in any case of letters. A refusal says why, for the person. */
  applyPromotionCode(sessionId: string, code: string): PromotionOutcome;
  removePromotionCode(sessionId: string): void;
  /** The person goes back. The session stays open (as at Stripe) and can be returned to. null: it has no cancel_url. */
  abandonCheckout(sessionId: string): { redirect: string | null };

  /** `null`: never existed. A session that is over throws `StripeError` 410. */
  getPortalView(sessionId: string): PortalView | null;
  /** Cancels as the configuration says; at period end this sets `cancel_at`, not `cancel_at_period_end`. */
  portalCancel(
    sessionId: string,
    subscriptionId: string,
    input?: { feedback?: string; comment?: string },
  ): PortalResult;
  portalResume(sessionId: string, subscriptionId: string): PortalResult;
  portalPreviewPlan(
    sessionId: string,
    subscriptionId: string,
    input: PlanInput,
  ): PlanChangePreview;
  portalChangePlan(
    sessionId: string,
    subscriptionId: string,
    input: PlanInput,
  ): PlanChangeOutcome;
  /** Attaches the card, makes it the customer's and every live subscription's default and retries an open invoice. */
  portalUpdatePaymentMethod(sessionId: string, card: CardInput): PayOutcome | PlanChangeOutcome;
  /** Makes a saved card the customer's and every live subscription's default and retries an open invoice. */
  portalSetDefaultPaymentMethod(sessionId: string, paymentMethodId: string): PortalResult;
  /** Refused for the card that a live subscription is paid with. */
  portalDetachPaymentMethod(sessionId: string, paymentMethodId: string): PortalResult;
  /** Answers the challenge after a portal action that said `requires_action`. */
  portalConfirmAuthentication(sessionId: string, approve: boolean): PlanChangeOutcome;

  /** The page behind a charge's `receipt_url` (`/receipts/:charge`). */
  getReceiptView(chargeId: string): ReceiptView | null;

  /** The page behind `hosted_invoice_url` (`/i/:invoice`). */
  getInvoiceView(invoiceId: string): InvoiceView | null;
  payInvoice(invoiceId: string, card: CardInput): PayOutcome;
  confirmInvoiceAuthentication(invoiceId: string, approve: boolean): PayOutcome;
}
