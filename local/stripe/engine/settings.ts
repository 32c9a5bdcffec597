/** Settings of one running sandbox. */
export interface Settings {
  /** Origin of the hosted pages and of object URLs. */
  publicUrl: string;
  secretKey: string;
  merchantName: string;
  /** Seconds between delivery attempts; after the last the delivery is `failed` and can only be resent. */
  deliveryBackoff: readonly number[];
  deliveryTimeoutMs: number;
  deliveryConcurrency: number;
  /** Days after a failed renewal at which it is tried again (measured from the previous attempt). */
  dunningDays: readonly number[];
  /** What becomes of the subscription when the last retry failed. */
  dunningEnd: "cancel" | "mark_unpaid" | "leave_past_due";
  /** How long the link of a portal session works, in real seconds: moving the sandbox's time does not end it. */
  portalLifetime: number;
  /** Delay before an answer, so that a second request can meet a first one in flight. */
  latencyMs: number;
  /** How long a call that records usage takes: so long a second one for its customer and meter is refused. */
  meterLatencyMs: number;
  /** Calls that record usage in one second, in all. */
  meterEventsPerSecond: number;
  /** How many seconds of invalid meter events one error report gathers (Stripe: ten). */
  meterReportSeconds: number;
  /** How long a bank debit is on its way, and a refund that does not succeed at once, in seconds of the sandbox's time. */
  asyncDelaySeconds: number;
  log: (line: string) => void;
}

/** Stripe's live schedule reaches over three days; a sandbox's person waits seconds. */
export const DEFAULTS = {
  merchantName: "Tollgate demo",
  deliveryBackoff: [1, 2, 4, 8, 15, 30, 60, 120, 300, 600],
  deliveryTimeoutMs: 10_000,
  deliveryConcurrency: 4,
  dunningDays: [3, 5, 7],
  dunningEnd: "cancel",
  portalLifetime: 3600,
  latencyMs: 0,
  meterLatencyMs: 10,
  meterEventsPerSecond: 1000,
  meterReportSeconds: 2,
  asyncDelaySeconds: 3,
} as const;
