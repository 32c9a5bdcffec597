/** What the operator pages (`/_sandbox`) show and do. Times are Unix seconds. */
export interface EventRow {
  id: string;
  type: string;
  created: number;
  object_id: string | null;
  pending_webhooks: number;
}

export interface DeliveryRow {
  id: string;
  event_id: string;
  event_type: string;
  endpoint_url: string;
  state: string;
  attempts: number;
  created: number;
  /** When it will be tried again, while it is pending. */
  next_at: number | null;
  last_status: number | null;
  last_error: string | null;
}

export interface AttemptRow {
  at: number;
  status: number | null;
  error: string | null;
  body: string | null;
  milliseconds: number;
}

export interface ClockRow {
  id: string;
  name: string | null;
  frozen_time: number;
  status: string;
  customers: number;
}

export interface CustomerRow {
  id: string;
  email: string | null;
  name: string | null;
  created: number;
  clock: string | null;
  subscriptions: { id: string; status: string; product: string | null }[];
}

export interface EndpointRow {
  id: string;
  url: string;
  status: string;
  enabled_events: string[];
}

export interface AccountRow {
  id: string;
  name: string | null;
  email: string | null;
  closed: boolean;
  /** The status of its transfers; `none` when they were not asked for. */
  transfers: string;
  /** How many requirements are due. */
  missing: number;
  balances: { currency: string; available: number; pending: number }[];
  transfers_count: number;
  payouts_count: number;
}

export interface PaymentRow {
  id: string;
  amount: number;
  currency: string;
  created: number;
  status: string;
  refunded: number;
  destination: string | null;
  fee: number;
  dispute: { id: string; status: string } | null;
}

export interface Operator {
  /** `active` also completes the onboarding, with test data. */
  setTransfers(account: string, wanted: "active" | "restricted"): void;
  openDispute(charge: string): void;
  decideDispute(dispute: string, outcome: "lost" | "won"): void;
  accounts(limit: number): AccountRow[];
  payments(limit: number): PaymentRow[];

  // Actions may throw a `StripeError` whose message can be shown.
  /** Delivers the event to the endpoint once more, now. */
  resend(deliveryId: string): void | Promise<void>;
  /** As `POST /v1/test_helpers/test_clocks/:id/advance`. */
  advanceClock(clockId: string, frozenTime: number): void | Promise<void>;
  /** Moves the sandbox's own time forward, for customers without a test clock. */
  advanceWorld(to: number): void | Promise<void>;

  now(): number;
  /** Newest first; `before` is the id of the last event of the page before. */
  events(limit: number, before?: string): EventRow[];
  /** The event as the API answers it. */
  event(id: string): unknown;
  deliveries(limit: number, eventId?: string): DeliveryRow[];
  attempts(deliveryId: string): AttemptRow[];
  endpoints(): EndpointRow[];
  clocks(): ClockRow[];
  customers(limit: number): CustomerRow[];
}
