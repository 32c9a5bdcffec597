/** New payment and setup intents. */
import { type ConnectSpec, newId, type PaymentIntent, type SetupIntent } from "../engine/types.ts";
import type { Work } from "../engine/work.ts";

export interface IntentSpec extends ConnectSpec {
  amount: number;
  currency: string;
  customer: string | null;
  capture_method?: PaymentIntent["capture_method"];
  confirmation_method?: PaymentIntent["confirmation_method"];
  description?: string | null;
  invoice?: string | null;
  metadata?: Record<string, string>;
  receipt_email?: string | null;
  payment_method?: string | null;
  payment_method_types?: string[];
  setup_future_usage?: PaymentIntent["setup_future_usage"];
  shipping?: PaymentIntent["shipping"];
}

export function createIntent(work: Work, spec: IntentSpec): PaymentIntent {
  const id = newId("pi_");
  const clock = work.clockOf(spec.customer);
  const intent: PaymentIntent = {
    id,
    object: "payment_intent",
    allowed_payment_method_types: null,
    amount: spec.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: spec.application_fee_amount ?? null,
    automatic_payment_methods: spec.payment_method_types
      ? null
      : { allow_redirects: "always", enabled: true },
    canceled_at: null,
    cancellation_reason: null,
    capture_method: spec.capture_method ?? "automatic_async",
    client_secret: `${id}_secret_${newId("", 25)}`,
    confirmation_method: spec.confirmation_method ?? "automatic",
    created: work.now(clock),
    currency: spec.currency,
    customer: spec.customer,
    customer_account: null,
    description: spec.description ?? null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: spec.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: spec.payment_method ?? null,
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: spec.payment_method_types ?? ["card"],
    payment_record: null,
    processing: null,
    receipt_email: spec.receipt_email ?? null,
    review: null,
    setup_future_usage: spec.setup_future_usage ?? null,
    shipping: spec.shipping ?? null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: null,
    status: spec.payment_method ? "requires_confirmation" : "requires_payment_method",
    transfer_data: spec.transfer_data ?? null,
    transfer_group: spec.transfer_group ?? (spec.transfer_data ? `group_${id}` : null),
  };
  const hidden = { invoice: spec.invoice ?? null };
  return work.create("payment_intent", intent, hidden, { clock, event: "payment_intent.created" });
}

export interface SetupSpec {
  customer: string | null;
  description?: string | null;
  metadata?: Record<string, string>;
  payment_method?: string | null;
  usage?: string;
}

export function createSetup(work: Work, spec: SetupSpec): SetupIntent {
  const id = newId("seti_");
  const clock = work.clockOf(spec.customer);
  const intent: SetupIntent = {
    id,
    object: "setup_intent",
    allowed_payment_method_types: null,
    application: null,
    automatic_payment_methods: null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${newId("", 25)}`,
    created: work.now(clock),
    customer: spec.customer,
    customer_account: null,
    description: spec.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    mandate: null,
    metadata: spec.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: spec.payment_method ?? null,
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: ["card"],
    single_use_mandate: null,
    status: spec.payment_method ? "requires_confirmation" : "requires_payment_method",
    usage: spec.usage ?? "off_session",
  };
  return work.create("setup_intent", intent, {}, { clock, event: "setup_intent.created" });
}
